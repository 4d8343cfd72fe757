/**
 * Random histories of a tree on a real pool, replicated to another after every few changes, whole or broken off. Whatever happens: no
 * snapshot of the replica is lost, each has the content that its source had, and what is not up to date is named by a finding.
 * FLOCKER_ZFS_SEQUENCES says how many histories; FLOCKER_ZFS_SEED, with which one to begin.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { FlockerError, type Host, planReplication, replicate, type TreeReplicationOptions } from '../../src/index.js'
import * as lzc from '../../src/lzc/index.js'
import { newestFirst, newestOf } from '../../src/replication/planner/inventory.js'
import { fullName, leafName, type TreeDataset, type TreeSnapshot } from '../../src/replication/planner/tree.js'
import { digest, openAlpha, openBeta } from './cluster.js'
import { useEngine, withDirectory } from './engine.js'
import { createDisk, replica, snapshotAll, source, treeOf, write } from './trees.js'

const sequences = Number(process.env.FLOCKER_ZFS_SEQUENCES ?? 1)
const firstSeed = Number(process.env.FLOCKER_ZFS_SEED ?? Math.floor(Math.random() * 1_000_000))
const rounds = 5
const changesPerRound = 6

/** mulberry32. */
class Dice {
  constructor(private state: number) {}

  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  of<T>(items: readonly T[]): T | undefined {
    return items[this.below(items.length)]
  }

  chance(part: number): boolean {
    return this.next() < part
  }
}

/** One tree on alpha, changed at random. */
class History {
  readonly dice: Dice
  /** The content of every snapshot of a volume that there ever was, by GUID. */
  readonly contents = new Map<bigint, string>()
  readonly log: string[] = []
  #number = 0

  constructor(seed: number) {
    this.dice = new Dice(seed)
  }

  /** Changes something. What ZFS refuses has changed nothing. */
  async change(): Promise<void> {
    const tree = await treeOf(source)
    const possible = actions.filter(({ fits }) => [...tree.values()].some(fits))
    const action = this.dice.of(possible) as Action
    const dataset = this.dice.of([...tree.values()].filter(action.fits)) as TreeDataset
    this.log.push(`${action.name} ${dataset.name || '(root)'}`)
    try {
      await action.run(this, dataset, tree)
    } catch (error) {
      if (!(error instanceof FlockerError)) throw error
      this.log.push(`  refused: ${error.code}`)
    }
    await this.remember()
  }

  /** Names come again, so that they clash. */
  name(prefix: string): string {
    return `${prefix}${this.dice.chance(0.2) ? this.dice.below(this.#number + 1) : ++this.#number}`
  }

  parent(tree: ReadonlyMap<string, TreeDataset>): string {
    return this.dice.of([...tree.values()].filter(({ type }) => type === 'filesystem'))?.name ?? ''
  }

  /** Looks into what is new. */
  async remember(): Promise<void> {
    for (const { name, type, snapshots } of (await treeOf(source)).values()) {
      if (type !== 'volume') continue
      for (const { guid, name: snapshot } of snapshots) {
        if (this.contents.has(guid)) continue
        this.contents.set(guid, await digest({ dataset: `${fullName(source, name)}@${snapshot}` }))
      }
    }
  }
}

interface Action {
  name: string
  /** What it can be done with. */
  fits: (dataset: TreeDataset) => boolean
  run: (history: History, dataset: TreeDataset, tree: ReadonlyMap<string, TreeDataset>) => Promise<void>
}

const anything = (): boolean => true
const isVolume = ({ type }: TreeDataset): boolean => type === 'volume'
const isFilesystem = ({ type }: TreeDataset): boolean => type === 'filesystem'
const isChild = ({ name }: TreeDataset): boolean => name !== ''
const hasSnapshots = ({ snapshots }: TreeDataset): boolean => snapshots.length > 0
const isClone = ({ origin }: TreeDataset): boolean => origin !== undefined

const full = ({ name }: TreeDataset): string => fullName(source, name)
const anySnapshot = ({ dice }: History, dataset: TreeDataset): string =>
  `${full(dataset)}@${dice.of(dataset.snapshots)?.name}`

