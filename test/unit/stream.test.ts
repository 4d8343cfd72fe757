import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { FlockerError, StreamError } from '../../src/errors.js'
import { encodeNvlist } from '../../src/lzc/index.js'
import { Fletcher4 } from '../../src/stream/fletcher4.js'
import { inspectStream, type StreamRecord, type StreamSummary, verifyStream } from '../../src/stream/index.js'
import { StreamParser } from '../../src/stream/parser.js'
import {
  bareEnd,
  begin,
  compound,
  embedded,
  end,
  everyType,
  freeObjects,
  guid,
  type Made,
  makeStream,
  object,
  PlainFletcher,
  range,
  spill,
  write,
} from './stream-fixtures.js'

function parse(stream: Buffer, pieceBytes = stream.length): StreamSummary {
  const parser = new StreamParser()
  for (let at = 0; at < stream.length; at += pieceBytes) parser.push(stream.subarray(at, at + pieceBytes))
  parser.end()
  return parser.summary
}

function refused(stream: Buffer, code: string, text: RegExp, offset?: number): void {
  for (const pieceBytes of [stream.length || 1, 101]) {
    try {
      parse(stream, pieceBytes)
    } catch (error) {
      assert.instance(error, StreamError)
      const { message, code: actual, offset: where } = error as StreamError
      assert.is(actual, code, message)
      assert.match(message, text)
      assert.is(typeof where, 'bigint', message)
      if (offset !== undefined) assert.is(where, BigInt(offset), message)
      continue
    }
    assert.unreachable(`${text} was accepted`)
  }
}

test('fletcher-4 equals the plainest one, whatever the bytes, their cutting and their order', () => {
  for (const bytes of [Buffer.alloc(70_003, 0xff), randomBytes(70_001), Buffer.alloc(3), Buffer.alloc(0)]) {
    for (const little of [true, false]) {
      const plain = new PlainFletcher()
      plain.add(bytes, little)
      for (const pieceBytes of [bytes.length || 1, 4096, 255, 1]) {
        const sum = new Fletcher4()
        for (let at = 0; at < bytes.length; at += pieceBytes) sum.update(bytes.subarray(at, at + pieceBytes), little)
        assert.equal(sum.words, [plain.a, plain.b, plain.c, plain.d])
        const view = new DataView(new ArrayBuffer(40))
        plain.write(view, 8, little)
        assert.ok(sum.equals(view, 8, little))
        for (let word = 8; word < 40; word += 4) {
          view.setUint32(word, view.getUint32(word) ^ 1)
          assert.not(sum.equals(view, 8, little))
          view.setUint32(word, view.getUint32(word) ^ 1)
        }
      }
    }
  }
})

