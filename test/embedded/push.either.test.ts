/** Pushes between two processes with pools in files: no kernel module, no root. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { getProperties } from '../../src/datasets/index.js'
import {
  type FlockerError,
  type Host,
  type Peer,
  type Progress,
  pushVolume,
  type ReplicationOptions,
  type Verb,
  type Volume,
} from '../../src/index.js'
import * as lzc from '../../src/lzc/index.js'
import { snapshotName } from '../../src/replication/index.js'
import { failure } from '../zfs/pool.js'
import { type Agent, digest, fill, mebibyte, openAlpha, openBeta, push, snapshotsOf, startBeta } from './cluster.js'
import { useEngine, withDirectory } from './engine.js'
import { Link } from './faults/link.js'

/** Replicas and their source are equal, and beta has kept so many snapshots. */
async function checkReplica(directory: string, source: Volume, snapshots: number): Promise<void> {
  await using beta = await openBeta(directory)
  const replica = await beta.getVolume(source.name)
  assert.is(await digest(replica), await digest(source))
  assert.is((await snapshotsOf(replica.dataset)).length, snapshots)
  assert.is((await failure(replica.write(0, Buffer.alloc(512)))).code, 'READ_ONLY')
}

test('full, incremental, unchanged', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    const volume = await alpha.createVolume('disk', { size: 64 * mebibyte })
    await fill(volume, 0, 48)
    await using agent = await startBeta(directory)

    const full = await push(alpha, volume, agent.port)
    assert.is(full.kind, 'full')
    await fill(volume, 8, 4)
    const incremental = await push(alpha, volume, agent.port)
    assert.is(incremental.kind, 'incremental')
    assert.is(incremental.base, full.snapshot)
    assert.ok(incremental.bytes < full.bytes / 4n, `${incremental.bytes} of ${full.bytes}`)

    {
      await using beta = await alpha.connect(`127.0.0.1:${agent.port}`)
      const again = await pushVolume(volume, beta, { snapshot: incremental.snapshot.split('@')[1] as string })
      assert.is(again.kind, 'current')
      assert.is(again.bytes, 0n)
    }
    assert.equal(Object.keys(await lzc.getHolds(incremental.snapshot)), [])
    assert.is((await failure(openBeta(directory))).code, 'POOL_IN_USE')
    assert.is(await agent.end('SIGTERM'), 'status 0')
    await checkReplica(directory, volume, 2)
  }))

test('a snapshot that an earlier push made, and that did not arrive, can be named', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    const volume = await alpha.createVolume('disk', { size: 16 * mebibyte })
    await fill(volume, 0, 1)
    const [wanted, stray] = [snapshotName(new Date()), snapshotName(new Date())]
    for (const name of [wanted, stray]) {
      await lzc.snapshot(`${volume.dataset}@${name}`, { 'flocker-zfs:pending': 'beta' })
    }
    await using agent = await startBeta(directory)
    await using beta = await alpha.connect(`127.0.0.1:${agent.port}`)
    const pushed = await pushVolume(volume, beta, { snapshot: wanted })
    assert.is(pushed.snapshot, `${volume.dataset}@${wanted}`)
    assert.equal(await snapshotsOf(volume.dataset), [pushed.snapshot], 'the other one is a stray')
    assert.not('flocker-zfs:pending' in (await getProperties(pushed.snapshot)))
  }))

test('a limited push keeps to its rate', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    const volume = await alpha.createVolume('disk', { size: 32 * mebibyte })
    await fill(volume, 0, 16)
    await using agent = await startBeta(directory)
    await using beta = await alpha.connect(`127.0.0.1:${agent.port}`)
    assert.is((await failure(pushVolume(volume, beta, { limit: 0 }))).code, 'INVALID_ARGUMENT')
    const limit = 8 * mebibyte
    const { bytes, milliseconds } = await pushVolume(volume, beta, { limit })
    assert.ok(milliseconds > (Number(bytes) / limit) * 1000 - 100, `${bytes} bytes in ${milliseconds} ms`)
    assert.is(await agent.end('SIGTERM'), 'status 0')
    await checkReplica(directory, volume, 1)
  }))