const actions: readonly Action[] = [
  {
    name: 'write',
    fits: isVolume,
    run: ({ dice }, dataset) => write(full(dataset), 64, BigInt(dice.below(8)) * 65_536n),
  },
  { name: 'write much', fits: isVolume, run: (_, dataset) => write(full(dataset), 768) },
  {
    name: 'snapshot',
    fits: anything,
    run: (history, dataset) => lzc.snapshot(`${full(dataset)}@${history.name('s')}`),
  },
  { name: 'snapshot all', fits: anything, run: (history) => snapshotAll(source, history.name('all')) },
  {
    name: 'create',
    fits: isFilesystem,
    run: (history, { name }) => lzc.create(below(name, history.name('f'))),
  },
  {
    name: 'create a volume',
    fits: isFilesystem,
    run: (history, { name }) => createDisk(below(name, history.name('d')), 1),
  },
  {
    name: 'bookmark',
    fits: hasSnapshots,
    run: (history, dataset) =>
      lzc.bookmark({ [`${full(dataset)}#${history.name('b')}`]: anySnapshot(history, dataset) }),
  },
  {
    name: 'destroy a snapshot',
    fits: hasSnapshots,
    run: (history, dataset) => lzc.destroySnapshots([anySnapshot(history, dataset)]),
  },
  {
    name: 'roll back',
    fits: hasSnapshots,
    run: async ({ dice }, dataset) => {
      const [newest, before] = newestFirst(dataset.snapshots) as [TreeSnapshot, TreeSnapshot?]
      const to = before !== undefined && dice.chance(0.5) ? before : newest
      if (to !== newest) await lzc.destroySnapshots([`${full(dataset)}@${newest.name}`])
      await lzc.rollbackTo(full(dataset), `${full(dataset)}@${to.name}`)
    },
  },
  {
    name: 'clone',
    fits: hasSnapshots,
    run: (history, dataset, tree) =>
      lzc.clone(anySnapshot(history, dataset), below(history.parent(tree), history.name('c'))),
  },
  { name: 'promote', fits: isClone, run: (_, dataset) => lzc.promote(full(dataset)) },
  {
    name: 'rename',
    fits: isChild,
    run: (history, dataset, tree) => {
      const leaf = history.dice.chance(0.5) ? leafName(dataset.name) : history.name('r')
      return lzc.rename(full(dataset), below(history.parent(tree), leaf))
    },
  },
  {
    name: 'rename a snapshot',
    fits: hasSnapshots,
    run: (history, dataset) => lzc.rename(anySnapshot(history, dataset), `${full(dataset)}@${history.name('n')}`),
  },
  {
    name: 'destroy',
    fits: isChild,
    run: async (_, dataset, tree) => {
      const { name, snapshots, bookmarks } = dataset
      if ([...tree.keys()].some((other) => other.startsWith(`${name}/`))) return
      await lzc.destroySnapshots(snapshots.map((point) => `${full(dataset)}@${point.name}`))
      await lzc.destroyBookmarks(bookmarks.map((point) => `${full(dataset)}#${point.name}`))
      await lzc.destroy(full(dataset))
    },
  },
]

/** The full name of a child of what has this name below the root. */
const below = (name: string, leaf: string): string => `${fullName(source, name)}/${leaf}`

const guidsOf = (tree: ReadonlyMap<string, TreeDataset>): bigint[] =>
  [...tree.values()].flatMap(({ snapshots }) => snapshots.map(({ guid }) => guid))

