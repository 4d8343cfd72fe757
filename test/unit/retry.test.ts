import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  AbortError,
  AddonError,
  ArgumentError,
  abortReason,
  DivergedError,
  FlockerError,
  NotAuthorizedError,
  NotSupportedError,
  ReplicationError,
  StreamError,
  TimeoutError,
  TransportError,
  ZfsError,
} from '../../src/errors.js'
import {
  Advance,
  backoffMilliseconds,
  checkRetry,
  type Retry,
  type RetryOptions,
  retrying,
} from '../../src/replication/retry.js'
import type { Step } from '../../src/replication/steps.js'
import { isTransient } from '../../src/replication/transient.js'

const lost = new TransportError('PEER_LOST', 'gone')

test('what goes away by itself, and what does not', () => {
  for (const code of ['PEER_LOST', 'PEER_UNREACHABLE', 'GARBLED', 'PEER_BUSY']) {
    assert.ok(isTransient(new TransportError(code, code)), code)
  }
  for (const code of ['RECEIVER_BUSY', 'SENDER_BUSY', 'PARTIAL_CHANGED']) {
    assert.ok(isTransient(new ReplicationError(code, code)), code)
  }
  assert.ok(isTransient(new StreamError('STREAM_TRUNCATED', 'it broke off')))
  for (const code of ['TLS_FAILED', 'PROTOCOL', 'VERSION'])
    assert.not(isTransient(new TransportError(code, code)), code)
  for (const code of ['SUPERSEDED', 'GUID_MISMATCH', 'PARTIAL_STALE', 'REPLICA_CHANGED', 'HOOK_FAILED']) {
    assert.not(isTransient(new ReplicationError(code, code)), code)
  }
  for (const code of ['NO_SPACE', 'QUOTA', 'NOT_FOUND', 'BUSY', 'IO', 'POOL_SUSPENDED']) {
    assert.not(isTransient(new ZfsError(code, code)), code)
  }
  const others = [
    new NotAuthorizedError('no'),
    new NotSupportedError('no'),
    new DivergedError('no'),
    new ArgumentError('no'),
    new AddonError('ZFS_UNAVAILABLE', 'no'),
    new FlockerError('INTERNAL', 'no'),
    new StreamError('STREAM_INVALID', 'no'),
    new Error('PEER_LOST'),
    undefined,
  ]
  for (const error of others) assert.not(isTransient(error), String(error))
})

test('a stall is transient, the caller’s deadline and abort are not, and the end of the other side is', () => {
  assert.ok(isTransient(new TimeoutError('no progress for 300 s')))
  const deadline = new AbortController()
  deadline.abort(new DOMException('late', 'TimeoutError'))
  assert.not(isTransient(abortReason(deadline.signal, 'The push')))
  assert.not(isTransient(new AbortError('The connection was closed')))
  assert.ok(isTransient(new AbortError('The connection was closed', { peer: 'beta' })))
})

test('a stream that is corrupt twice is so where it comes from, and a base that does not fit twice is not by chance', () => {
  const corrupt = new StreamError('STREAM_CORRUPT', 'a checksum is wrong')
  const mismatch = new ZfsError('BASE_MISMATCH', 'it ends in another snapshot')
  for (const error of [corrupt, mismatch]) {
    assert.ok(isTransient(error))
    assert.ok(isTransient(error, [lost, error === corrupt ? mismatch : corrupt]))
    assert.not(isTransient(error, [error, lost]))
  }
})

test('waits double up to the longest, and chance takes up to half off', () => {
  const retry = { firstMilliseconds: 100, mostMilliseconds: 1000 }
  const waits = (random: number) => [1, 2, 3, 4, 5, 2000].map((n) => backoffMilliseconds(retry, n, random))
  assert.equal(waits(0), [100, 200, 400, 800, 1000, 1000])
  assert.equal(waits(0.5), [75, 150, 300, 600, 750, 750])
  assert.is(backoffMilliseconds({}, 1, 0), 1000)
  assert.is(backoffMilliseconds({}, 10, 0), 60_000)
})

