import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ArgumentError } from '../../src/errors.js'
import { decodeNvlist, decodeTypedNvlist, encodeNvlist, type NvInput, nv } from '../../src/lzc/nvlist.js'

// Packed by libnvpair 2.1.11: { "a": uint64 1 }.
const byLibrary = Buffer.from(
  '000100000000000001000000' +
    '20000000020000000100000008000000' +
    '6100000000000000' +
    '0100000000000000' +
    '00000000',
  'hex',
)

test('equals what libnvpair packs', () => {
  assert.is(encodeNvlist({ a: 1n }).toString('hex'), byLibrary.toString('hex'))
  assert.is(decodeNvlist(byLibrary).a, 1n)
})

test('plain values have the type that is expected of them', () => {
  const typed = decodeTypedNvlist(
    encodeNvlist({
      big: 1n,
      int: -1,
      yes: true,
      text: 'x',
      bytes: Buffer.of(1),
      list: {},
      texts: ['a'],
      none: undefined,
    }),
  )
  const types = Object.entries(typed).map(([name, { type }]) => `${name} ${type}`)
  assert.equal(types, [
    'big uint64',
    'int int32',
    'yes booleanValue',
    'text string',
    'bytes byteArray',
    'list nvlist',
    'texts stringArray',
  ])
})

test('names alone can be chosen, also past embedded lists', () => {
  const packed = encodeNvlist({
    skipped: { deep: { x: 1n } },
    lists: [{ y: 'z' }, {}],
    wanted: { value: 7n },
    other: 1n,
  })
  const list = decodeNvlist(packed, new Set(['wanted']))
  assert.equal(Object.keys(list), ['wanted'])
  assert.equal({ ...(list.wanted as object) }, { value: 7n })
})

test('the other byte order is read', () => {
  const swapped = Buffer.from(
    '000000000000000000000001' +
      '00000020000200000000000100000008' +
      '6100000000000000' +
      '0000000000000001' +
      '00000000',
    'hex',
  )
  assert.is(decodeNvlist(swapped).a, 1n)
})

test('values that do not fit are refused', () => {
  const bad: NvInput[] = [
    { a: nv.uint8(256) },
    { a: nv.int8(-129) },
    { a: nv.uint64(-1n) },
    { a: nv.uint64(2n ** 64n) },
    { a: nv.int32(1.5) },
    { a: 2 ** 40 },
    { a: 'zero\0byte' },
    { 'a\0b': 1n },
    { a: [1, 2] as unknown as string[] },
    { a: null as unknown as string },
  ]
  for (const list of bad)
    assert.throws(
      () => encodeNvlist(list),
      (error: unknown) => error instanceof ArgumentError,
    )
})

test('a list can be nested, but not without end', () => {
  const nest = (depth: number): NvInput => (depth === 0 ? {} : { a: nest(depth - 1) })
  assert.ok(decodeNvlist(encodeNvlist(nest(20))))
  assert.throws(() => encodeNvlist(nest(21)), /nested deeper/)
})

test.run()
