/**
 * What thousands of mixed operations leave behind: nothing. FLOCKER_ZFS_OPERATIONS is their number. A failure says the seed;
 * FLOCKER_ZFS_OPERATIONS_SEED runs the same ones again.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  getProperties,
  inheritProperty,
  listBookmarks,
  listDatasets,
  listPools,
  listSnapshots,
  setProperties,
} from '../../src/datasets/index.js'
import * as lzc from '../../src/lzc/index.js'
import { generator, type Random } from '../unit/fuzzing.js'
import { all, collect, descriptors, eventually, failure, filled, fresh, pause, pool, threads } from './pool.js'

// The oldest profile's guest is there for what it answers, not for how fast.
const usual = process.env.TEST_PROFILE === 'oldest' ? 300 : 1000
const operations = Number(process.env.FLOCKER_ZFS_OPERATIONS ?? usual)
const firstSeed = Number(process.env.FLOCKER_ZFS_OPERATIONS_SEED ?? randomInt(2 ** 31))
/** A sanitizer keeps memory that was freed. */
const sanitized = process.env.FLOCKER_ZFS_SANITIZED !== undefined
const sides = 8
const streamBytes = 256 * 1024
const quietMilliseconds = 60_000
const mebibyte = 2 ** 20

/** What one of those at work has to itself. */
interface Side {
  name: string
  /** Of its snapshot `1`. */
  stream: Buffer
  random: Random
  count: number
}

type Kind = (side: Side) => Promise<unknown>

const snapshotOf = ({ name, count }: Side): string => `${name}@s${count}`
const codeOf = async (promise: Promise<unknown>): Promise<string> => (await failure(promise)).code
const closing = (stream: Readable | lzc.ReceiveStream): Promise<unknown> =>
  stream.closed ? Promise.resolve() : new Promise((resolve) => stream.once('close', resolve))

async function withSnapshot(side: Side, use: (snapshot: string) => Promise<unknown>): Promise<void> {
  const snapshot = snapshotOf(side)
  await lzc.snapshot(snapshot)
  await use(snapshot)
  await lzc.destroySnapshots([snapshot])
}

/** Reads a part of a stream, and ends it by its signal or without one. */
async function sendSome({ name, random }: Side): Promise<void> {
  const abort = new AbortController()
  const sending = lzc.send(`${name}@1`, { signal: abort.signal })
  sending.on('error', (error) => assert.is((error as { code?: string }).code, 'ABORTED'))
  if (random(4) > 0) await new Promise((resolve) => sending.once('readable', resolve))
  if (random(2) > 0) sending.read()
  if (random(2) > 0) abort.abort()
  else sending.destroy()
  await closing(sending)
}

/** Receives a part of a stream, and ends it by its signal or without one; or the stream ends by itself. */
async function receiveSome({ stream, random }: Side): Promise<void> {
  const abort = new AbortController()
  const to = fresh()
  const receiving = lzc.receive(`${to}@1`, { signal: abort.signal })
  const codes: string[] = ['ABORTED', 'STREAM_TRUNCATED', 'STREAM_CORRUPT']
  receiving.on('error', (error) => assert.ok(codes.includes((error as { code?: string }).code ?? ''), String(error)))
  receiving.write(stream.subarray(0, random(stream.length - 1)))
  if (random(2) > 0) await pause(random(20))
  const how = random(3)
  if (how === 0) abort.abort()
  else if (how === 1) receiving.destroy()
  else receiving.end()
  await closing(receiving)
  // On a busy machine the kernel may take longer than a stream waits for it.
  await eventually(async () => !(await lzc.exists(to)), quietMilliseconds)
}

async function receiveAll({ stream }: Side): Promise<void> {
  const to = fresh()
  await pipeline(Readable.from([stream.subarray(0, 100), stream.subarray(100)]), lzc.receive(`${to}@1`))
  await lzc.destroySnapshots([`${to}@1`])
  await lzc.destroy(to)
}

async function waitInVain({ random }: Side): Promise<void> {
  const signal = AbortSignal.timeout(1 + random(20))
  await lzc.channelProgramNosync(pool, 'while true do end', { signal, instructionLimit: 100_000_000n }).then(
    () => assert.unreachable(),
    (error: { code: string }) => assert.ok(['TIMEOUT', 'PROGRAM_OUT_OF_TIME'].includes(error.code), String(error)),
  )
}

