/** Replication of whole trees between two processes. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Finding,
  formatPlan,
  planReplication,
  replicate,
  type Step,
  type TreeReplicationOptions,
  type TreeReplicationResult,
} from '../../src/index.js'
import * as lzc from '../../src/lzc/index.js'
import { failure } from '../zfs/pool.js'
import { useEngine } from './engine.js'
import { checkClean, stepsOf, withStory } from './tree-story.js'
import { checkNothingLeft, createDisk, factsOf, replica, snapshotAll, source, treeOf, write } from './trees.js'

async function createTree(): Promise<void> {
  await lzc.create(`${source}/a`)
  await lzc.create(`${source}/a/deep`)
  await lzc.create(`${source}/b`)
  await createDisk(`${source}/a/deep/disk`)
  await createDisk(`${source}/b/disk`)
}

const kinds = (steps: readonly Step[]): string => steps.map(({ kind }) => kind).join(' ')
const kindsOf = (findings: readonly Finding[]): string[] => findings.map(({ kind }) => kind)

/** Both trees are alike, and neither has anything left of the way. */
async function checkAlike(): Promise<void> {
  assert.equal(await factsOf(replica), await factsOf(source))
  for (const root of [source, replica]) await checkNothingLeft(root)
}

test('a tree, its increments, and what was added, renamed, destroyed and cloned in it', () =>
  withStory(async ({ push, look }) => {
    await createTree()
    const full = await push()
    checkClean(full)
    assert.is(kinds(stepsOf(full)), 'full full full full full full')
    assert.is(new Set([...(await treeOf(source)).values()].map(({ snapshots }) => snapshots[0]?.createtxg)).size, 1)
    await look(checkAlike)

    await write(`${source}/b/disk`)
    await snapshotAll(source, 'daily')
    await lzc.rename(`${source}/a/deep`, `${source}/b/moved`)
    await createDisk(`${source}/new`)
    await lzc.clone(`${source}/b/disk@daily`, `${source}/copy`)
    await write(`${source}/copy`, 64, 1024n * 1024n)
    const second = await push()
    checkClean(second)
    assert.equal([...new Set(stepsOf(second).map(({ kind }) => kind))].sort(), [
      'clone',
      'full',
      'incremental',
      'rename',
    ])
    await look(checkAlike)

    const again = await push({ snapshot: 'existing' })
    assert.equal([again.outcomes, again.findings, again.bytes], [[], [], 0n])
    await lzc.destroySnapshots(
      [...((await treeOf(source)).get('new')?.snapshots ?? [])].map(({ name }) => `${source}/new@${name}`),
    )
    for (const name of Object.keys(await lzc.getBookmarks(`${source}/new`))) {
      await lzc.destroyBookmarks([`${source}/new#${name}`])
    }
    await lzc.destroy(`${source}/new`)
    const third = await push()
    assert.equal(kindsOf(third.findings), ['orphan'])
    assert.is(third.failed + third.leftOut, 0)
  }))

test('snapshots in between, a base that is only a bookmark, filters, and a dry run that says what is then done', () =>
  withStory(async ({ alpha, peer, push, look }) => {
    await createTree()
    for (const name of ['one', 'two']) {
      await write(`${source}/b/disk`)
      await snapshotAll(source, name)
    }
    const options: TreeReplicationOptions = { snapshot: 'existing', initial: 'all' }
    const steps = async (more: TreeReplicationOptions): Promise<Step[]> => {
      await using beta = await peer()
      const plan = await planReplication('app', { from: alpha, to: beta }, more)
      assert.is(plan.sizes.size, plan.steps.length)
      assert.ok([...plan.sizes.values()].every((size) => size > 0n))
      assert.match(formatPlan(plan, plan.sizes), plan.steps.length === 0 ? /Nothing to do/ : /streams, about/)
      const result = await push(more)
      checkClean(result)
      assert.equal(stepsOf(result), plan.steps)
      return plan.steps
    }
    assert.is((await steps(options)).length, 12)
    await look(checkAlike)

    await snapshotAll(source, 'three')
    await lzc.destroySnapshots([...(await treeOf(source)).keys()].map((name) => `${source}${name && `/${name}`}@two`))
    await snapshotAll(source, 'four')
    const some = await steps({ snapshot: 'existing', intermediate: 'none', datasets: { include: ['', 'b', 'b/**'] } })
    assert.is(some.length, 3)
    assert.ok(
      some.every((step) => step.kind === 'incremental' && step.from.kind === 'bookmark' && step.to.name === 'four'),
    )
    const rest = await steps({ snapshot: 'existing', snapshots: { exclude: ['three'] } })
    assert.equal(
      rest.map(({ source: name }) => name),
      [`${source}/a`, `${source}/a/deep`, `${source}/a/deep/disk`],
    )
    assert.equal(await steps({ snapshot: 'existing' }), [])
    {
      await using beta = await peer()
      const now = await planReplication('app', { from: alpha, to: beta })
      assert.is(now.steps.length, 6)
      assert.is(now.sizes.size, 6)
    }
    await look(async () => {
      assert.equal(await factsOf(replica, { newestOnly: true }), await factsOf(source, { newestOnly: true }))
    })
  }))

