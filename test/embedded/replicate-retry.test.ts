/** Replication of whole trees over a wire that breaks: it tries again what is left, by itself, and only that. */
import { pipeline } from 'node:stream/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type FlockerError,
  onReplicationEvent,
  pushVolume,
  type ReplicationEvent,
  type Retry,
  replicate,
  type TreeProgress,
  type TreeReplicationOptions,
  type TreeReplicationResult,
} from '../../src/index.js'
import * as lzc from '../../src/lzc/index.js'
import { newestOf } from '../../src/replication/planner/inventory.js'
import { failure } from '../zfs/pool.js'
import { mebibyte } from './cluster.js'
import { useEngine } from './engine.js'
import type { Link } from './faults/link.js'
import { type TreePair, withTreePair } from './tree-pair.js'
import { checkClean } from './tree-story.js'
import { checkNothingLeft, createDisk, factsOf, replica, snapshotAll, source, treeOf, write } from './trees.js'

const retry = { attempts: 5, firstMilliseconds: 20, mostMilliseconds: 200 }
/** Slow enough for the progress to be told in the middle of what {@link createTree} makes. */
const limit = 16 * mebibyte

async function createTree(root = source): Promise<void> {
  await lzc.create(`${root}/a`)
  for (const name of ['a/one', 'a/two', 'z']) {
    await createDisk(`${root}/${name}`, 32)
    await write(`${root}/${name}`, 10 * 1024)
  }
}

/** Cuts the wire once in the middle of the stream of each of these. */
function cutting(link: Link, names: readonly string[]): (progress: TreeProgress) => void {
  const left = new Set(names)
  return ({ step, bytes, total }) => {
    const name = step.source.split('/').slice(3).join('/')
    if (bytes > 2n * BigInt(mebibyte) && bytes < total && left.delete(name)) link.drop()
  }
}

async function checkAlike(): Promise<void> {
  assert.equal(await factsOf(replica), await factsOf(source))
  for (const root of [source, replica]) await checkNothingLeft(root)
}

const momentsOf = async (root: string): Promise<number> =>
  new Set([...(await treeOf(root)).values()].flatMap(({ snapshots }) => snapshots.map(({ createtxg }) => createtxg)))
    .size

const endsOf = ({ outcomes }: TreeReplicationResult) =>
  Object.fromEntries(
    outcomes.map((outcome) => [
      outcome.step.source.slice(source.length + 1),
      outcome.kind === 'failed' ? (outcome.error as FlockerError).code : outcome.kind,
    ]),
  )

/** What the process tells of replications while this runs. */
async function listening(run: () => Promise<void>): Promise<ReplicationEvent[]> {
  const events: ReplicationEvent[] = []
  const stop = onReplicationEvent((event) => events.push(event))
  try {
    await run()
  } finally {
    stop()
  }
  return events
}

test('a wire that is cut again and again: the rest is sent, and all of it is of one moment', () =>
  withTreePair({}, async ({ alpha, peer, link }) => {
    await createTree()
    const retries: Retry[] = []
    const quiet: string[] = []
    const result = await replicate(
      'app',
      { from: alpha, to: peer },
      {
        ...{ retry, limit },
        onRetry: (each) => retries.push(each),
        beforeSnapshot: () => void quiet.push('before'),
        afterSnapshot: () => void quiet.push('after'),
        onProgress: cutting(link, ['z', 'a/one']),
      },
    )
    checkClean(result)
    assert.equal([result.retries, retries.length, result.done], [2, 2, 5])
    assert.ok(retries.every(({ error, attempt }) => (error as FlockerError).code === 'PEER_LOST' && attempt <= 2))
    assert.equal(
      result.outcomes.filter(({ step }) => step.kind === 'resume').map(({ step }) => step.source),
      [`${source}/z`, `${source}/a/one`],
    )
    assert.equal(quiet, ['before', 'after'])
    assert.is(await momentsOf(source), 1)
    await checkAlike()

    await write(`${source}/a/two`, 10 * 1024, BigInt(16 * mebibyte))
    const second = await replicate(
      'app',
      { from: alpha, to: peer },
      { retry, limit, concurrency: 3, onProgress: cutting(link, ['a/two']) },
    )
    checkClean(second)
    assert.equal([second.retries, second.done], [1, 5])
    assert.is(await momentsOf(source), 2)
    await checkAlike()
  }))

