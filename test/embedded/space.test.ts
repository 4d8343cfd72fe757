/** Pools whose file is larger than what their disk has room for. */
import { spawnSync } from 'node:child_process'
import { statfsSync } from 'node:fs'
import { type Test, test } from 'uvu'
import * as assert from 'uvu/assert'
import { getProperties } from '../../src/datasets/index.js'
import { type FlockerError, pushVolume } from '../../src/index.js'
import * as lzc from '../../src/lzc/index.js'
import { eventually, failure } from '../zfs/pool.js'
import { fill, mebibyte, openAlpha, push, startBeta } from './cluster.js'
import { build, withDirectory } from './engine.js'

/** What the engine leaves free on the disk, see native/embedded/pool.c. */
const reserve = 64n << 20n

/** Runs a command with a file system of 256 MiB of its own at `b`, which nobody else sees. */
const namespace = ['unshare', ...(process.getuid?.() === 0 ? [] : ['--map-root-user']), '--mount']
const onSmallDisk = [...namespace, 'sh', '-c', 'mkdir b && mount -t tmpfs -o size=256m none b && exec "$0" "$@"']

function withSmallDisk(title: string, body: () => Promise<void>): ReturnType<Test> {
  if (spawnSync(namespace[0] as string, [...namespace.slice(1), 'true']).status === 0) return test(title, body)
  console.log(`left out, as this user can't have a mount namespace: ${title}`)
}

test('no more is available than the disk has free, without what it must keep', () =>
  withDirectory(async (directory) => {
    await lzc.openPool(directory, 'large', { size: 1n << 40n })
    await lzc.create('large/fs')
    await lzc.create('large/small', { properties: { quota: '1M' } })
    const { bavail, bsize } = statfsSync(directory, { bigint: true })
    const availableOf = async (name: string): Promise<bigint> => (await getProperties(name)).available?.value as bigint
    for (const name of ['large', 'large/fs']) {
      const available = await availableOf(name)
      assert.ok(available <= bavail * bsize - reserve, `${available} of ${bavail * bsize}`)
      assert.ok(available > 0n)
    }
    assert.ok((await availableOf('large/small')) <= 1n << 20n)
    await lzc.closePool('large')
  }))

withSmallDisk('a push that the disk has no room for is refused before its first byte; one that fits goes through', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    const [large, small] = [
      await alpha.createVolume('large', { size: 200 * mebibyte }),
      await alpha.createVolume('small', { size: 128 * mebibyte }),
    ]
    await fill(large, 0, 200)
    await fill(small, 0, 128)
    await using agent = await startBeta(directory, onSmallDisk)
    await using beta = await alpha.connect(`127.0.0.1:${agent.port}`)
    let bytes = 0n
    const onProgress = (progress: { bytes: bigint }): void => {
      bytes = progress.bytes
    }
    const error = await failure(pushVolume(large, beta, { onProgress }))
    assert.is(error.code, 'NO_SPACE')
    assert.match(error.message, /bytes available/)
    assert.is(bytes, 0n)
    // Without the check the receive itself stops, and the pool lives.
    assert.is((await failure(pushVolume(large, beta, { onProgress, checkSpace: false }))).code, 'NO_SPACE')
    assert.ok(bytes > 64n << 20n, `${bytes}`)
    // Once what it had is given back to the disk, there is room again.
    const started = performance.now()
    await eventually(async () => {
      try {
        return (await push(alpha, small, agent.port)).kind === 'full'
      } catch (error) {
        assert.is((error as FlockerError).code, 'NO_SPACE')
        return false
      }
    }, 60_000)
    console.log(`measured: room again after ${((performance.now() - started) / 1000).toFixed(1)} s`)
    assert.is(await agent.end('SIGTERM'), 'status 0')
  }),
)

test.before(async () => {
  process.env.FLOCKER_ZFS_ENGINE = 'embedded'
  process.env.FLOCKER_ZFS_EMBEDDED_LIBRARY ??= (await build('2.3')).library
})

test.run()
