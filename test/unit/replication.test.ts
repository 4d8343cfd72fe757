import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { TimeoutError } from '../../src/errors.js'
import { Claims } from '../../src/replication/claims.js'
import {
  checkSnapshotName,
  checkVolumeName,
  cursorName,
  isCursorOf,
  snapshotName,
} from '../../src/replication/names.js'
import { judgePending } from '../../src/replication/pending.js'
import { ProgressMeter } from '../../src/replication/progress.js'
import { Watchdog } from '../../src/replication/watchdog.js'

test('volume and snapshot names that could escape the root are refused', () => {
  for (const good of ['a', 'db/main', 'a.b_c-d:e', '0']) checkVolumeName(good)
  for (const bad of [
    '',
    '/',
    'a/',
    '/a',
    'a//b',
    '..',
    'a/../b',
    'a@b',
    'a#b',
    'a%recv',
    'a b',
    '-a',
    'a'.repeat(201),
  ]) {
    assert.throws(
      () => checkVolumeName(bad),
      (error: { code: string }) => error.code === 'INVALID_ARGUMENT',
    )
  }
  checkSnapshotName(snapshotName(new Date()))
  for (const bad of ['', 'a@b', 'a/b', 'a%b']) assert.throws(() => checkSnapshotName(bad))
})

test('a cursor belongs to one peer, also when one name begins like another', () => {
  const name = cursorName('beta', 0xabcn)
  assert.is(name, 'flocker:beta:0000000000000abc')
  assert.ok(isCursorOf('beta', name))
  assert.not(isCursorOf('bet', name))
  assert.not(isCursorOf('beta:0', name))
  assert.not(isCursorOf('beta', 'flocker:beta:mine'))
})

test('what an interrupted push left is judged by what the peer has', () => {
  const mark = (name: string, guid: bigint, pendingFor?: string) => ({
    name,
    guid,
    createtxg: guid,
    userrefs: 0n,
    pendingFor,
  })
  const c = snapshotName(new Date())
  const snapshots = [mark('a', 1n), mark('b', 2n, 'beta'), mark(c, 3n, 'beta'), mark('d', 4n, 'gamma')]
  // Whoever has given it another name wants it.
  snapshots.push(mark('mine', 5n, 'beta'))
  const known = judgePending(snapshots, 'beta', new Set([1n, 2n]), true)
  assert.equal([known.delivered.map(({ name }) => name), known.strays.map(({ name }) => name)], [['b'], [c]])
  assert.equal(judgePending(snapshots, 'beta', new Set([1n]), false).strays, [], 'an incomplete list condemns nothing')
  assert.equal(judgePending(snapshots, 'beta', new Set([1n]), true, undefined, c).strays, [], 'it is asked for')
})

test('a claim is exclusive, and a waiter gets it when it is given back', async () => {
  const claims = new Claims()
  const release = claims.take('x')
  assert.is(claims.take('x'), undefined)
  assert.is(await claims.takeWithin('x', 20), undefined)
  const waiting = claims.takeWithin('x', 1000)
  release?.()
  const second = await waiting
  assert.type(second, 'function')
  second?.()
  await claims.settled()
})

test('progress: rate is smoothed, reports are rationed, sizes may be off', () => {
  const meter = new ProgressMeter('tank/a@b', 1000n, 0n, 0, 200)
  assert.is(meter.update(100n, 1000)?.bytesPerSecond, 100)
  assert.is(meter.update(150n, 1100), undefined)
  const faster = meter.update(400n, 2000)
  assert.ok(faster !== undefined && faster.bytesPerSecond > 100 && faster.bytesPerSecond < 300)
  assert.is(meter.report(3000).bytes, 400n)
  assert.is(meter.update(2000n, 4000)?.secondsLeft, 0)
})

test('a watchdog fires when nothing moves, and not while something does', async () => {
  const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))
  using dog = new Watchdog('push', undefined, 1000)
  for (let i = 0; i < 4; i++) {
    await pause(300)
    dog.touch()
  }
  assert.not(dog.signal.aborted)
  await pause(1500)
  assert.instance(dog.signal.reason, TimeoutError)
})

test('a watchdog passes on the caller signal, with its reason as the cause', () => {
  const controller = new AbortController()
  using dog = new Watchdog('push', controller.signal, 1000)
  controller.abort(new Error('enough'))
  assert.is(dog.signal.reason.code, 'ABORTED')
  assert.is(dog.signal.reason.cause.message, 'enough')
})

test.run()