test('pulls a tree over such a wire', () =>
  withTreePair({}, async ({ alpha, peer, link }) => {
    const [theirs, ours] = ['beta/flocker/theirs', 'alpha/flocker/theirs']
    await lzc.create(theirs)
    await createTree(theirs)
    const onProgress = cutting(link, ['a/two', 'z'])
    const result = await replicate('theirs', { from: peer, to: alpha }, { retry, limit, onProgress })
    checkClean(result)
    assert.equal([result.retries, result.done], [2, 5])
    assert.is(await momentsOf(theirs), 1)
    assert.equal(await factsOf(ours), await factsOf(theirs))
    for (const root of [theirs, ours]) await checkNothingLeft(root)
    for (const { snapshots } of (await treeOf(theirs, 'alpha')).values()) assert.not(snapshots[0]?.pending)
  }))

test('what fails for another reason is not tried again, nor what needs it', () => {
  const datasets = ['beta/flocker/app', 'beta/flocker/app/a', 'beta/flocker/app/a/*', 'beta/flocker/app/z']
  return withTreePair({ rules: [{ peer: 'alpha', verbs: ['inspect', 'receive'], datasets }] }, async (pair) => {
    const { alpha, peer, link } = pair
    await createTree()
    await lzc.create(`${source}/no`)
    await createDisk(`${source}/no/disk`)
    let result: TreeReplicationResult | undefined
    const events = await listening(async () => {
      const options = { retry, limit, onProgress: cutting(link, ['a/one', 'z']) }
      result = await replicate('app', { from: alpha, to: peer }, options)
    })
    assert.is(result?.retries, 2)
    assert.equal(result && endsOf(result), {
      ...{ '': 'done', a: 'done', 'a/one': 'done', 'a/two': 'done', z: 'done' },
      ...{ no: 'NOT_AUTHORIZED', 'no/disk': 'left-out' },
    })
    const begun = events.filter((event) => event.step === 'stepBegun' && event.source === `${source}/no`)
    assert.is(begun.length, 1)
    assert.equal((await treeOf(source)).get('no')?.snapshots, [], 'what was not sent leaves no snapshot')
    assert.equal((await treeOf(source)).get('no/disk')?.snapshots, [])
  })
})

/** The wire is cut in the middle of `a/one`, and stays so. */
function broken({ link }: TreePair): TreeReplicationOptions {
  return {
    ...{ retry: { ...retry, attempts: 2 }, limit },
    onProgress: ({ step, bytes }) => {
      if (step.source !== `${source}/a/one` || bytes < 2n * BigInt(mebibyte)) return
      link.target = nobody
      link.drop()
    },
  }
}

/** A port where nobody listens. */
const nobody = 1

test('what could not be tried again is told with why, beside what is done; the next one goes on from there', () =>
  withTreePair({}, async (pair) => {
    const { alpha, peer, link } = pair
    await createTree()
    const { target } = link
    const result = await replicate('app', { from: alpha, to: peer }, broken(pair))
    const ends = { '': 'done', a: 'done', z: 'done', 'a/one': 'PEER_UNREACHABLE', 'a/two': 'left-out' }
    assert.equal(endsOf(result), ends)
    assert.equal([result.done, result.failed, result.leftOut, result.retries], [3, 1, 1, 2])
    assert.equal((await treeOf(source)).get('a/two')?.snapshots, [], 'what was not begun leaves no snapshot')
    link.target = target
    await peer.reconnect()
    const rest = await replicate('app', { from: alpha, to: peer }, { snapshot: 'existing' })
    assert.equal(
      rest.outcomes.map(({ step, kind }) => `${kind} ${step.kind} ${step.source}`),
      [`done resume ${source}/a/one`],
    )
  }))