test('what was interrupted in the middle is gone on with, be it a clone', () =>
  withStory(async ({ alpha, peer, push, look }) => {
    await lzc.create(`${source}/a`)
    await createDisk(`${source}/a/disk`, 64)
    await createDisk(`${source}/a/z`)
    const interrupted = async (name: string, options: TreeReplicationOptions = {}): Promise<TreeReplicationResult> => {
      await using beta = await peer()
      const limit = 16 * 1024 * 1024
      return await replicate(
        'app',
        { from: alpha, to: beta },
        {
          ...options,
          limit,
          onProgress: ({ step, bytes }) => {
            if (step.source === `${source}/${name}` && bytes > 6n * 1024n * 1024n) void beta.close()
          },
        },
      )
    }
    await write(`${source}/a/disk`, 24 * 1024)
    const cut = await interrupted('a/disk')
    assert.equal([cut.done, cut.failed, cut.leftOut], [2, 1, 1])
    const taken = (await treeOf(source)).get('a/disk')?.snapshots ?? []
    assert.is(taken.length, 1)
    assert.equal((await treeOf(source)).get('a/z')?.snapshots, [], 'what was not begun leaves no snapshot')
    const resumed = await push()
    checkClean(resumed)
    assert.match(kinds(stepsOf(resumed)), /resume/)
    await look(checkAlike)

    await lzc.snapshot(`${source}/a/disk@base`)
    await lzc.clone(`${source}/a/disk@base`, `${source}/copy`)
    await write(`${source}/copy`, 24 * 1024, 32n * 1024n * 1024n)
    const cutClone = await interrupted('copy')
    assert.is(cutClone.outcomes.find(({ kind }) => kind === 'failed')?.step.kind, 'clone')
    const resumedClone = await push()
    checkClean(resumedClone)
    assert.is(stepsOf(resumedClone).find(({ source: name }) => name === `${source}/copy`)?.kind, 'resume')
    await look(checkAlike)

    await write(`${source}/a/disk`, 24 * 1024)
    await interrupted('a/disk')
    const discarded = await push({ partial: 'discard' })
    checkClean(discarded)
    assert.match(kinds(stepsOf(discarded)), /discard/)
    await look(checkAlike)
  }))

test('an abort rejects, and takes back what it has begun', () =>
  withStory(async ({ push, look }) => {
    await createDisk(`${source}/disk`, 64)
    await write(`${source}/disk`, 24 * 1024)
    const abort = new AbortController()
    const onProgress = ({ bytes }: { bytes: bigint }): void => {
      if (bytes > 6n * 1024n * 1024n) abort.abort()
    }
    const error = await failure(push({ signal: abort.signal, onProgress, limit: 16 * 1024 * 1024 }))
    assert.is(error.code, 'ABORTED')
    assert.equal((await treeOf(source)).get('disk')?.snapshots, [])
    await checkNothingLeft(source)
    await look(async () => {
      await checkNothingLeft(replica)
      assert.equal([...(await treeOf(replica)).keys()], [''])
    })
  }))

test('what has diverged, and what the peer does not allow, does not stop the others', () =>
  withStory(async ({ directory, push, look }) => {
    await createTree()
    checkClean(await push())
    await look(async () => {
      await lzc.snapshot(`${replica}/b@theirs`)
      const datasets = ['beta/flocker/app', 'beta/flocker/app/*', 'beta/flocker/app/a/**', 'beta/flocker/app/b/**']
      const rules = [{ peer: 'alpha', verbs: ['inspect', 'receive'], datasets }]
      await writeFile(join(directory, 'rules.json'), JSON.stringify(rules))
    })
    await lzc.create(`${source}/c`)
    await lzc.create(`${source}/c/forbidden`)
    await createDisk(`${source}/c/forbidden/disk`)
    const result = await push()
    assert.equal(kindsOf(result.findings), ['diverged'])
    assert.equal([result.failed, result.leftOut], [1, 1])
    const [failed] = result.outcomes.filter(({ kind }) => kind === 'failed')
    assert.is(failed?.kind === 'failed' && 'code' in failed.error && failed.error.code, 'NOT_AUTHORIZED')
    const [left] = result.outcomes.filter(({ kind }) => kind === 'left-out')
    assert.is(left?.kind === 'left-out' && left.because, failed?.step)
    await checkNothingLeft(source)
    await look(async () => {
      const [theirs, ours] = [await factsOf(replica), await factsOf(source)]
      for (const name of ['', 'a', 'a/deep', 'a/deep/disk', 'b/disk', 'c']) assert.equal(theirs[name], ours[name], name)
      assert.is(theirs.b?.guids.length, 2, 'nothing of the diverged one was touched')
      assert.is(ours.b?.guids.length, 1, 'and no snapshot was taken for it')
    })
  }))

