/** Bandwidth limits: the bucket by a clock of its own, and real transfers by the real one. */
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type RateBucket, type RateShare, sessionAddon } from '../../src/lzc/native.js'
import { RateLimiter } from '../../src/transport/index.js'
import { Cluster, endless, failure, HashSink, pair, scoped, until } from './transport-fixtures.js'

const MEGABYTE = 1_000_000
const { addon } = sessionAddon()

let cluster: Cluster

test.before(async () => {
  cluster = await Cluster.create()
})

test.after(() => cluster.destroy())

interface Taker {
  share: RateShare
  /** Bytes that it wants per millisecond. */
  wants: number
  owed: number
  taken: number
  /** When it looks again. */
  wake: number
}

interface Simulation {
  bucket: RateBucket
  takers: Taker[]
  /** What was taken in each millisecond. */
  perMillisecond: number[]
}

const everything = Number.POSITIVE_INFINITY

const taker = (bucket: RateBucket, wants = everything): Taker => ({
  ...{ share: addon.joinBucket(bucket), wants, owed: 0, taken: 0, wake: 0 },
})

/** Lets takers take from the bucket for so long. Timers fire `late` milliseconds after they should. */
function run({ takers, perMillisecond }: Simulation, from: number, milliseconds: number, late = 0): void {
  for (let now = from; now < from + milliseconds; now += 1) {
    perMillisecond[now] = 0
    for (const one of takers) {
      one.owed = one.wants === everything ? 2 ** 40 : one.owed + one.wants
      while (now >= one.wake && one.owed > 0) {
        const bytes = addon.takeShare(one.share, one.owed, now)
        if (bytes === 0) one.wake = now + Math.max(1, Math.ceil(addon.shareDelay(one.share, now))) + late
        one.owed -= bytes
        one.taken += bytes
        perMillisecond[now] = (perMillisecond[now] ?? 0) + bytes
      }
    }
  }
}

/** @param wants what each of the takers wants */
function simulate(rate: number, wants: number[]): Simulation {
  const bucket = addon.makeBucket(rate, 0)
  return { bucket, takers: wants.map((each) => taker(bucket, each)), perMillisecond: [] }
}

/** The most that was taken in any stretch of so many milliseconds. */
function most(perMillisecond: number[], window: number): number {
  let sum = 0
  let highest = 0
  for (const [index, bytes] of perMillisecond.entries()) {
    sum += bytes - (perMillisecond[index - window] ?? 0)
    highest = Math.max(highest, sum)
  }
  return highest
}

test('the rate is kept, and not exceeded by more than 60 ms of it in any stretch of time', () => {
  for (const rate of [100_000, MEGABYTE, 50 * MEGABYTE, 3000 * MEGABYTE]) {
    const simulation = simulate(rate, [everything])
    run(simulation, 0, 5000)
    const taken = simulation.takers[0]?.taken ?? 0
    assert.ok(taken > rate * 5 * 0.98 && taken <= rate * 5.06, `${taken} at ${rate}`)
    for (const window of [10, 100, 1000])
      assert.ok(most(simulation.perMillisecond, window) <= (rate * (window + 60)) / 1000, `${rate} in ${window} ms`)
  }
})

test('timers that are 30 ms late cost nothing, and one that stood still gets no more than the burst', () => {
  const rate = 10 * MEGABYTE
  const late = simulate(rate, [everything])
  run(late, 0, 5000, 30)
  assert.ok((late.takers[0]?.taken ?? 0) > rate * 5 * 0.97, `${late.takers[0]?.taken}`)

  const idle = simulate(rate, [0])
  run(idle, 0, 3000)
  idle.takers[0] = taker(idle.bucket)
  run(idle, 3000, 10)
  assert.ok((idle.takers[0]?.taken ?? 0) <= rate * 0.071, `${idle.takers[0]?.taken}`)
})

test('those who have something to send get the same, and what one does not need goes to the others', () => {
  const rate = 9 * MEGABYTE
  const equal = simulate(rate, [everything, everything, everything])
  run(equal, 0, 5000)
  for (const { taken } of equal.takers) assert.ok(Math.abs(taken / (rate * 5) - 1 / 3) < 0.02, `${taken}`)

  const modest = simulate(rate, [everything, 1000, everything])
  run(modest, 0, 5000)
  const [first, second, third] = modest.takers.map(({ taken }) => taken / (5 * MEGABYTE))
  assert.ok(Math.abs((second ?? 0) - 1) < 0.03, `${second}`)
  assert.ok(Math.abs((first ?? 0) - 4) < 0.15 && Math.abs((third ?? 0) - 4) < 0.15, `${first}, ${third}`)
})