test('an abort between two attempts takes back what has arrived, or keeps it where the caller says so', () =>
  withTreePair({}, async (pair) => {
    const { alpha, peer, link } = pair
    await createTree()
    const attempt = (onAbort: 'discard' | 'keep') => {
      const stop = new AbortController()
      return failure(
        replicate(
          'app',
          { from: alpha, to: peer },
          {
            ...{ signal: stop.signal, onAbort, limit, onProgress: cutting(link, ['a/one']) },
            retry: { attempts: 3, firstMilliseconds: 60_000 },
            onRetry: () => stop.abort(),
          },
        ),
      )
    }
    assert.is((await attempt('discard')).code, 'ABORTED')
    assert.equal([...(await treeOf(replica)).keys()].sort(), ['', 'a', 'z'])
    for (const root of [source, replica]) await checkNothingLeft(root)
    for (const name of ['a/one', 'a/two']) assert.equal((await treeOf(source)).get(name)?.snapshots, [], name)

    await peer.reconnect()
    assert.is((await attempt('keep')).code, 'ABORTED')
    assert.ok((await treeOf(replica)).get('a/one')?.partial)
    await peer.reconnect()
    const rest = await replicate('app', { from: alpha, to: peer })
    checkClean(rest)
    assert.ok(rest.outcomes.some(({ step }) => step.kind === 'resume'))
    assert.equal(await factsOf(replica, { newestOnly: true }), await factsOf(source, { newestOnly: true }))
  }))

test('what was to be discarded is, and what an attempt brings in its place is gone on with', () =>
  withTreePair({}, async ({ alpha, peer, link }) => {
    await createTree()
    const ends = { from: alpha, to: peer }
    const cut = await replicate('app', ends, { limit, onProgress: cutting(link, ['a/one']) })
    assert.equal([cut.failed, cut.retries], [1, 0])
    await peer.reconnect()
    const onProgress = cutting(link, ['a/one'])
    const again = await replicate('app', ends, { partial: 'discard', retry, limit, onProgress })
    checkClean(again)
    const kinds = again.outcomes.filter(({ step }) => step.source === `${source}/a/one`).map(({ step }) => step.kind)
    assert.equal([kinds[0], kinds.includes('resume'), again.retries], ['discard', true, 1])
    assert.equal(await factsOf(replica, { newestOnly: true }), await factsOf(source, { newestOnly: true }))

    const volume = await alpha.createVolume('disk', { size: 32 * mebibyte })
    await write(volume.dataset, 10 * 1024)
    const once = (): { onProgress: (progress: { bytes: bigint }) => void } => {
      let left = true
      return {
        onProgress: ({ bytes }) => {
          if (!left || bytes < 2n * BigInt(mebibyte)) return
          left = false
          link.drop()
        },
      }
    }
    assert.is((await failure(pushVolume(volume, peer, { limit, ...once() }))).code, 'PEER_LOST')
    await peer.reconnect()
    const pushed = await pushVolume(volume, peer, { partial: 'discard', retry, limit, ...once() })
    assert.equal([pushed.retries, pushed.resumed !== undefined], [1, true])
  }))

test('what the caller throws before a wait ends it', () =>
  withTreePair({}, async ({ alpha, peer, link }) => {
    await createTree()
    const enough = new Error('enough')
    const onRetry = (): void => {
      throw enough
    }
    const options = { retry, onRetry, limit, onProgress: cutting(link, ['a/one']) }
    const ended = replicate('app', { from: alpha, to: peer }, options).catch((error: unknown) => error)
    assert.is(await ended, enough)
  }))

