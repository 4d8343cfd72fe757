/** Pushes between two processes with pools in files: no kernel module, no root. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { listSnapshots } from '../../src/datasets/index.js'
import { type Host, pushVolume, type Verb, type Volume } from '../../src/index.js'
import * as lzc from '../../src/lzc/index.js'
import { failure } from '../zfs/pool.js'
import { digest, openAlpha, openBeta, startBeta } from './cluster.js'
import { build, withDirectory } from './engine.js'

const mebibyte = 1024 * 1024

function* random(mebibytes: number): Generator<Buffer> {
  for (let i = 0; i < mebibytes; i++) yield randomBytes(mebibyte)
}

async function fill(volume: Volume, start: number, mebibytes: number): Promise<void> {
  await pipeline(random(mebibytes), volume.writable({ start: start * mebibyte }))
}

/** Replicas and their source are equal, and beta has kept so many snapshots. */
async function checkReplica(directory: string, source: Volume, snapshots: number): Promise<void> {
  await using beta = await openBeta(directory)
  const replica = await beta.getVolume(source.name)
  assert.is(await digest(replica), await digest(source))
  const names: string[] = []
  for await (const { name } of listSnapshots(replica.dataset)) names.push(name)
  assert.is(names.length, snapshots)
  assert.is((await failure(replica.write(0, Buffer.alloc(512)))).code, 'READ_ONLY')
}

async function push(alpha: Host, volume: Volume, port: number) {
  await using beta = await alpha.connect(`127.0.0.1:${port}`)
  return await pushVolume(volume, beta)
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

test('the receiver is killed in the middle of a push; the next one goes through', () =>
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
    assert.is((await push(alpha, volume, second.port)).kind, 'incremental')
    assert.is(await second.end('SIGTERM'), 'status 0')
    await checkReplica(directory, volume, 2)
  }))

test('closing the connection in the middle of a push ends it, in one error', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    const volume = await alpha.createVolume('disk', { size: 128 * mebibyte })
    await fill(volume, 0, 96)
    await using agent = await startBeta(directory)
    const peer = await alpha.connect(`127.0.0.1:${agent.port}`)
    let closed: Promise<void> | undefined
    const onProgress = ({ bytes }: { bytes: bigint }): void => {
      if (bytes > BigInt(mebibyte)) closed ??= peer.close()
    }
    assert.is((await failure(pushVolume(volume, peer, { onProgress }))).code, 'ABORTED')
    await closed
    const names: string[] = []
    for await (const { name } of listSnapshots(volume.dataset)) names.push(name)
    assert.equal(names, [])
    assert.is((await push(alpha, volume, agent.port)).kind, 'full')
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
  process.env.FLOCKER_ZFS_EMBEDDED_LIBRARY ??= (await build('2.3')).library
})

test.run()
