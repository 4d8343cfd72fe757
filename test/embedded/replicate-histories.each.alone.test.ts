/**
 * Random histories of a tree on a real pool, replicated to another after every few changes, whole or broken off. Whatever happens: no
 * snapshot of the replica is lost, each has the content that its source had, and what is not up to date is named by a finding.
 * FLOCKER_ZFS_SEQUENCES says how many histories; FLOCKER_ZFS_SEED, with which one to begin.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { FlockerError, type Host, planReplication, replicate, type TreeReplicationOptions } from '../../src/index.js'
import * as lzc from '../../src/lzc/index.js'
import { newestOf } from '../../src/replication/inventory.js'
import { fullName, leafName, type TreeDataset } from '../../src/replication/tree.js'
import { digest, openAlpha, openBeta } from './cluster.js'
import { useEngine, withDirectory } from './engine.js'
import { createDisk, replica, snapshotAll, source, treeOf, write } from './trees.js'

const sequences = Number(process.env.FLOCKER_ZFS_SEQUENCES ?? 3)
const firstSeed = Number(process.env.FLOCKER_ZFS_SEED ?? Math.floor(Math.random() * 1_000_000))
const rounds = 6
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

type Action = (dataset: TreeDataset, tree: ReadonlyMap<string, TreeDataset>) => Promise<void>

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
    const dataset = this.dice.of([...tree.values()]) as TreeDataset
    const [name, action] = this.dice.of(Object.entries(this.#actions)) as [string, Action]
    this.log.push(`${name} ${dataset.name || '(root)'}`)
    try {
      await action(dataset, tree)
    } catch (error) {
      if (!(error instanceof FlockerError)) throw error
      this.log.push(`  refused: ${error.code}`)
    }
    await this.#remember()
  }

  readonly #actions: Record<string, Action> = {
    write: async ({ name, type }: TreeDataset): Promise<void> => {
      if (type === 'volume') await write(fullName(source, name), 64, BigInt(this.dice.below(16)) * 65_536n)
    },
    writeMuch: async ({ name, type }: TreeDataset): Promise<void> => {
      if (type === 'volume') await write(fullName(source, name), 2048)
    },
    snapshot: async ({ name }: TreeDataset): Promise<void> =>
      lzc.snapshot(`${fullName(source, name)}@${this.#name('s')}`),
    snapshotAll: async (): Promise<void> => snapshotAll(source, this.#name('all')),
    create: async ({ name }: TreeDataset): Promise<void> => lzc.create(below(name, this.#name('f'))),
    createDisk: async ({ name, type }: TreeDataset): Promise<void> => {
      if (type === 'filesystem') await createDisk(below(name, this.#name('d')))
    },
    bookmark: async ({ name, snapshots }: TreeDataset): Promise<void> => {
      const point = this.dice.of(snapshots)
      const dataset = fullName(source, name)
      if (point !== undefined) await lzc.bookmark({ [`${dataset}#${this.#name('b')}`]: `${dataset}@${point.name}` })
    },
    destroySnapshot: async ({ name, snapshots }: TreeDataset): Promise<void> => {
      const point = this.dice.of(snapshots)
      if (point !== undefined) await lzc.destroySnapshots([`${fullName(source, name)}@${point.name}`])
    },
    rollBack: async ({ name, snapshots }: TreeDataset): Promise<void> => {
      const dataset = fullName(source, name)
      const newest = newestOf(snapshots)
      if (newest === undefined) return
      const before = newestOf(snapshots.filter((point) => point !== newest))
      if (this.dice.chance(0.5) && before !== undefined) {
        await lzc.destroySnapshots([`${dataset}@${newest.name}`])
        await lzc.rollbackTo(dataset, `${dataset}@${before.name}`)
      } else await lzc.rollbackTo(dataset, `${dataset}@${newest.name}`)
    },
    clone: async ({ name, snapshots }: TreeDataset, tree: ReadonlyMap<string, TreeDataset>): Promise<void> => {
      const point = this.dice.of(snapshots)
      const above = this.#parent(tree)
      const to = below(above, this.#name('c'))
      if (point !== undefined) await lzc.clone(`${fullName(source, name)}@${point.name}`, to)
    },
    promote: async ({ name }: TreeDataset): Promise<void> => lzc.promote(fullName(source, name)),
    rename: async ({ name }: TreeDataset, tree: ReadonlyMap<string, TreeDataset>): Promise<void> => {
      if (name === '') return
      const leaf = this.dice.chance(0.5) ? leafName(name) : this.#name('r')
      await lzc.rename(fullName(source, name), below(this.#parent(tree), leaf))
    },
    renameSnapshot: async ({ name, snapshots }: TreeDataset): Promise<void> => {
      const point = this.dice.of(snapshots)
      const dataset = fullName(source, name)
      if (point !== undefined) await lzc.rename(`${dataset}@${point.name}`, `${dataset}@${this.#name('n')}`)
    },
    destroy: async (
      { name, snapshots, bookmarks }: TreeDataset,
      tree: ReadonlyMap<string, TreeDataset>,
    ): Promise<void> => {
      if (name === '' || [...tree.keys()].some((other) => other.startsWith(`${name}/`))) return
      const dataset = fullName(source, name)
      await lzc.destroySnapshots(snapshots.map((point) => `${dataset}@${point.name}`))
      await lzc.destroyBookmarks(bookmarks.map((point) => `${dataset}#${point.name}`))
      await lzc.destroy(dataset)
    },
  }

  /** Names come again, so that they clash. */
  #name(prefix: string): string {
    return `${prefix}${this.dice.chance(0.2) ? this.dice.below(this.#number + 1) : ++this.#number}`
  }

  #parent(tree: ReadonlyMap<string, TreeDataset>): string {
    return this.dice.of([...tree.values()].filter(({ type }) => type === 'filesystem'))?.name ?? ''
  }

  async #remember(): Promise<void> {
    for (const { name, type, snapshots } of (await treeOf(source)).values()) {
      if (type === 'volume') await rememberContents(this.contents, fullName(source, name), snapshots)
    }
  }

  async rememberAll(): Promise<void> {
    await this.#remember()
  }
}

/** The full name of a child of what has this name below the root. */
const below = (name: string, leaf: string): string => `${fullName(source, name)}/${leaf}`

async function rememberContents(
  contents: Map<bigint, string>,
  dataset: string,
  snapshots: TreeDataset['snapshots'],
): Promise<void> {
  for (const { guid, name } of snapshots) {
    if (!contents.has(guid)) contents.set(guid, await digest({ dataset: `${dataset}@${name}` }))
  }
}

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
      await createDisk(`${source}/d0`)
      for (let round = 0; round < rounds; round++) {
        for (let i = 0; i < changesPerRound; i++) await history.change()
        const had = guidsOf(await treeOf(replica))
        await replicateOnce(history, alpha, port)
        await history.rememberAll()
        await checkReplica(history, had)
      }
      await checkSettled(alpha, port)
      await history.rememberAll()
      await checkReplica(history, guidsOf(await treeOf(replica)))
    } catch (error) {
      console.error(`seed ${seed}:\n${history.log.join('\n')}`)
      throw error
    }
  })
}

/** Everything that was there is, and everything there is what it was at its source. */
async function checkReplica(history: History, had: readonly bigint[]): Promise<void> {
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