test('the receiver is killed in the middle of a push; the replica is intact and the next push goes through', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    const volume = await alpha.createVolume('disk', { size: 256 * mebibyte })
    await fill(volume, 0, 8)
    await using first = await startBeta(directory)
    await push(alpha, volume, first.port)
    const before = await digest(volume)

    await fill(volume, 0, 192)
    const peer = await alpha.connect(`127.0.0.1:${first.port}`)
    const error = await failure(
      pushVolume(volume, peer, {
        onProgress: ({ bytes }) => {
          if (bytes > 16n * BigInt(mebibyte)) first.child.kill('SIGKILL')
        },
      }),
    )
    await peer.close()
    assert.is(error.code, 'PEER_LOST')
    assert.is(await first.end('SIGKILL'), 'SIGKILL')
    {
      await using beta = await openBeta(directory)
      assert.is(await digest(await beta.getVolume('disk')), before)
    }
    await using second = await startBeta(directory)
    const pushed = await push(alpha, volume, second.port)
    assert.is(pushed.kind, 'incremental')
    assert.is(await second.end('SIGTERM'), 'status 0')
    await checkReplica(directory, volume, pushed.resumed === undefined ? 2 : 3)
  }))

/** Pushes until so many bytes have gone, then does something about it; the error that the push ends with. */
async function interrupted(
  alpha: Host,
  volume: Volume,
  port: number,
  interrupt: (peer: Peer) => void,
  options: ReplicationOptions = {},
): Promise<FlockerError> {
  await using peer = await alpha.connect(`127.0.0.1:${port}`)
  let done = false
  const onProgress = ({ bytes }: Progress): void => {
    if (bytes < 24n * BigInt(mebibyte) || done) return
    done = true
    interrupt(peer)
  }
  return await failure(pushVolume(volume, peer, { limit: 96 * mebibyte, ...options, onProgress }))
}

async function withInterruptible(
  use: (parts: { directory: string; alpha: Host; volume: Volume; agent: Agent }) => Promise<void>,
): Promise<void> {
  await withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    const volume = await alpha.createVolume('disk', { size: 128 * mebibyte })
    await fill(volume, 0, 96)
    await using agent = await startBeta(directory)
    await use({ directory, alpha, volume, agent })
  })
}

test('after a connection that was closed in the middle, the next push sends the rest', () =>
  withInterruptible(async ({ directory, alpha, volume, agent }) => {
    const error = await interrupted(alpha, volume, agent.port, (peer) => void peer.close())
    assert.is(error.code, 'ABORTED')
    const [snapshot] = await snapshotsOf(volume.dataset)
    assert.ok(snapshot, 'the snapshot stays: its rest is to be sent')
    assert.equal(Object.keys(await lzc.getHolds(snapshot)), ['flocker:to:beta'])
    await fill(volume, 0, 2)

    const pushed = await push(alpha, volume, agent.port)
    assert.is(pushed.resumed?.snapshot, snapshot)
    assert.ok(pushed.resumed && pushed.resumed.kept > 16n * BigInt(mebibyte), `${pushed.resumed?.kept} bytes were kept`)
    const all = await lzc.sendSpace(snapshot)
    assert.ok(pushed.resumed.bytes + pushed.resumed.kept < all + all / 10n, 'little of it was sent again')
    assert.is(pushed.kind, 'incremental')
    assert.is(pushed.base, snapshot)
    assert.is(await agent.end('SIGTERM'), 'status 0')
    await checkReplica(directory, volume, 2)
  }))

test('an abort takes back what has arrived, or keeps it where the caller says so', () =>
  withInterruptible(async ({ directory, alpha, volume, agent }) => {
    const aborted = new AbortController()
    const stop = () => aborted.abort()
    const error = await interrupted(alpha, volume, agent.port, stop, { signal: aborted.signal })
    assert.is(error.code, 'ABORTED')
    assert.equal(await snapshotsOf(volume.dataset), [])

    const paused = new AbortController()
    const pause = () => paused.abort()
    await interrupted(alpha, volume, agent.port, pause, { signal: paused.signal, onAbort: 'keep' })
    const [snapshot] = await snapshotsOf(volume.dataset)
    const pushed = await push(alpha, volume, agent.port)
    assert.is(pushed.resumed?.snapshot, snapshot)
    assert.is(await agent.end('SIGTERM'), 'status 0')
    await checkReplica(directory, volume, 2)
  }))