test('before there is a plan: tried again while nobody answers, and not where there is no such volume', () =>
  withTreePair({}, async ({ alpha, peer, link }) => {
    await createTree()
    const told: Retry[] = []
    const options = { retry: { ...retry, attempts: 2 }, onRetry: (each: Retry) => void told.push(each) }
    assert.is((await failure(replicate('none', { from: alpha, to: peer }, options))).code, 'NOT_FOUND')
    const wrong = { retry: { attempts: -1 } }
    assert.is((await failure(replicate('app', { from: alpha, to: peer }, wrong))).code, 'INVALID_ARGUMENT')
    assert.equal(told, [])
    const { target } = link
    link.target = nobody
    link.drop()
    await peer.closed
    assert.is((await failure(replicate('app', { from: alpha, to: peer }, options))).code, 'PEER_UNREACHABLE')
    assert.is(told.length, 2)
    link.target = target
    const once = { ...options, retry: { ...retry, attempts: 1 } }
    const result = await replicate('app', { from: alpha, to: peer }, once)
    checkClean(result)
    assert.is(result.retries, 1)
  }))

test('a dataset that a push of its own is at work with is looked at anew', () =>
  withTreePair({}, async ({ alpha, peer }) => {
    await createTree()
    checkClean(await replicate('app', { from: alpha, to: peer }))
    await write(`${source}/a/one`, 8 * 1024)
    const volume = await alpha.getVolume('app/a/one')
    let pushed: ReturnType<typeof pushVolume> | undefined
    const codes = new Set<string>()
    const result = await replicate(
      'app',
      { from: alpha, to: peer },
      {
        retry: { attempts: 50, firstMilliseconds: 50, mostMilliseconds: 200 },
        onRetry: ({ error }) => codes.add((error as FlockerError).code),
        onStep: (step) => {
          if (step.step !== 'stepBegun' || step.source !== volume.dataset) return
          pushed ??= pushVolume(volume, peer)
        },
      },
    )
    checkClean(result)
    assert.is((await pushed)?.kind, 'incremental')
    assert.ok(result.retries > 0 && codes.has('SENDER_BUSY'))
    assert.equal(await factsOf(replica, { newestOnly: true }), await factsOf(source, { newestOnly: true }))
    for (const root of [source, replica]) await checkNothingLeft(root)
  }))

/** What an administrator brings over by hand, while alpha's request to beta waits on the wire. */
async function bringMeanwhile(link: Link, dataset: string, from: string, to: string): Promise<void> {
  link.hold(3000)
  const stream = lzc.send(`${source}${dataset}@${to}`, { from: `${source}${dataset}@${from}` })
  await pipeline(stream, lzc.receive(`${replica}${dataset}@${to}`))
}

test('a replica that somebody else brought up to date since it was planned is looked at anew', () =>
  withTreePair({}, async ({ alpha, peer, link }) => {
    await createDisk(`${source}/disk`)
    await snapshotAll(source, 'one')
    checkClean(await replicate('app', { from: alpha, to: peer }, { snapshot: 'existing' }))
    await write(`${source}/disk`)
    await snapshotAll(source, 'two')
    const codes: string[] = []
    const onRetry = ({ error }: Retry): void => void codes.push((error as FlockerError).code)
    let brought: Promise<void> | undefined
    const result = await replicate(
      'app',
      { from: alpha, to: peer },
      {
        ...{ retry, onRetry },
        onStep: ({ step }) => {
          if (step === 'treePlanned') brought ??= bringMeanwhile(link, '/disk', 'one', 'two')
        },
      },
    )
    await brought
    checkClean(result)
    assert.equal([codes, result.retries], [['BASE_MISMATCH'], 1])
    await checkAlike()

    const volume = await alpha.getVolume('app/disk')
    await write(volume.dataset)
    await lzc.snapshot([`${volume.dataset}@three`])
    const base = newestOf((await treeOf(replica)).get('disk')?.snapshots ?? [])?.name ?? ''
    let again: Promise<void> | undefined
    const pushed = await pushVolume(volume, peer, {
      ...{ retry, onRetry },
      onStep: ({ step }) => {
        if (step === 'planned') again ??= bringMeanwhile(link, '/disk', base, 'three')
      },
    })
    await again
    assert.equal([codes, pushed.retries], [['BASE_MISMATCH', 'BASE_MISMATCH'], 1])
    await checkAlike()
  }))

test.before(async () => {
  await useEngine()
})

test.run()