test('several streams at once, and mistakes', () =>
  withStory(async ({ alpha, peer, push, look }) => {
    for (let i = 0; i < 12; i++) await createDisk(`${source}/disk${i}`)
    let flowing = 0
    const at = new Map<string, boolean>()
    checkClean(
      await push({
        concurrency: 6,
        limit: 4 * 1024 * 1024,
        onProgress: ({ step, bytes, total }) => {
          at.set(step.source, bytes < total)
          flowing = Math.max(flowing, [...at.values()].filter(Boolean).length)
        },
      }),
    )
    assert.ok(flowing > 1, 'streams overlapped')
    for (const options of [{ concurrency: 0 }, { concurrency: 1.5 }, { snapshots: { include: ['daily-*'] } }]) {
      assert.is((await failure(push(options))).code, 'INVALID_ARGUMENT')
    }
    {
      await using beta = await peer()
      assert.is((await failure(replicate('nothing', { from: alpha, to: beta }))).code, 'NOT_FOUND')
      assert.is((await failure(replicate('app', { from: alpha, to: alpha }))).code, 'INVALID_ARGUMENT')
      assert.is((await failure(replicate('app', { from: beta, to: beta }))).code, 'INVALID_ARGUMENT')
      assert.is((await failure(replicate('../app', { from: alpha, to: beta }))).code, 'INVALID_ARGUMENT')
      const twice = [1, 2].map(() => replicate('app', { from: alpha, to: beta }, { snapshot: 'existing' }))
      const both = await Promise.allSettled(twice)
      assert.equal(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    }
    await look(checkAlike)
  }))

test('pulls a tree, goes on with it, and says beforehand what it will do', () =>
  withStory(async ({ alpha, peer, look }) => {
    const [theirs, ours] = ['beta/flocker/theirs', 'alpha/flocker/theirs']
    const pull = async (options: TreeReplicationOptions = {}): Promise<TreeReplicationResult> => {
      await using beta = await peer()
      const ends = { from: beta, to: alpha }
      const plan = await planReplication('theirs', ends, options)
      const result = await replicate('theirs', ends, options)
      assert.equal(kinds(plan.steps), kinds(stepsOf(result)))
      return result
    }
    await (await peer()).close()
    await look(async () => {
      if (!(await lzc.exists('beta/flocker'))) await lzc.create('beta/flocker', { properties: { canmount: 'off' } })
      await lzc.create(theirs)
      await createDisk(`${theirs}/disk`, 64)
      await lzc.create(`${theirs}/a`)
    })
    checkClean(await pull({ concurrency: 2 }))
    await look(async () => {
      assert.equal(await factsOf(ours), await factsOf(theirs))
      await write(`${theirs}/disk`, 24 * 1024)
      await snapshotAll(theirs, 'daily')
      await lzc.clone(`${theirs}/disk@daily`, `${theirs}/a/copy`)
      await lzc.rename(`${theirs}/a`, `${theirs}/b`)
      await write(`${theirs}/b/copy`)
    })
    {
      await using beta = await peer()
      const onProgress = ({ bytes, step }: { bytes: bigint; step: Step }): void => {
        if (step.source === `${theirs}/disk` && bytes > 6n * 1024n * 1024n) void beta.close()
      }
      const limit = 16 * 1024 * 1024
      const cut = await replicate('theirs', { from: beta, to: alpha }, { onProgress, limit })
      assert.is(cut.failed, 1)
    }
    const rest = await pull()
    checkClean(rest)
    assert.match(kinds(stepsOf(rest)), /resume/)
    assert.match(kinds(stepsOf(rest)), /clone/)
    await look(async () => {
      assert.equal(await factsOf(ours, { newestOnly: true }), await factsOf(theirs, { newestOnly: true }))
      for (const root of [theirs, ours]) await checkNothingLeft(root)
      for (const { snapshots } of (await treeOf(theirs, 'alpha')).values()) {
        assert.not(snapshots.some(({ pending }) => pending))
      }
    })
  }))

test.before(async () => {
  await useEngine()
})

test.run()