test('a part that nothing can be added to stops a push, until the caller has it discarded', () =>
  withInterruptible(async ({ directory, alpha, volume, agent }) => {
    await interrupted(alpha, volume, agent.port, (peer) => void peer.close())
    const [snapshot = ''] = await snapshotsOf(volume.dataset)
    assert.is((await failure(lzc.destroySnapshots([snapshot]))).code, 'BUSY', 'who prunes can not take it')
    await lzc.release({ [snapshot]: 'flocker:to:beta' })
    await lzc.destroySnapshots([snapshot])
    const { code, message } = await failure(push(alpha, volume, agent.port))
    assert.is(code, 'PARTIAL_STALE')
    assert.match(message, 'which alpha/flocker/disk does not have')
    assert.match(message, "partial: 'discard'")
    assert.equal(await snapshotsOf(volume.dataset), [])
    {
      await using beta = await alpha.connect(`127.0.0.1:${agent.port}`)
      const pushed = await pushVolume(volume, beta, { partial: 'discard' })
      assert.is(pushed.kind, 'full')
      assert.is(pushed.resumed, undefined)
    }
    assert.is(await agent.end('SIGTERM'), 'status 0')
    await checkReplica(directory, volume, 1)
  }))

test('an abort while the data connection is being made ends the push, and not the agent', () =>
  withInterruptible(async ({ alpha, volume, agent }) => {
    await using link = await Link.listen(agent.port)
    const abort = new AbortController()
    const strike = async (record: Buffer): Promise<Buffer> => {
      abort.abort()
      await wait(500)
      return record
    }
    link.begin({ spot: { connection: 1, direction: 'there', record: 0, part: 0 }, strike })
    await using peer = await alpha.connect(`127.0.0.1:${link.port}`)
    assert.is((await failure(pushVolume(volume, peer, { signal: abort.signal }))).code, 'ABORTED')
    assert.is((await push(alpha, volume, agent.port)).kind, 'full')
    assert.is(await agent.end('SIGTERM'), 'status 0')
  }))

test('the process that serves a replica gives it back', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    await using beta = await openBeta(directory)
    const verbs: Verb[] = ['inspect', 'receive']
    const serve = (host: Host, peer: string) =>
      host.listen({ port: 0, address: '127.0.0.1', authorize: [{ peer, verbs, datasets: [`${host.root}/**`] }] })
    const [ours, theirs] = [await serve(alpha, 'beta'), await serve(beta, 'alpha')]
    const lost = await alpha.createVolume('disk', { size: 16 * mebibyte })
    await fill(lost, 0, 8)
    const { snapshot, guid } = await push(alpha, lost, theirs.port)
    const before = await digest(lost)
    await lzc.destroySnapshots([snapshot])
    await lzc.destroyBookmarks(
      Object.keys(await lzc.getBookmarks(lost.dataset)).map((name) => `${lost.dataset}#${name}`),
    )
    await lzc.destroy(lost.dataset)

    await using peer = await beta.connect(`127.0.0.1:${ours.port}`)
    const name = snapshot.split('@')[1] as string
    const returned = await pushVolume(await beta.getVolume('disk'), peer, { snapshot: name })
    assert.equal([returned.kind, returned.guid], ['full', guid])
    assert.is(await digest(await alpha.getVolume('disk')), before)
  }))

test('what needs the kernel is not supported, and mistakes are told before anything is touched', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    assert.is((await failure(alpha.createVolume('files'))).code, 'NOT_SUPPORTED')
    await lzc.create('alpha/fs')
    const { mount, unmount } = await import('../../src/datasets/index.js')
    assert.is((await failure(mount('alpha/fs'))).code, 'NOT_SUPPORTED')
    assert.is((await failure(unmount('alpha/fs'))).code, 'NOT_SUPPORTED')
    assert.not(existsSync('/alpha'))
    const { openHost } = await import('../../src/index.js')
    const credentials = join(directory, 'alpha')
    assert.is((await failure(openHost({ pool: 'tank', credentials }))).code, 'INVALID_ARGUMENT')
    const elsewhere = openHost({ embedded: join(directory, 'c'), pool: 'alpha', credentials })
    assert.is((await failure(elsewhere)).code, 'EXISTS')
    const volume = await alpha.createVolume('disk', { size: mebibyte })
    assert.is(await volume.size(), BigInt(mebibyte))
    for (const attempt of [
      () => volume.read(mebibyte, 1),
      () => volume.write(mebibyte - 1, Buffer.alloc(2)),
      () => volume.read(-1, 1),
      () => volume.read(0, 0.5),
    ]) {
      assert.is((await failure(attempt())).code, 'INVALID_ARGUMENT')
    }
    await volume.write(100, Buffer.from('kept'))
    await volume.flush()
    await volume.discard(0, mebibyte)
    assert.equal(await volume.read(100, 4), Buffer.alloc(4))
  }))

test.before(async () => {
  await useEngine()
})

test.run()
