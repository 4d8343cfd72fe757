/**
 * Whatever comes from outside ends in a value or in a typed error. FLOCKER_ZFS_FUZZ is the number of inputs for each decoder
 * (20,000 by default). Each input has a seed of its own; a failure says how to run just that input again.
 */
import { randomInt } from 'node:crypto'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { FlockerError } from '../../src/errors.js'
import { decodeNvlist, decodeTypedNvlist, encodeNvlist, nv } from '../../src/lzc/nvlist.js'
import { decodeResumeToken, describeResumeToken } from '../../src/stream/index.js'
import { StreamParser } from '../../src/stream/parser.js'
import { countFrame, FrameDecoder, FrameType, frame } from '../../src/transport/frames.js'
import {
  clientMessageSchema,
  decodeMessage,
  encodeMessage,
  MessageDecoder,
  openingSchema,
  replySchema,
  serverMessageSchema,
} from '../../src/transport/messages.js'
import { damage, generator, pieces, type Random } from './fuzzing.js'
import {
  bareEnd,
  begin,
  compound,
  embedded,
  end,
  everyType,
  freeObjects,
  type Made,
  makeStream,
  object,
  objectRange,
  range,
  sealToken,
  spill,
  tokenList,
  write,
} from './stream-fixtures.js'

const inputs = Number(process.env.FLOCKER_ZFS_FUZZ ?? 20_000)
const firstSeed = Number(process.env.FLOCKER_ZFS_FUZZ_SEED ?? randomInt(2 ** 31))
/** Of the processor, not of the clock: the machine may be busy with something else. */
const slowestMicroseconds = 1_000_000
const mostGrowthKiB = 256 * 1024

/** Runs one decoder on many inputs; it may throw errors of these codes and nothing else, and take neither time nor memory. */
function fuzz(what: string, codes: readonly string[], decode: (random: Random) => void): void {
  test(`${what}: ${inputs} inputs`, () => {
    const { maxRSS } = process.resourceUsage()
    const outcomes = new Map<string, number>()
    const started = performance.now()
    for (let seed = firstSeed; seed < firstSeed + inputs; seed++) {
      const again = `${what}: run it again with FLOCKER_ZFS_FUZZ=1 FLOCKER_ZFS_FUZZ_SEED=${seed}`
      const begun = process.cpuUsage()
      let outcome = 'decoded'
      try {
        decode(generator(seed))
      } catch (error) {
        if (!(error instanceof FlockerError && codes.includes(error.code))) throw new Error(again, { cause: error })
        outcome = error.code
      }
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      const { user, system } = process.cpuUsage(begun)
      assert.ok(user + system < slowestMicroseconds, `slow; ${again}`)
    }
    const growth = process.resourceUsage().maxRSS - maxRSS
    assert.ok(growth < mostGrowthKiB, `${what}: ${growth} KiB more memory after seed ${firstSeed}`)
    if (inputs >= 1000)
      for (const each of ['decoded', ...codes]) assert.ok(outcomes.has(each), `${what}: never ${each}`)
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    const counts = [...outcomes].map(([each, count]) => `${each} ${count}`).join(', ')
    console.log(
      `\nmeasured: fuzz ${what}: ${inputs} inputs from seed ${firstSeed}, ${counts}, ${seconds} s, ${growth} KiB`,
    )
  })
}

const pick = <T>(list: readonly T[], random: Random): T => list[random(list.length)] as T

/** Numbers at which lengths and counts go wrong. */
const extremes = [0, 1, 7, 8, 255, 2 ** 15, 2 ** 16, 2 ** 24, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 8, 2 ** 32 - 1]

function setExtreme(bytes: Buffer, random: Random): void {
  if (bytes.length < 4) return
  const at = random(Math.floor(bytes.length / 4)) * 4
  const value = pick(extremes, random)
  if (random(2) === 0) bytes.writeUInt32LE(value, at)
  else bytes.writeUInt32BE(value, at)
}

const wholeStreams = [true, false].flatMap((little) => [
  makeStream(everyType(), little),
  makeStream(compound(), little),
  makeStream([begin({ payload: encodeNvlist({ resume_object: 1n, resume_offset: 2n }) }), end()], little),
])

/** Records in any order, with fields of any value, whose checksums are right: what gets past the checksums of the parser. */
function sealedStream(random: Random): Buffer {
  const bytes = (): Buffer => Buffer.alloc(random(40) * 8, 1)
  const makers: (() => Made)[] = [
    () => object(random(100)),
    () => object(64, 128),
    objectRange,
    freeObjects,
    () => write(bytes()),
    () => write(bytes(), 131072),
    () => range(pick([4, 6, 10], random)),
    () => spill(bytes(), random(2) === 0),
    () => embedded(random(130)),
    end,
    bareEnd,
    () => begin({ compound: random(2) === 0, payload: bytes() }),
  ]
  const head = random(2) === 0 ? [begin({ features: [random(30)] })] : [begin({ compound: true }), bareEnd(), begin()]
  const records = [...head, ...Array.from({ length: random(5) }, () => pick(makers, random)()), end(), bareEnd()]
  const broken = random(3) === 0 ? random(records.length) : -1
  const little = random(2) === 0
  return makeStream(
    records.map((made, index) => (index === broken ? distorted(made, random) : made)).slice(0, -random(2) || undefined),
    little,
  )
}

