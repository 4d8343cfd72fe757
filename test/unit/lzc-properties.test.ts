import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ArgumentError } from '../../src/errors.js'
import { decodeProperty, encodeProperties, encodeProperty, type PropertyInput } from '../../src/lzc/property-values.js'

test('native properties become numbers, user ones stay text', () => {
  assert.equal(
    encodeProperties({
      readonly: 'on',
      compression: 'zstd-3',
      canmount: 'noauto',
      mountpoint: '/x',
      'a:b': 'c',
      sync: 'always',
    }),
    { readonly: 1n, compression: 400n, canmount: 2n, mountpoint: '/x', 'a:b': 'c', sync: 1n },
  )
})

test('sizes', () => {
  const sizes: [PropertyInput, bigint][] = [
    ['16K', 16384n],
    ['20 GiB', 20n << 30n],
    ['1.5G', 3n << 29n],
    ['512', 512n],
    ['1TB', 1n << 40n],
    [4096, 4096n],
    [5n, 5n],
    ['none', 0n],
  ]
  for (const [text, bytes] of sizes) assert.is(encodeProperty('quota', text), bytes, String(text))
  assert.is(encodeProperty('filesystem_limit', 'none'), 2n ** 64n - 1n)
  for (const text of ['', 'x', '-1', '1Q', '1..5G', -1, 1.5, 2n ** 64n]) {
    assert.throws(
      () => encodeProperty('quota', text),
      (error: unknown) => error instanceof ArgumentError,
    )
  }
})

test('block sizes are powers of two', () => {
  assert.is(encodeProperty('recordsize', '1M'), 1048576n)
  for (const size of ['1000', '256', '32M']) assert.throws(() => encodeProperty('recordsize', size), /power of two/)
})

test('unknown names and values', () => {
  for (const [name, value] of [
    ['nosuch', '1'],
    ['used', 1],
    ['keystatus', 'available'],
    ['toString', '1'],
    ['readonly', 'maybe'],
    ['readonly', 'toString'],
    ['compression', 'zstd-20'],
    ['a:b', 'x\0'],
    ['A:b', 'x'],
  ] as const) {
    assert.throws(
      () => encodeProperty(name, value),
      (error: unknown) => error instanceof ArgumentError,
      name,
    )
  }
})

test('and back', () => {
  for (const [name, value] of [
    ['compression', 'gzip'],
    ['compression', 'gzip-9'],
    ['compression', 'zstd-fast-1000'],
    ['checksum', 'blake3'],
    ['encryption', 'aes-256-gcm'],
    ['dnodesize', 'auto'],
    ['atime', 'off'],
  ] as const) {
    assert.is(decodeProperty(name, encodeProperty(name, value)), value)
  }
  assert.is(decodeProperty('checksum', 99n), 99n)
  assert.is(decodeProperty('used', 7n), 7n)
})

test.run()
