/** Trees of datasets on embedded hosts, and what a replica of one must have. */
import { randomBytes } from 'node:crypto'
import * as assert from 'uvu/assert'
import * as lzc from '../../src/lzc/index.js'
import { newestOf } from '../../src/replication/planner/inventory.js'
import { fullName, type TreeDataset } from '../../src/replication/planner/tree.js'
import { listTree, readTree } from '../../src/replication/read-tree.js'
import { digest } from './cluster.js'

export const source = 'alpha/flocker/app'
export const replica = 'beta/flocker/app'

/** A small volume. */
export async function createDisk(dataset: string, mebibytes = 4): Promise<void> {
  const properties = { volsize: mebibytes * 1024 * 1024, volblocksize: '16K' }
  await lzc.create(dataset, { type: 'volume', properties })
  await write(dataset)
}

/** Changes so many KiB of a volume. */
export async function write(dataset: string, kibibytes = 64, offset = 0n): Promise<void> {
  await lzc.writeVolume(dataset, offset, randomBytes(kibibytes * 1024))
}

/** The datasets of a tree by name below its root. */
export async function treeOf(root: string, peer?: string): Promise<Map<string, TreeDataset>> {
  const { datasets } = await readTree(root, true, peer)
  return new Map(datasets.map((dataset) => [dataset.name, dataset]))
}

/** Takes a snapshot of a tree, as an administrator does. */
export async function snapshotAll(root: string, name: string): Promise<void> {
  await lzc.snapshot((await listTree(root, true)).map((entry) => `${fullName(root, entry.name)}@${name}`))
}

export interface Facts {
  type: string
  /** Oldest first. */
  guids: bigint[]
  origin: bigint | undefined
  /** Of the newest snapshot of a volume. */
  hash: string | undefined
}

/** What source and replica must have alike, by name below the root. */
export async function factsOf(root: string, options: { newestOnly?: boolean } = {}): Promise<Record<string, Facts>> {
  const facts: Record<string, Facts> = {}
  for (const [name, { type, snapshots, origin, encrypted }] of await treeOf(root)) {
    const newest = newestOf(snapshots)
    const looks = type === 'volume' && newest !== undefined && !encrypted
    facts[name] = {
      type,
      guids: options.newestOnly ? (newest === undefined ? [] : [newest.guid]) : snapshots.map(({ guid }) => guid),
      origin: origin?.guid,
      hash: looks ? await digest({ dataset: `${fullName(root, name)}@${newest.name}` }) : undefined,
    }
  }
  return facts
}

/** No dataset of the tree has a part of a stream, and none of its snapshots a hold but for those of the replica's bases. */
export async function checkNothingLeft(root: string): Promise<void> {
  for (const [name, { partial, snapshots }] of await treeOf(root)) {
    assert.is(partial, undefined, `${fullName(root, name)} has a part of a stream`)
    for (const point of snapshots) {
      const snapshot = `${fullName(root, name)}@${point.name}`
      const tags = Object.keys(await lzc.getHolds(snapshot)).filter((tag) => !tag.startsWith('flocker:from:'))
      assert.equal(tags, [], snapshot)
    }
  }
}