test('bad retry options are refused', () => {
  for (const retry of [
    { attempts: -1 },
    { attempts: 0.5 },
    { attempts: Number.NaN },
    { attempts: 1, firstMilliseconds: -1 },
  ]) {
    assert.throws(
      () => checkRetry(retry),
      (error: { code: string }) => error.code === 'INVALID_ARGUMENT',
    )
  }
  for (const attempts of [0, 5, Number.POSITIVE_INFINITY]) checkRetry({ attempts })
})

/** Runs what fails with these errors in turn and then succeeds, on a clock that stands at no time. */
async function run(
  errors: unknown[],
  retry: RetryOptions | undefined,
  { advances = [], signal }: { advances?: number[]; signal?: AbortSignal } = {},
) {
  const told: Retry[] = []
  const waited: number[] = []
  let runs = 0
  const outcome = retrying(
    {
      what: 'The push',
      retry,
      signal,
      onRetry: (each) => told.push(each),
      advanced: () => advances.includes(runs),
    },
    async (before) => {
      assert.is(before, runs)
      runs += 1
      const error = errors[runs - 1]
      if (error !== undefined) throw error
      return 'done'
    },
    {
      wait: async (milliseconds, ending) => {
        ending?.throwIfAborted()
        waited.push(milliseconds)
      },
      random: () => 0,
    },
  )
  const ended = await outcome.catch((error) => error)
  return { ended, told, waited, runs }
}

const retry = { attempts: 2, firstMilliseconds: 10, mostMilliseconds: 1000 }

test('tries again as often as it may, tells each time, and ends with the last error', async () => {
  const twice = await run([lost, lost], retry)
  assert.is(twice.ended, 'done')
  assert.equal(twice.waited, [10, 20])
  assert.equal(
    twice.told.map(({ attempt, waitMilliseconds }) => [attempt, waitMilliseconds]),
    [
      [1, 10],
      [2, 20],
    ],
  )
  assert.ok(twice.told.every(({ error }) => error === lost))
  const last = new TransportError('PEER_UNREACHABLE', 'nobody answers')
  const thrice = await run([lost, lost, last], retry)
  assert.is(thrice.ended, last)
  assert.is(thrice.runs, 3)
  assert.is((await run([lost], undefined)).ended, lost)
})

test('what is not transient is not tried again', async () => {
  const full = new ZfsError('NO_SPACE', 'full')
  const { ended, runs } = await run([lost, full], retry)
  assert.is(ended, full)
  assert.is(runs, 2)
})

test('what has arrived in between begins the count and the wait anew', async () => {
  const { ended, waited } = await run([lost, lost, lost, lost], retry, { advances: [3] })
  assert.is(ended, 'done')
  assert.equal(waited, [10, 20, 10, 20])
})

test('the signal ends the wait', async () => {
  const stop = new AbortController()
  const waiting = retrying(
    {
      what: 'The push',
      retry: { attempts: 1, firstMilliseconds: 60_000 },
      signal: stop.signal,
      onRetry: () => setTimeout(() => stop.abort(), 10),
      advanced: () => false,
    },
    async () => Promise.reject(lost),
  )
  const error = await waiting.catch((reason) => reason)
  assert.is(error.code, 'ABORTED')
  const before = await run([lost], retry, { signal: AbortSignal.abort() })
  assert.is(before.ended, lost)
  assert.is(before.told.length, 0)
})

test('a stream that goes on from further than before has advanced', () => {
  const begun = (guid: bigint, kept: bigint): Step => ({ step: 'streamBegun', snapshot: 's', kind: 'full', guid, kept })
  const advance = new Advance()
  const after = (...steps: Step[]): boolean => {
    for (const step of steps) advance.see(step)
    return advance.take()
  }
  assert.not(after(begun(1n, 0n)))
  assert.ok(after(begun(1n, 10n)))
  assert.not(after(begun(1n, 10n)), 'nothing of what was sent has stayed')
  assert.ok(after({ step: 'streamDone', snapshot: 's', kind: 'full', guid: 1n, kept: 10n, bytes: 5n, milliseconds: 1 }))
  assert.not(after(begun(2n, 0n)))
  assert.not(advance.take())
})

test.run()
