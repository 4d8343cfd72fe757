import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { StreamError } from '../../src/errors.js'
import { beginRecordBytes, parseBeginRecord } from '../../src/lzc/index.js'

const magic = 0x2f5bacbacn

/** A BEGIN record as a machine of that byte order writes it. */
function record(change: (view: DataView, little: boolean) => void = () => undefined, little = true): Uint8Array {
  const bytes = new Uint8Array(beginRecordBytes)
  const view = new DataView(bytes.buffer)
  view.setUint32(4, 96, little)
  view.setBigUint64(8, magic, little)
  const features = (1n << 19n) | (1n << 22n) | (1n << 24n) | (1n << 27n) | (1n << 40n)
  view.setBigUint64(16, 1n | (features << 2n), little)
  view.setBigUint64(24, 1_700_000_000n, little)
  view.setUint32(32, 3, little)
  view.setUint32(36, 4, little)
  view.setBigUint64(40, 0xfedcba9876543210n, little)
  view.setBigUint64(48, 42n, little)
  new TextEncoder().encodeInto('tank/a@1', bytes.subarray(56))
  change(view, little)
  return bytes
}

for (const little of [true, false]) {
  test(`reads a record of ${little ? 'little' : 'big'}-endian machines`, () => {
    assert.equal(parseBeginRecord(record(undefined, little)), {
      byteswapped: !little,
      type: 'volume',
      features: ['large_blocks', 'compressed', 'raw', 'switch_to_large_blocks', 'bit_40'],
      flags: ['freerecords'],
      creation: 1_700_000_000n,
      toguid: 0xfedcba9876543210n,
      fromguid: 42n,
      toname: 'tank/a@1',
      payloadlen: 96,
    })
  })
}

function refused(bytes: Uint8Array, code: string, text: RegExp): void {
  try {
    parseBeginRecord(bytes)
  } catch (error) {
    assert.instance(error, StreamError)
    assert.is((error as StreamError).code, code)
    assert.match((error as StreamError).message, text)
    return
  }
  assert.unreachable(`${text} was accepted`)
}

test('refuses what is not the stream of one snapshot', () => {
  refused(record().subarray(0, 311), 'STREAM_TRUNCATED', /311/)
  refused(new Uint8Array(312), 'STREAM_INVALID', /no magic/)
  refused(
    record((view) => view.setBigUint64(16, 2n, true)),
    'STREAM_INVALID',
    /compound/,
  )
  refused(
    record((view) => view.setBigUint64(16, 0n, true)),
    'STREAM_INVALID',
    /header type/,
  )
  refused(
    record((view) => view.setUint32(0, 5, true)),
    'STREAM_INVALID',
    /type 5/,
  )
  refused(
    record((view) => view.setUint32(4, 1 << 30, true)),
    'STREAM_INVALID',
    /announces/,
  )
  refused(
    record((view) => new Uint8Array(view.buffer).fill(97, 56)),
    'STREAM_INVALID',
    /no end/,
  )
})

test('reads from within a larger buffer', () => {
  const padded = new Uint8Array(400)
  padded.set(record(), 7)
  assert.is(parseBeginRecord(padded.subarray(7)).toname, 'tank/a@1')
})

test.run()
