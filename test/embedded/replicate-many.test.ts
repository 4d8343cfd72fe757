/** A tree of many datasets: lists come in pages, and streams flow side by side. FLOCKER_ZFS_CHILDREN says how many, and
 * FLOCKER_ZFS_POINTS how many bookmarks a dataset has. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type FlockerError, planReplication, replicate } from '../../src/index.js'
import * as lzc from '../../src/lzc/index.js'
import { fullName } from '../../src/replication/planner/tree.js'
import { useEngine } from './engine.js'
import { withTreePair } from './tree-pair.js'
import { checkClean, stepsOf, withStory } from './tree-story.js'
import { createDisk, factsOf, replica, snapshotAll, source, treeOf, write } from './trees.js'

const children = Number(process.env.FLOCKER_ZFS_CHILDREN ?? 60)

test(`${children} children, whose lists are read page by page`, () =>
  withStory(async ({ push, look }) => {
    const names = Array.from({ length: children }, (_, i) => `child-${String(i).padStart(4, '0')}`)
    await Promise.all(names.map((name) => lzc.create(fullName(source, name))))
    for (let i = 0; i < 10; i++) await snapshotAll(source, `s${i}`)
    const started = performance.now()
    checkClean(await push({ concurrency: 8, snapshot: 'existing' }))
    console.log(`measured: ${children + 1} datasets in ${((performance.now() - started) / 1000).toFixed(1)} s`)
    const some = ['', 'child-0000', 'child-0034', 'child-0059']
    await lzc.snapshot(some.map((name) => `${fullName(source, name)}@more`))
    const increment = await push({ snapshot: 'existing' })
    checkClean(increment)
    assert.equal(
      stepsOf(increment).map((step) => step.source),
      some.map((name) => fullName(source, name)),
    )
    await look(async () => {
      assert.equal(await factsOf(replica, { newestOnly: true }), await factsOf(source, { newestOnly: true }))
    })
  }))

// With what the snapshot adds it is as long as ZFS allows.
const long = 'x'.repeat(199)

for (const direction of ['push', 'pull'] as const) {
  test(`${direction}: what has a name that this package would not give fails by itself, and leaves nothing`, () =>
    withTreePair({}, async ({ alpha, peer }) => {
      // A rule can't name what begins so, and a peer does not tell of it.
      const odd = direction === 'push' ? ['_odd', long] : [long]
      const [from, to] = direction === 'push' ? [alpha, peer] : [peer, alpha]
      const [ours, theirs] = direction === 'push' ? [source, replica] : [replica, source]
      if (direction === 'pull') await lzc.create(ours)
      await lzc.destroy(theirs).catch((error: FlockerError) => assert.is(error.code, 'NOT_FOUND'))
      for (const name of [...odd, 'fine']) await lzc.create(fullName(ours, name))
      const plan = await planReplication('app', { from, to })
      assert.equal([plan.steps.length, plan.sizes.size], [odd.length + 2, odd.length + 2])
      for (let i = 0; i < 2; i++) {
        const { outcomes } = await replicate('app', { from, to })
        const failed = outcomes.flatMap((outcome) => (outcome.kind === 'failed' ? [outcome] : []))
        assert.equal(
          failed.map(({ step, error }) => [step.source, (error as FlockerError).code]),
          odd.map((name) => [fullName(ours, name), 'INVALID_ARGUMENT']),
        )
        assert.equal([outcomes.length, (await treeOf(theirs)).size], [odd.length + 2, 2])
      }
      for (const name of odd) assert.equal((await treeOf(ours)).get(name)?.snapshots, [])
    }))
}

const count = Number(process.env.FLOCKER_ZFS_POINTS ?? 20)

test(`a pull starts from the oldest of ${count} bookmarks of a peer`, () =>
  withTreePair({}, async ({ alpha, peer }) => {
    await createDisk('beta/flocker/disk')
    const ends = { from: peer, to: alpha }
    checkClean(await replicate('disk', ends))
    for (let i = 0; i < count; i++) {
      await lzc.snapshot([`beta/flocker/disk@${i}`])
      await lzc.bookmark({ [`beta/flocker/disk#${i}`]: `beta/flocker/disk@${i}` })
    }
    const [oldest, ...others] = (await treeOf('beta/flocker/disk')).get('')?.snapshots ?? []
    await lzc.destroySnapshots([oldest, ...others].map((point) => `beta/flocker/disk@${point?.name}`))
    await write('beta/flocker/disk')
    const result = await replicate('disk', ends)
    checkClean(result)
    const [step] = stepsOf(result)
    assert.equal(step?.kind === 'incremental' && [step.from.kind, step.from.guid], ['bookmark', oldest?.guid])
  }))

test.before(async () => {
  await useEngine()
})

test.run()
