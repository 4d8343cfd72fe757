import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { addon } from '../../src/lzc/native.js'
import { decodeNvlist, decodeTypedNvlist, encodeNvlist, type NvInput, nv } from '../../src/lzc/nvlist.js'

const everything: NvInput = {
  flag: nv.flag(),
  byte: nv.byte(255),
  int8: nv.int8(-128),
  uint8: nv.uint8(255),
  int16: nv.int16(-32768),
  uint16: nv.uint16(65535),
  int32: nv.int32(-2147483648),
  uint32: nv.uint32(4294967295),
  int64: nv.int64(-(2n ** 63n)),
  uint64: nv.uint64(2n ** 64n - 1n),
  hrtime: nv.hrtime(123456789n),
  double: nv.double(-0.1),
  yes: true,
  no: false,
  string: 'grüße',
  empty: '',
  byteArray: nv.byteArray(Uint8Array.of(1, 2, 3)),
  int8Array: nv.int8Array(Int8Array.of(-1, 2)),
  uint8Array: nv.uint8Array(Uint8Array.of(9)),
  int16Array: nv.int16Array(Int16Array.of(-1, 300)),
  uint16Array: nv.uint16Array(Uint16Array.of(65535)),
  int32Array: nv.int32Array(Int32Array.of(-1, 70000, 3)),
  uint32Array: nv.uint32Array(Uint32Array.of(4294967295)),
  int64Array: nv.int64Array(BigInt64Array.of(-1n, 2n)),
  uint64Array: nv.uint64Array(BigUint64Array.of(2n ** 64n - 1n)),
  stringArray: ['', 'one', 'zwei'],
  booleanArray: [true, false, true],
  list: { nested: { deeper: 7n }, after: 'x' },
  listArray: [{ a: 1n }, {}, { b: ['c'] }],
}

test('libnvpair unpacks what we pack, and packs the same bytes', () => {
  const packed = encodeNvlist(everything)
  const { errno, list } = addon().repack(packed)
  assert.is(errno, 0)
  assert.ok(list?.equals(packed), 'the bytes are equal')
})

test('every type comes back with its value and its type', () => {
  const list = addon().repack(encodeNvlist(everything)).list as Buffer
  assert.ok(encodeNvlist(decodeTypedNvlist(list)).equals(list), 'typed decoding loses nothing')
  const plain = decodeNvlist(list)
  assert.is(plain.int64, -(2n ** 63n))
  assert.is(plain.uint64, 2n ** 64n - 1n)
  assert.is(plain.flag, true)
  assert.is(plain.string, 'grüße')
  assert.equal(plain.stringArray, ['', 'one', 'zwei'])
  assert.is(
    JSON.stringify(plain.listArray, (_, v) => (typeof v === 'bigint' ? Number(v) : v)),
    '[{"a":1},{},{"b":["c"]}]',
  )
})

test('empty lists and arrays', () => {
  for (const list of [{}, { a: {} }, { a: nv.listArray([]) }, { a: nv.byteArray(new Uint8Array()) }]) {
    const packed = encodeNvlist(list as NvInput)
    const repacked = addon().repack(packed)
    assert.is(repacked.errno, 0)
    assert.ok(repacked.list?.equals(packed))
  }
})

test('garbage is refused by libnvpair as well', () => {
  assert.is.not(addon().repack(Buffer.from('not an nvlist at all, is it?')).errno, 0)
})

test.run()
