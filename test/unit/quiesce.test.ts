import { setTimeout as wait } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ZfsError } from '../../src/errors.js'
import { type SnapshotHooks, takeQuietly } from '../../src/replication/quiesce.js'

/** What happened, in order, and how it ended. */
async function run(
  hooks: (log: string[]) => SnapshotHooks,
  { take, signal }: { take?: () => Promise<string>; signal?: AbortSignal } = {},
) {
  const log: string[] = []
  const taking = takeQuietly<string>({
    what: 'push of a to beta',
    volume: 'a',
    peer: 'beta',
    hooks: hooks(log),
    signal,
    take: async () => {
      log.push('take')
      return take === undefined ? 's' : take()
    },
    nameOf: (taken) => taken,
    withdraw: async (taken) => void log.push(`withdraw ${taken}`),
  })
  const ended = await taking.catch((error) => error)
  return { log, ended }
}

const both = (log: string[]): SnapshotHooks => ({
  beforeSnapshot: ({ volume, peer }) => void log.push(`before ${volume} ${peer}`),
  afterSnapshot: ({ snapshot }) => void log.push(`after ${snapshot}`),
})

test('the snapshot is taken between the hooks', async () => {
  const { log, ended } = await run(both)
  assert.equal(log, ['before a beta', 'take', 'after s'])
  assert.is(ended, 's')
  assert.equal((await run(() => ({}))).log, ['take'])
})

test('the application goes on after whatever goes wrong', async () => {
  const full = new ZfsError('NO_SPACE', 'full')
  const failed = await run(both, { take: () => Promise.reject(full) })
  assert.equal(failed.log, ['before a beta', 'take', 'after undefined'])
  assert.is(failed.ended, full)

  const refused = await run((log) => ({ ...both(log), beforeSnapshot: () => Promise.reject(new Error('no lock')) }))
  assert.equal(refused.log, ['after undefined'])
  assert.is(refused.ended.code, 'HOOK_FAILED')
  assert.match(refused.ended.message, 'beforeSnapshot of push of a to beta failed: no lock')
})

test('an abort does not keep the application still, and none before it touches it', async () => {
  const stop = new AbortController()
  const { log, ended } = await run(
    (log) => ({
      ...both(log),
      beforeSnapshot: async ({ signal }) => {
        stop.abort()
        assert.ok(signal.aborted)
        await new Promise(() => undefined)
      },
    }),
    { signal: stop.signal },
  )
  assert.equal(log, ['after undefined'])
  assert.is(ended.code, 'ABORTED')
  const early = await run(both, { signal: stop.signal })
  assert.equal(early.log, [])
  assert.is(early.ended.code, 'ABORTED')
})

test('hooks, and the snapshot between them, have a deadline', async () => {
  const hanging = await run((log) => ({ ...both(log), hookMilliseconds: 20, beforeSnapshot: () => wait(1000) }))
  assert.equal(hanging.log, ['after undefined'])
  assert.is(hanging.ended.code, 'HOOK_FAILED')
  assert.match(hanging.ended.message, 'within 20 ms')

  const slow = await run((log) => ({ ...both(log), hookMilliseconds: 20 }), { take: () => wait(1000, 's') })
  assert.equal(slow.log, ['before a beta', 'take', 'after undefined'])
  assert.is(slow.ended.code, 'HOOK_FAILED')
})

test('a snapshot after which the application does not go on is taken back', async () => {
  const hooks = (log: string[]): SnapshotHooks => ({
    ...both(log),
    afterSnapshot: () => {
      throw new Error('still locked')
    },
  })
  const { log, ended } = await run(hooks)
  assert.equal(log, ['before a beta', 'take', 'withdraw s'])
  assert.is(ended.code, 'HOOK_FAILED')
  assert.match(ended.message, 'still locked')
  const neither = await run(hooks, { take: () => Promise.reject(new ZfsError('NO_SPACE', 'full')) })
  assert.is(neither.ended.code, 'HOOK_FAILED')
  assert.match(neither.ended.message, 'full; ')
})

test.run()