for (const little of [true, false]) {
  const order = little ? 'little' : 'big'

  test(`every type of record of ${order}-endian machines, whatever the cutting`, () => {
    const stream = makeStream(everyType(), little)
    for (const pieceBytes of [stream.length, 4096, 313, 7, 1]) {
      const summary = parse(stream, pieceBytes)
      assert.is(summary.kind, 'single')
      assert.ok(summary.complete)
      assert.is(summary.bytes, BigInt(stream.length))
      assert.equal(summary.total, { count: 14, payloadBytes: 10_488n })
      assert.equal(summary.records.OBJECT, { count: 2, payloadBytes: 216n })
      assert.equal(summary.records.WRITE, { count: 2, payloadBytes: 9216n })
      assert.equal(summary.records.SPILL, { count: 2, payloadBytes: 1024n })
      assert.equal(summary.records.WRITE_EMBEDDED, { count: 1, payloadBytes: 32n })
      for (const type of ['FREEOBJECTS', 'FREE', 'WRITE_BYREF', 'OBJECT_RANGE', 'REDACT', 'BEGIN', 'END'] as const) {
        assert.equal(summary.records[type], { count: 1, payloadBytes: 0n }, type)
      }
      const [only, ...others] = summary.streams
      assert.is(others.length, 0)
      assert.is(only?.byteswapped, !little)
      assert.equal([only?.toname, only?.toguid, only?.fromguid], ['tank/a@1', guid, 7n])
      assert.equal(only?.features, ['large_blocks', 'compressed'])
    }
  })

  test(`a compound stream of ${order}-endian machines`, () => {
    const stream = makeStream(compound(), little)
    const summary = parse(stream, 1000)
    assert.is(summary.kind, 'compound')
    assert.is(summary.toname, 'tank@2')
    assert.is(summary.streamCount, 2)
    assert.equal(
      summary.streams.map(({ toname, start }) => [toname, start]),
      [
        ['tank@1', 5624n],
        ['tank@2', 10_656n],
      ],
    )
    assert.equal(summary.total, { count: 9, payloadBytes: 9096n })
  })

  test(`the properties after a BEGIN record of ${order}-endian machines`, () => {
    const payload = encodeNvlist({ other: { deep: 1n }, resume_object: 5n, resume_offset: 2n ** 63n })
    const resumed = makeStream([begin({ features: [20], payload }), end()], little)
    assert.equal(parse(resumed, 11).streams[0]?.resume, { object: 5n, offset: 2n ** 63n })
    assert.is(parse(makeStream([begin(), end()], little)).streams[0]?.resume, undefined)
  })

  test(`any changed bit of ${order}-endian machines is noticed, and no later than its record's end`, () => {
    const stream = makeStream([begin(), object(17), write(Buffer.alloc(64, 9)), freeObjects(), end()], little)
    const starts = [0, 312, 648, 1024, 1336, stream.length]
    for (let at = 0; at < stream.length; at++) {
      const bad = Buffer.from(stream)
      bad[at] = (bad[at] as number) ^ (1 << (at % 8))
      try {
        parse(bad)
        assert.unreachable(`byte ${at} was changed unnoticed`)
      } catch (error) {
        assert.instance(error, StreamError, String(error))
        const { code, offset = -1n, message } = error as StreamError
        assert.ok(['STREAM_CORRUPT', 'STREAM_INVALID', 'STREAM_TRUNCATED'].includes(code), message)
        // A BEGIN record has no checksum of its own: what it says is believed until the next record's.
        if (at < 312) continue
        assert.is(code, 'STREAM_CORRUPT', message)
        const next = starts.find((start) => start > at) as number
        assert.ok(Number(offset) <= next, `byte ${at}: ${message}`)
      }
    }
  })

  test(`cut anywhere, a stream of ${order}-endian machines is not whole`, () => {
    const streams = [makeStream(everyType(), little), makeStream(compound(), little)]
    for (const stream of streams) {
      for (let size = 0; size < stream.length; size += size < 2000 ? 1 : 97) {
        refused(stream.subarray(0, size), 'STREAM_TRUNCATED', /not whole/, size)
      }
    }
  })
}

test('records in an order that no stream has', () => {
  const cases: [Made[], RegExp][] = [
    [[freeObjects()], /no magic/],
    [[end()], /no magic/],
    [[begin(), begin(), end()], /BEGIN where none/],
    [[begin(), end(), begin(), end()], /after its end/],
    [[begin(), end(), bareEnd()], /after its end/],
    [[...compound(), bareEnd()], /after its end/],
    [[begin({ compound: true }), freeObjects()], /FREEOBJECTS where none/],
    [[begin({ compound: true }), bareEnd(), freeObjects()], /FREEOBJECTS where none/],
    [[begin({ compound: true }), bareEnd(), begin({ compound: true })], /within a compound/],
  ]
  for (const [records, text] of cases) refused(makeStream(records), 'STREAM_INVALID', text)
})

test('records that no kernel takes, though their checksum is right', () => {
  const large = (type: number, fill: NonNullable<Made['fill']>): Made[] => [begin(), { type, fill }, end()]
  const cases: [Made[], RegExp][] = [
    [large(3, (view, little) => view.setBigUint64(32, 2n ** 64n - 1n, little)), /WRITE has an impossible size/],
    [large(3, (view, little) => view.setBigUint64(32, 2n ** 24n + 8n, little)), /WRITE has an impossible size/],
    [large(3, (view, little) => view.setBigUint64(32, 511n, little)), /WRITE has an impossible size/],
    [large(7, (view, little) => view.setBigUint64(40, 2n ** 40n, little)), /SPILL has an impossible size/],
    [large(1, (view, little) => view.setUint32(28, 2 ** 32 - 1, little)), /OBJECT has an impossible size/],
    [large(8, (view, little) => view.setUint32(52, 120, little)), /WRITE_EMBEDDED has an impossible size/],
    [large(11, () => undefined), /unknown type 11/],
    [large(2 ** 32 - 1, () => undefined), /unknown type 4294967295/],
    [[begin({ payload: Buffer.alloc(6) }), end()], /followed by 6 bytes/],
    [[begin({ payload: Buffer.alloc(24, 1) }), end()], /nvlist/],
    [[{ ...begin(), payloadlen: 2 ** 31 }], /announces/],
  ]
  for (const little of [true, false])
    for (const [records, text] of cases) refused(makeStream(records, little), 'STREAM_INVALID', text)
  refused(Buffer.alloc(1000), 'STREAM_INVALID', /no magic/, 0)
})

