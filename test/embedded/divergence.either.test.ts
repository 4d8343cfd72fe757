/** Histories that have parted, and the ways on from there. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { DivergedError, type Host, pushVolume, type ReplicationOptions, type Volume } from '../../src/index.js'
import * as lzc from '../../src/lzc/index.js'
import { failure } from '../zfs/pool.js'
import { digest, fill, mebibyte, openAlpha, openBeta, snapshotsOf, startBeta } from './cluster.js'
import { useEngine, withDirectory } from './engine.js'

const replica = 'beta/flocker/disk'

/** Pushes to a beta that runs for so long only. */
async function push(directory: string, alpha: Host, volume: Volume, options: ReplicationOptions = {}) {
  await using agent = await startBeta(directory)
  await using beta = await alpha.connect(`127.0.0.1:${agent.port}`)
  const result = await pushVolume(volume, beta, options)
  assert.is(await agent.end('SIGTERM'), 'status 0')
  return result
}

/** Takes a snapshot of the replica behind the source's back, and makes a bookmark of it. */
async function part(directory: string, name: string): Promise<void> {
  await using _ = await openBeta(directory)
  await lzc.snapshot(`${replica}@${name}`)
  await lzc.bookmark({ [`${replica}#${name}`]: `${replica}@${name}` })
}

test('a diverged replica is rolled back, or kept under another name, when the caller says so', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    const volume = await alpha.createVolume('disk', { size: 16 * mebibyte })
    await fill(volume, 0, 4)
    const first = await push(directory, alpha, volume)
    await part(directory, 'theirs')
    await fill(volume, 2, 4)
    {
      await using agent = await startBeta(directory)
      await using beta = await alpha.connect(`127.0.0.1:${agent.port}`)
      const error = await failure(pushVolume(volume, beta))
      assert.instance(error, DivergedError)
      const { common, losing, message } = error as DivergedError
      assert.is(common?.guid, first.guid)
      assert.equal(
        losing.map(({ name }) => name),
        ['theirs'],
      )
      assert.match(message, "onDivergence: 'preserve'")
      if (common === undefined) throw new Error('no common point')

      const stale = await failure(beta.rollbackReplica('disk', common, []))
      assert.is(stale.code, 'REPLICA_CHANGED')
      assert.match(stale.message, '@theirs')
      assert.is((await failure(beta.rollbackReplica('disk', { name: 'x', guid: 1n }, []))).code, 'NOT_FOUND')
      await beta.rollbackReplica('disk', common, losing)
      assert.is((await pushVolume(volume, beta)).kind, 'incremental')
    }
    await part(directory, 'again')
    const { kind, preserved } = await push(directory, alpha, volume, { onDivergence: 'preserve' })
    assert.is(kind, 'full')
    assert.match(preserved ?? '', /^beta\/flocker\/disk-preserved-\d{8}T/)
    await using _ = await openBeta(directory)
    assert.is(await digest({ dataset: replica }), await digest(volume))
    assert.is((await snapshotsOf(replica)).length, 1)
    const kept = await snapshotsOf(preserved as string)
    assert.ok(
      kept.some((name) => name.endsWith('@again')),
      kept.join(),
    )
    assert.is(await digest({ dataset: preserved as string }), await digest(volume))
  }))

test.before(async () => {
  await useEngine()
})

test.run()