function distorted(made: Made, random: Random): Made {
  return {
    ...made,
    fill: (view, little) => {
      made.fill?.(view, little)
      const fields = Buffer.from(view.buffer, view.byteOffset, 104)
      for (let n = random(3); n >= 0; n--) setExtreme(fields, random)
    },
  }
}

fuzz('send stream', ['STREAM_INVALID', 'STREAM_CORRUPT', 'STREAM_TRUNCATED'], (random) => {
  const stream = random(2) === 0 ? damage(pick(wholeStreams, random), random) : sealedStream(random)
  const parser = new StreamParser(random(2) === 0 ? { onRecord: () => undefined } : {})
  for (const piece of pieces(stream, random, pick([40, 400, 20_000], random))) parser.push(piece)
  parser.end()
  assert.is(parser.summary.bytes, BigInt(stream.length))
})

const list = encodeNvlist({ ...tokenList, redact_snaps: nv.uint64Array(BigUint64Array.of(1n, 2n)) })
const token = sealToken(list)

fuzz('resume token', ['TOKEN_INVALID'], (random) => {
  const bad = Buffer.from(list)
  const text = [
    () => damage(Buffer.from(token), random).toString('latin1'),
    () => sealToken(damage(bad, random)),
    () => {
      setExtreme(bad, random)
      return sealToken(bad)
    },
    () =>
      `1-${random(2 ** 31).toString(16)}-${random(2 ** 31).toString(16)}-${damage(Buffer.alloc(9), random).toString('hex')}`,
  ]
  const input = pick(text, random)()
  const { toname } = decodeResumeToken(input)
  assert.ok(describeResumeToken(input).includes(toname))
})

const lists = [
  list,
  encodeNvlist({
    text: 'abc',
    texts: ['a', 'b'],
    list: { x: 1n, deep: { y: [{}, { z: 'z' }] } },
    lists: [{ y: 2 }, {}],
    bytes: Buffer.alloc(20),
    numbers: nv.uint64Array(BigUint64Array.of(1n)),
  }),
  encodeNvlist({}),
]

fuzz('nvlist', ['NVLIST_INVALID'], (random) => {
  const bad = damage(pick(lists, random), random)
  if (random(2) === 0) setExtreme(bad, random)
  if (bad.length > 1 && random(8) === 0) bad[1] = 0
  const names = Object.keys(decodeNvlist(bad))
  assert.equal(Object.keys(decodeTypedNvlist(bad)), names)
  assert.equal(Object.keys(decodeNvlist(bad, new Set())), [])
})

const messages = [
  { type: 'heartbeat' },
  { type: 'cancel', id: 3 },
  { type: 'request', id: 1, method: 'ping', params: { a: [1, { __proto__: null, b: '…' }] } },
  { type: 'bye', error: { class: 'ZfsError', code: 'BUSY', message: 'x' } },
  { type: 'event', id: 1, event: [] },
  { type: 'welcome', version: 1, hello: { name: 'beta' } },
  { type: 'control', versions: { minimum: 1, maximum: 1 }, hello: {} },
].map((message) => encodeMessage(message, 4096))
const schemas = [clientMessageSchema, serverMessageSchema, openingSchema, replySchema]

fuzz('control message', ['PROTOCOL'], (random) => {
  const bytes = damage(Buffer.concat([pick(messages, random), pick(messages, random)]), random)
  if (random(8) === 0) setExtreme(bytes, random)
  const schema = pick(schemas, random)
  const decoder = new MessageDecoder(4096)
  for (const piece of pieces(bytes, random)) {
    for (const body of decoder.push(piece)) {
      assert.ok(body.length <= 4096)
      decodeMessage<unknown>(body, schema)
    }
  }
})

const frames = Buffer.concat([
  frame(FrameType.DATA, Buffer.alloc(30)),
  countFrame(FrameType.END, 30n),
  frame(FrameType.ERROR, Buffer.alloc(20)),
])

fuzz('data frame', ['PROTOCOL'], (random) => {
  const bytes = damage(frames, random)
  if (random(4) === 0) setExtreme(bytes, random)
  const decoder = new FrameDecoder()
  for (const piece of pieces(bytes, random))
    for (const got of decoder.push(piece)) assert.ok(got.bytes.length <= 64 * 1024)
})

test.run()