/** Replicates once, now and then broken off in the middle. */
async function replicateOnce(history: History, alpha: Host, port: number): Promise<void> {
  const { dice } = history
  await using beta = await alpha.connect(`127.0.0.1:${port}`)
  const breaks = dice.chance(0.3)
  const abort = new AbortController()
  const options: TreeReplicationOptions = {
    snapshot: dice.chance(0.5) ? 'now' : 'existing',
    initial: dice.chance(0.5) ? 'all' : 'most-recent',
    intermediate: dice.chance(0.5) ? 'all' : 'none',
    concurrency: 1 + dice.below(3),
    partial: dice.chance(0.9) ? 'resume' : 'discard',
    ...(breaks ? { signal: abort.signal, onAbort: dice.chance(0.7) ? 'keep' : 'discard' } : {}),
    onProgress: ({ bytes }) => {
      if (breaks && bytes > 200_000n) abort.abort()
    },
  }
  history.log.push(`replicate ${options.snapshot}${breaks ? ' and break off' : ''}`)
  try {
    const { outcomes } = await replicate('app', { from: alpha, to: beta }, options)
    for (const outcome of outcomes) if (outcome.kind === 'failed') throw outcome.error
  } catch (error) {
    if (!breaks || !(error instanceof FlockerError) || error.code !== 'ABORTED') throw error
    history.log.push('  broken off')
  }
}

/** What is not up to date must have a finding that says so, and a plan made anew must have no step. */
async function checkSettled(alpha: Host, port: number): Promise<void> {
  await using beta = await alpha.connect(`127.0.0.1:${port}`)
  const ends = { from: alpha, to: beta }
  const last = await replicate('app', ends)
  for (const outcome of last.outcomes) if (outcome.kind === 'failed') throw outcome.error
  const plan = await planReplication('app', ends, { snapshot: 'existing' })
  assert.equal(plan.steps, [])
  const found = new Map(
    plan.findings.flatMap((finding) => ('source' in finding ? [[finding.source, finding.kind]] : [])),
  )
  const theirs = await treeOf(replica)
  for (const { name, type, snapshots } of (await treeOf(source)).values()) {
    const twin = theirs.get(name)
    const current = twin?.type === type && newestOf(twin.snapshots)?.guid === newestOf(snapshots)?.guid
    if (!current) assert.ok(found.has(fullName(source, name)), `${name || '(root)'} is behind and nothing says so`)
  }
}

async function runHistory(seed: number): Promise<void> {
  await withDirectory(async (directory) => {
    const history = new History(seed)
    try {
      await using alpha = await openAlpha(directory)
      await using beta = await openBeta(directory)
      const rule = { peer: 'alpha', verbs: ['inspect', 'receive'] as const, datasets: ['beta/flocker/**'] }
      const { port } = await beta.listen({ port: 0, address: '127.0.0.1', authorize: [rule] })
      await lzc.create('alpha/flocker', { properties: { canmount: 'off' } })
      await lzc.create(source)
      const looked = new Set<bigint>()
      await createDisk(`${source}/d0`, 1)
      for (let round = 0; round < rounds; round++) {
        for (let i = 0; i < changesPerRound; i++) await history.change()
        const had = guidsOf(await treeOf(replica))
        await replicateOnce(history, alpha, port)
        await history.remember()
        await checkReplica(history, had, looked)
      }
      await checkSettled(alpha, port)
      await history.remember()
      await checkReplica(history, guidsOf(await treeOf(replica)), new Set())
    } catch (error) {
      console.error(`seed ${seed}:\n${history.log.join('\n')}`)
      throw error
    }
  })
}

/**
 * Everything that was there is, and everything there is what it was at its source.
 * @param looked what was looked into before
 */
async function checkReplica(history: History, had: readonly bigint[], looked: Set<bigint>): Promise<void> {
  const tree = await treeOf(replica)
  const has = new Set(guidsOf(tree))
  assert.equal(
    had.filter((guid) => !has.has(guid)),
    [],
    'no snapshot of the replica was lost',
  )
  for (const { name, type, snapshots } of tree.values()) {
    if (type !== 'volume') continue
    for (const point of snapshots) {
      if (looked.has(point.guid)) continue
      looked.add(point.guid)
      const dataset = `${fullName(replica, name)}@${point.name}`
      assert.is(await digest({ dataset }), history.contents.get(point.guid), dataset)
    }
  }
}

for (let i = 0; i < sequences; i++) {
  test(`the history of seed ${firstSeed + i}`, () => runHistory(firstSeed + i))
}

test.before(async () => {
  await useEngine()
  console.log(`measured: ${sequences} histories from seed ${firstSeed} on`)
})

test.run()
