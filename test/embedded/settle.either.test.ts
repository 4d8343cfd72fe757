/** What an interrupted push has left on either side, and what somebody has made of it before the next one. */
import { randomBytes, randomUUID } from 'node:crypto'
import { pino } from 'pino'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Peer, pushVolume, type Volume } from '../../src/index.js'
import * as lzc from '../../src/lzc/index.js'
import { LocalSource } from '../../src/replication/local-source.js'
import { failure } from '../zfs/pool.js'
import { snapshotsOf } from './cluster.js'
import { useEngine, withDirectory } from './engine.js'
import { Field, Lane } from './histories/field.js'

const bytes = 4 * 1024 * 1024

interface Scene {
  volume: Volume
  peer: Peer
  /** Pushes, and pauses in the middle. */
  interrupt: () => Promise<string>
  /** Pushes, and loses the snapshot's part at the destination, as where its pool went back to what was on disk. */
  interruptAndLose: () => Promise<string>
}

/** A volume that was pushed once, and changed since. */
async function withReplica(use: (scene: Scene) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    await using field = await Field.open(directory)
    await using lane = await Lane.open(field)
    lane.place = 'test'
    const { peer } = lane.links.alpha
    const volume = await field.hosts.alpha.createVolume('test/disk', { size: bytes })
    const change = () => volume.write(0, randomBytes(bytes))
    await change()
    await pushVolume(volume, peer)
    await change()
    const interrupt = async (): Promise<string> => {
      const stop = new AbortController()
      const pushing = pushVolume(volume, peer, {
        limit: bytes,
        signal: stop.signal,
        onAbort: 'keep',
        onProgress: ({ bytes: gone }) => void (gone > 500_000n && stop.abort()),
      })
      assert.is((await failure(pushing)).code, 'ABORTED')
      await lane.settled()
      return (await snapshotsOf(volume.dataset)).at(-1) as string
    }
    const interruptAndLose = async (): Promise<string> => {
      const snapshot = await interrupt()
      await lzc.destroy('beta/test/disk/%recv')
      return snapshot
    }
    await use({ volume, peer, interrupt, interruptAndLose })
  })
}

test('the replica was given a snapshot of its own beside a part of a stream: that part is stale, and says so', () =>
  withReplica(async ({ volume, peer, interrupt }) => {
    await interrupt()
    await lzc.snapshot('beta/test/disk@theirs')
    assert.is((await failure(pushVolume(volume, peer))).code, 'PARTIAL_STALE')
    assert.is((await failure(pushVolume(volume, peer, { partial: 'discard' }))).code, 'DIVERGED')
    assert.is((await pushVolume(volume, peer, { onDivergence: 'preserve' })).kind, 'full')
  }))

test('a snapshot that was not delivered goes; one that somebody has given a name of their own, or cloned, stays', () =>
  withReplica(async ({ volume, peer, interruptAndLose }) => {
    const first = await interruptAndLose()
    await pushVolume(volume, peer)
    assert.not(await lzc.exists(first))

    await volume.write(0, randomBytes(bytes))
    await lzc.rename(await interruptAndLose(), 'alpha/test/disk@mine')
    await volume.write(0, randomBytes(bytes))
    const cloned = await interruptAndLose()
    await lzc.clone(cloned, 'alpha/test/clone')
    assert.is((await pushVolume(volume, peer)).kind, 'incremental')
    assert.ok(await lzc.exists('alpha/test/disk@mine'))
    assert.ok(await lzc.exists(cloned))
  }))

test("another process that settles while a push is being confirmed is not in its way, and doesn't take its snapshot for a stray", () =>
  withDirectory(async (directory) => {
    await using field = await Field.open(directory)
    const volume = await field.hosts.alpha.createVolume('disk', { size: bytes })
    const sourceOf = (): LocalSource =>
      new LocalSource('alpha', 'beta', () => volume.dataset, randomUUID(), pino({ enabled: false }))
    for (let round = 0; round < 20; round++) {
      await volume.write(0, randomBytes(bytes / 64))
      const source = sourceOf()
      const target = await source.takeSnapshot('disk')
      const snapshot = `${volume.dataset}@${target.name}`
      const order = { transfer: randomUUID(), volume: 'disk', target, base: undefined, resume: undefined }
      const outgoing = await source.open(order, AbortSignal.timeout(30_000))
      for await (const _ of outgoing.body.stream);
      // Every other time it asked the destination when the snapshot was there.
      const guids = new Set(round % 2 === 0 ? [] : [target.guid])
      const there = { guids, complete: true, partial: undefined }
      let confirmed = false
      const confirming = source.confirm('disk', target).finally(() => (confirmed = true))
      while (!confirmed) await sourceOf().inspect('disk', there)
      await confirming
      assert.equal(Object.keys(await lzc.getHolds(snapshot)), [])
      await outgoing.close()
      assert.is((await sourceOf().inspect('disk', there)).snapshots.at(-1)?.pendingFor, undefined)
      assert.ok(await lzc.exists(snapshot))
    }
  }))

test.before(useEngine)

test.run()