test('a changed rate holds from then on; what a leaver had is given back', () => {
  const simulation = simulate(MEGABYTE, [everything])
  run(simulation, 0, 2000)
  addon.setBucketRate(simulation.bucket, 10 * MEGABYTE, 2000)
  for (const one of simulation.takers) one.wake = 2000
  run(simulation, 2000, 1000)
  addon.setBucketRate(simulation.bucket, MEGABYTE / 2, 3000)
  run(simulation, 3000, 2000)
  const sum = (from: number, to: number) => simulation.perMillisecond.slice(from, to).reduce((a, b) => a + b, 0)
  assert.ok(Math.abs(sum(2000, 3000) / MEGABYTE - 10) < 0.3, `${sum(2000, 3000)}`)
  // What was due at the old rate is cut to the burst of the new one.
  assert.ok(Math.abs(sum(3000, 5000) / MEGABYTE - 1) < 0.05, `${sum(3000, 5000)}`)

  const bucket = addon.makeBucket(MEGABYTE, 0)
  const [leaver, rest] = [addon.joinBucket(bucket), addon.joinBucket(bucket)]
  assert.is(addon.takeShare(leaver, 1, 50), 1)
  const takeAll = () => Array.from({ length: 5 }, () => addon.takeShare(rest, 100_000, 50)).reduce((a, b) => a + b)
  assert.is(takeAll(), 40_000)
  addon.leaveBucket(rest, 50)
  addon.leaveBucket(leaver, 50)
  assert.is(addon.takeShare(rest, 100_000, 51), 10_000, 'what it had not used, and what came about since')
})

test('a rate that is none is refused', () => {
  for (const rate of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(
      () => new RateLimiter(rate),
      (error: { code: string }) => error.code === 'INVALID_ARGUMENT',
    )
    const limiter = new RateLimiter(1)
    assert.throws(() => {
      limiter.bytesPerSecond = rate
    })
  }
})

test(
  'a limited transfer keeps to its rate, over several connections, and its source waits',
  scoped(async (scope) => {
    const { channels } = await pair(scope, cluster, { near: { keyBytes: 256 * 1024 } })
    const { near, far } = await channels()
    const limiter = new RateLimiter(2 * MEGABYTE)
    const sink = new HashSink()
    let read = 0
    const source = new Readable({
      read() {
        read += 100_000
        this.push(read <= 2_000_000 ? randomBytes(100_000) : null)
      },
    })
    const started = performance.now()
    const done = Promise.all([near.send(source, { limiter }), far.receive(sink)])
    await until(() => sink.bytes > 500_000)
    assert.ok(read - sink.bytes < 400_000, `${read - sink.bytes} bytes were read ahead`)
    assert.equal(await done, [2_000_000n, 2_000_000n])
    const seconds = (performance.now() - started) / 1000
    assert.ok(seconds > 0.93, `${seconds} s`)
  }),
)

test(
  'transfers share a limiter fairly; it can be changed; an abort while waiting is prompt',
  scoped(async (scope) => {
    const { channels } = await pair(scope, cluster)
    const limiter = new RateLimiter(MEGABYTE)
    const stop = new AbortController()
    const sinks = [new HashSink(), new HashSink(), new HashSink()]
    const outcomes: Promise<unknown>[] = []
    for (const sink of sinks) {
      const { near, far } = await channels()
      outcomes.push(failure(near.send(endless(), { limiter, signal: stop.signal })), failure(far.receive(sink)))
    }
    const bytes = () => sinks.map((sink) => sink.bytes)
    const total = () => bytes().reduce((a, b) => a + b, 0)
    await until(() => Math.min(...bytes()) > 0)
    const [before, at] = [bytes(), performance.now()]
    // Shares come in portions: each must have had enough of them.
    await new Promise((resolve) => setTimeout(resolve, 2000))
    // What each has got since all of them were under way.
    const shares = bytes().map((count, i) => count - (before[i] ?? 0))
    const rate = (shares.reduce((a, b) => a + b, 0) * 1000) / (performance.now() - at)
    // What was on its way when the count began comes within it. Three limits in place of one would be three times as much.
    assert.ok(rate < 1.3 * MEGABYTE, `${rate} bytes per second`)
    assert.ok(Math.max(...shares) - Math.min(...shares) < 0.2 * Math.max(...shares), `${shares}`)
    limiter.bytesPerSecond = 1000 * MEGABYTE
    const start = total()
    await until(() => total() - start > 20 * MEGABYTE)
    limiter.bytesPerSecond = 1000
    await new Promise((resolve) => setTimeout(resolve, 100))
    const aborted = performance.now()
    stop.abort()
    await Promise.all(outcomes)
    assert.ok(performance.now() - aborted < 1000)
  }),
)

test.run()