test('a checksum of zeros is none, but never that of an END record', () => {
  const bare = (made: Made): Made => ({ ...made, unsummed: true })
  assert.ok(parse(makeStream([begin(), bare(freeObjects()), bare(write(Buffer.alloc(512))), bareEnd()])).complete)
  const zeroed = makeStream([begin(), freeObjects(), bareEnd()])
  zeroed.fill(0, 624 + 8, 624 + 40)
  refused(zeroed, 'STREAM_CORRUPT', /checksum in an END record/, 624)
})

test('of a compound stream of any length a thousand names are kept', () => {
  const one = makeStream([begin({ payload: encodeNvlist({}) }), end()])
  const stream = Buffer.concat([
    makeStream([begin({ compound: true }), bareEnd()]),
    ...Array.from({ length: 3000 }, () => one),
    makeStream([begin(), bareEnd()]).fill(0, 312).subarray(312).fill(5, 0, 1),
  ])
  const { streams, streamCount, records } = parse(stream)
  assert.is(streams.length, 1000)
  assert.is(streamCount, 3000)
  assert.is(records.END.count, 3002)
})

test('a name may be so long that it reaches where other records have their checksum', () => {
  const toname = `tank/${'n'.repeat(248)}@1`
  for (const little of [true, false]) {
    assert.is(parse(makeStream([begin({ toname }), freeObjects(), end()], little)).streams[0]?.toname, toname)
  }
})

test('listed records say where and what they are', () => {
  const records: StreamRecord[] = []
  const parser = new StreamParser({ onRecord: (record) => void records.push(record) })
  for (const little of [false])
    parser.push(makeStream([begin(), range(4), spill(Buffer.alloc(512), true), end()], little))
  assert.equal(records, [
    { type: 'BEGIN', offset: 0n, payloadBytes: 0, fields: {} },
    { type: 'FREE', offset: 312n, payloadBytes: 0, fields: { object: 2n, offset: 4096n, length: 2n ** 64n - 1n } },
    {
      type: 'SPILL',
      offset: 624n,
      payloadBytes: 512,
      fields: { object: 0n, length: 2048n, flags: 0, compressiontype: 0, compressed_size: 512n },
    },
    { type: 'END', offset: 1448n, payloadBytes: 0, fields: {} },
  ])
})

test('the Transform passes a stream through unchanged, and nothing that is wrong', async () => {
  const stream = makeStream([begin(), embedded(29), write(randomBytes(65_536)), end()])
  const collect = async (input: Buffer): Promise<{ got: Buffer; error: unknown; summary: StreamSummary }> => {
    const verifier = verifyStream()
    const chunks: Buffer[] = []
    const pieces = Array.from({ length: Math.ceil(input.length / 1000) }, (_, i) =>
      input.subarray(i * 1000, (i + 1) * 1000),
    )
    const error = await pipeline(Readable.from(pieces), verifier, async (output: AsyncIterable<Buffer>) => {
      for await (const chunk of output) chunks.push(chunk)
    }).catch((reason: unknown) => reason)
    return { got: Buffer.concat(chunks), error, summary: verifier.summary }
  }
  const clean = await collect(stream)
  assert.is(clean.error, undefined)
  assert.ok(clean.got.equals(stream))
  assert.is(clean.summary.bytes, BigInt(stream.length))
  const bad = Buffer.from(stream)
  bad[2000] = (bad[2000] as number) ^ 1
  const caught = await collect(bad)
  assert.is((caught.error as StreamError).code, 'STREAM_CORRUPT')
  const cut = await collect(stream.subarray(0, -1))
  assert.is((cut.error as StreamError).code, 'STREAM_TRUNCATED')
  assert.not(cut.summary.complete)
})

test('inspecting can be aborted, and leaves nothing open', async () => {
  const failure = async (stream: Readable, signal?: AbortSignal): Promise<FlockerError> => {
    const error = await inspectStream(stream, signal === undefined ? {} : { signal }).catch((reason: unknown) => reason)
    assert.instance(error, FlockerError, String(error))
    return error as FlockerError
  }
  const silent = () => new Readable({ read: () => undefined })
  const held = silent()
  held.push(makeStream(everyType()).subarray(0, 5000))
  const abort = new AbortController()
  setTimeout(() => abort.abort(), 20)
  assert.is((await failure(held, abort.signal)).code, 'ABORTED')
  assert.ok(held.destroyed)
  assert.is((await failure(silent(), AbortSignal.abort())).code, 'ABORTED')
  assert.is((await failure(Readable.from(['text'], { encoding: 'utf8' }))).code, 'INVALID_ARGUMENT')
  const broken = Readable.from([Buffer.alloc(400)])
  assert.is((await failure(broken)).code, 'STREAM_INVALID')
  assert.ok(broken.destroyed)
  const summary = await inspectStream(Readable.from([makeStream(everyType())]))
  assert.is(summary.total.count, 14)
})

test.run()
