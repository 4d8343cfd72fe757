import { ArgumentError } from '../../errors.js'
import type { ResumeToken } from '../../stream/index.js'
import type { BookmarkPoint, Inventory, SnapshotPoint } from './inventory.js'

/** What a planner needs to know of a dataset and all that is below it. Plain data, no I/O. */

export type DatasetType = 'filesystem' | 'volume'

export interface TreeSnapshot extends SnapshotPoint {
  /** In Unix seconds. */
  creation?: bigint
  /** How many holds it has (zfsprops(7), userrefs). */
  userrefs?: bigint
  /**
   * Identifies the set of IVs of an encrypted snapshot (`ivsetguid`): a raw stream applies only where both sides have the same.
   * Where one side does not tell, it isn't compared.
   */
  ivsetGuid?: bigint | undefined
  /** A replication made it for the destination at hand, which has not confirmed it yet; only on a source. */
  pending?: boolean | undefined
}

/** The snapshot that a clone comes from, by its full name on its host. It may be outside of the tree. */
export type SnapshotOrigin = TreeSnapshot

export interface TreeDataset {
  /** Relative to the tree's root, without a leading `/`; empty for the root itself. */
  name: string
  type: DatasetType
  /** The dataset's own GUID, which no replica shares. */
  guid: bigint
  encrypted: boolean
  origin?: SnapshotOrigin | undefined
  /** Bytes that it refers to now, and those of them that no snapshot of it has yet (zfsprops(7)). */
  referenced?: bigint | undefined
  written?: bigint | undefined
  snapshots: readonly TreeSnapshot[]
  bookmarks: readonly BookmarkPoint[]
  /** What an interrupted receive has left; only on a destination. `unreadable` where the token can't be decoded. */
  partial?: ResumeToken | 'unreadable' | undefined
}

export interface Tree {
  /** Full name of the root on its host. */
  root: string
  /** In any order. Empty where the root does not exist; else the root and whatever is between it and the others are there. */
  datasets: readonly TreeDataset[]
}

/** The full name of what has this name below the root. */
export function fullName(root: string, name: string): string {
  return name === '' ? root : `${root}/${name}`
}

/** The name of the parent, which is empty for the root's children; `undefined` for the root. */
export function parentName(name: string): string | undefined {
  return name === '' ? undefined : name.slice(0, Math.max(name.lastIndexOf('/'), 0))
}

export function leafName(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1)
}

/** One dataset of a tree as an inventory of its own. */
export function inventoryOf(root: string, { name, snapshots, bookmarks }: TreeDataset): Inventory {
  return { dataset: fullName(root, name), snapshots, bookmarks }
}

/**
 * The tree as it will be when a recursive snapshot of this name has been taken, to plan with before it is. The snapshots have
 * GUID 0, which no real one has.
 */
export function withSnapshotNow(tree: Tree, name: string): Tree {
  const point: TreeSnapshot = { name, guid: 0n, createtxg: 2n ** 64n - 1n }
  return { ...tree, datasets: tree.datasets.map((d) => ({ ...d, snapshots: [...d.snapshots, point] })) }
}

/**
 * Parents before children, siblings by name; by name for all who look the datasets up.
 * @throws ArgumentError `INVALID_ARGUMENT`: a name is there twice, or its parent is missing
 */
export function byName({ root, datasets }: Tree): Map<string, TreeDataset> {
  const sorted = new Map([...datasets].sort(byDepth).map((dataset) => [dataset.name, dataset]))
  if (sorted.size !== datasets.length) throw new ArgumentError(`The inventory of ${root} has a dataset twice`)
  for (const name of sorted.keys()) {
    const parent = parentName(name)
    if (parent !== undefined && !sorted.has(parent)) {
      throw new ArgumentError(`The inventory of ${root} has ${name} without its parent`)
    }
  }
  return sorted
}

function byDepth(a: TreeDataset, b: TreeDataset): number {
  const deeper = depth(a.name) - depth(b.name)
  return deeper !== 0 ? deeper : a.name < b.name ? -1 : a.name > b.name ? 1 : 0
}

function depth(name: string): number {
  return name === '' ? 0 : name.split('/').length
}