/** By how often each is done. */
const kinds: readonly (readonly [number, Kind])[] = [
  [12, async ({ name }) => assert.ok(await lzc.exists(`${name}@1`))],
  [8, async ({ name }) => assert.is(await lzc.exists(`${name}@none`), false)],
  [8, async ({ name }) => assert.ok((await getProperties(name)).used)],
  [6, async ({ name }) => assert.is((await all(listSnapshots(name, { properties: ['used'] }))).length, 1)],
  [6, async ({ name }) => assert.is((await all(listDatasets(name, { recursive: true }))).length, 1)],
  [4, async ({ name }) => assert.is((await all(listBookmarks(name))).length, 0)],
  [4, async () => assert.ok((await listPools()).length >= 1)],
  [4, async ({ name }) => assert.ok((await lzc.sendSpace(`${name}@1`)) > 0n)],
  [4, async ({ name, count }) => setProperties(name, { 'com.example:count': String(count) })],
  [2, async ({ name }) => inheritProperty(name, 'com.example:count')],
  [4, async () => assert.is(await lzc.channelProgramNosync(pool, 'return 5'), 5n)],
  [1, waitInVain],
  [4, (side) => withSnapshot(side, async (snapshot) => lzc.getHolds(snapshot))],
  [
    3,
    (side) =>
      withSnapshot(side, async (snapshot) => (await lzc.hold({ [snapshot]: 'a' }, { temporary: true })).release()),
  ],
  [3, (side) => withSnapshot(side, async (snapshot) => (await lzc.hold({ [snapshot]: 'a' })).release())],
  [2, bookmarkOne],
  [2, cloneOne],
  [2, createOne],
  [12, async ({ name, stream }) => assert.is((await collect(lzc.send(`${name}@1`))).length, stream.length)],
  [10, sendSome],
  [3, receiveAll],
  [8, receiveSome],
  [4, async ({ name }) => assert.is(await codeOf(lzc.create(name)), 'EXISTS')],
  [4, async ({ name }) => assert.is(await codeOf(collect(lzc.send(`${name}@none`))), 'NOT_FOUND')],
  [
    4,
    async ({ name }) => assert.is(await codeOf(lzc.hold({ [`${name}@none`]: 'a' }, { temporary: true })), 'NOT_FOUND'),
  ],
  [4, async ({ name }) => assert.is(await codeOf(lzc.destroy(`${name}/none`)), 'NOT_FOUND')],
  [4, async ({ name }) => assert.is(await codeOf(getProperties(`${name}/none`)), 'NOT_FOUND')],
  [
    4,
    async () =>
      assert.is(
        await codeOf(pipeline(Readable.from([Buffer.alloc(400)]), lzc.receive(`${fresh()}@1`))),
        'STREAM_INVALID',
      ),
  ],
]

async function bookmarkOne({ name, count }: Side): Promise<void> {
  await lzc.bookmark({ [`${name}#b${count}`]: `${name}@1` })
  assert.is(Object.keys(await lzc.getBookmarks(name)).length, 1)
  await lzc.destroyBookmarks([`${name}#b${count}`])
}

async function cloneOne({ name }: Side): Promise<void> {
  const clone = fresh()
  await lzc.clone(`${name}@1`, clone)
  await lzc.destroy(clone)
}

async function createOne({ random }: Side): Promise<void> {
  const name = fresh()
  await lzc.create(name, random(2) > 0 ? {} : { type: 'volume', properties: { volsize: '4M' } })
  // Something else may be looking at a new volume.
  await eventually(() =>
    lzc.destroy(name).then(
      () => true,
      (error) => error.code !== 'BUSY' && Promise.reject(error),
    ),
  )
}

const weights = kinds.flatMap(([weight, kind]) => Array<Kind>(weight).fill(kind))

async function newSide(index: number): Promise<Side> {
  const name = await filled(0)
  await writeFile(`/${name}/a`, randomBytes(streamBytes))
  await lzc.snapshot(`${name}@1`)
  return { name, stream: await collect(lzc.send(`${name}@1`)), random: generator(firstSeed + index), count: 0 }
}

async function work(list: readonly Side[], total: number): Promise<void> {
  let left = total
  const run = async (side: Side): Promise<void> => {
    while (left-- > 0) {
      side.count += 1
      await weights[side.random(weights.length)]?.(side)
    }
  }
  await Promise.all(list.map(run))
}

const collectGarbage = ((): (() => void) => {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc')
})()

interface Left {
  fds: string[]
  threads: number
  /** Of these in bytes: memory that isn't V8's heap, what is in that, and what its objects hold outside of it. */
  resident: number
  heap: number
  outside: number
}

/** Finalizers run after the garbage was found, and may let go of more. */
async function whatIsLeft(): Promise<Left> {
  for (let i = 0; i < 5; i++) {
    collectGarbage()
    await pause(50)
  }
  const { rss, heapTotal, heapUsed, external } = process.memoryUsage()
  // V8 gives back late what its heap no longer needs.
  return { fds: descriptors().sort(), threads: threads(), resident: rss - heapTotal, heap: heapUsed, outside: external }
}

test(`${operations} mixed operations leave no descriptor, thread or memory`, async () => {
  console.log(`\nmeasured: the operations' seed is ${firstSeed}`)
  const list: Side[] = []
  for (let i = 0; i < sides; i++) list.push(await newSide(i))
  // All that is made once, on first use: threads of libuv's, arenas of malloc's, code of V8's, kept blocks of streams.
  await work(list, operations / 5)
  const before = await whatIsLeft()
  const started = performance.now()
  await work(list, operations)
  const seconds = (performance.now() - started) / 1000
  await eventually(() => threads() <= before.threads, quietMilliseconds)
  const after = await whatIsLeft()
  const growth = (key: 'resident' | 'heap' | 'outside'): number => (after[key] - before[key]) / mebibyte
  const memory = `resident ${growth('resident').toFixed(1)}, heap ${growth('heap').toFixed(1)}, outside of it ${growth('outside').toFixed(1)} MiB more`
  console.log(
    `measured: ${operations} operations in ${seconds.toFixed(0)} s: ${after.fds.length} descriptors before and after, ${after.threads} threads, ${memory}`,
  )
  assert.equal(after.fds, before.fds)
  assert.is(after.threads, before.threads)
  if (sanitized) return
  assert.ok(growth('heap') < 4, memory)
  assert.ok(growth('outside') < 4, memory)
  assert.ok(growth('resident') < 40, memory)
})

test.run()
