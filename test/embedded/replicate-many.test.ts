/** A tree of many datasets: lists come in pages, and streams flow side by side. FLOCKER_ZFS_CHILDREN says how many. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as lzc from '../../src/lzc/index.js'
import { fullName } from '../../src/replication/planner/tree.js'
import { useEngine } from './engine.js'
import { checkClean, stepsOf, withStory } from './tree-story.js'
import { factsOf, replica, snapshotAll, source } from './trees.js'

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

test.before(async () => {
  await useEngine()
})

test.run()
