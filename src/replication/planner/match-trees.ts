import { newestFirst, newestOf } from './inventory.js'
import type { TreeDataset } from './tree.js'

/** Which of the destination's datasets are whose replica. */
export interface Matching {
  /** By the source's dataset. */
  replicas: Map<TreeDataset, TreeDataset>
  /** By the destination's dataset: the source's that it shares history with, whether or not it is its replica. */
  related: Map<TreeDataset, TreeDataset>
}

/**
 * Tells what is whose replica by the GUIDs of their snapshots, whatever they are called. The newest snapshot of a replica that
 * the source knows decides, since a promoted clone takes the older ones with it (zfs-promote(8)).
 *
 * Where a dataset has several copies, the one with its name is its replica. One that has diverged and has another name is
 * none: it was renamed to be kept.
 */
export function matchTrees(source: readonly TreeDataset[], destination: readonly TreeDataset[]): Matching {
  const matching: Matching = { replicas: new Map(), related: new Map() }
  const match = (replica: TreeDataset, dataset: TreeDataset, diverged: boolean): void => {
    matching.related.set(replica, dataset)
    if (isBetter(replica, diverged, dataset, matching.replicas.get(dataset))) matching.replicas.set(dataset, replica)
  }
  // Nearly always the newest one is known, so the rest of the histories is looked at only where it isn't.
  const newest = new Map(destination.map((replica) => [replica, newestGuid(replica)]))
  const holders = holdersOf(source, new Set(newest.values()))
  const unknown: TreeDataset[] = []
  for (const [replica, guid] of newest) {
    const known = guid === undefined ? undefined : chooseHolder(holders, guid, replica)
    const dataset = known ?? (isHalfThere(replica) ? source.find(({ name }) => name === replica.name) : undefined)
    if (dataset !== undefined) match(replica, dataset, false)
    else if (replica.snapshots.length > 1) unknown.push(replica)
  }
  const older = holdersOf(source, new Set(unknown.flatMap(({ snapshots }) => snapshots.map(({ guid }) => guid))))
  for (const replica of unknown) {
    const common = newestFirst(replica.snapshots).find(({ guid }) => older.has(guid))
    const dataset = common && chooseHolder(older, common.guid, replica)
    if (dataset !== undefined) match(replica, dataset, true)
  }
  return matching
}

function isBetter(
  replica: TreeDataset,
  diverged: boolean,
  dataset: TreeDataset,
  other: TreeDataset | undefined,
): boolean {
  if (replica.type !== dataset.type) return false
  if (replica.name === dataset.name) return true
  // A root stays where it is: it can't be moved below itself, nor what is below it to its place.
  return !diverged && other === undefined && replica.name !== '' && dataset.name !== ''
}

/** Of what a replica ends in, or is to end in where it is only half there. */
function newestGuid({ snapshots, partial }: TreeDataset): bigint | undefined {
  return newestOf(snapshots)?.guid ?? (typeof partial === 'object' ? partial.toguid : undefined)
}

/** It has begun to arrive. If the source does not know of what, then its name is all there is to go by. */
function isHalfThere({ snapshots, partial }: TreeDataset): boolean {
  return snapshots.length === 0 && partial !== undefined
}

function chooseHolder(
  holders: ReadonlyMap<bigint, readonly TreeDataset[]>,
  guid: bigint,
  { name }: TreeDataset,
): TreeDataset | undefined {
  const candidates = holders.get(guid)
  return candidates?.find((dataset) => dataset.name === name) ?? candidates?.[0]
}

/** Who has these points: as a snapshot, and after those as a bookmark. */
function holdersOf(
  source: readonly TreeDataset[],
  wanted: ReadonlySet<bigint | undefined>,
): Map<bigint, TreeDataset[]> {
  const holders = new Map<bigint, TreeDataset[]>()
  if (wanted.size === 0) return holders
  for (const points of ['snapshots', 'bookmarks'] as const) {
    for (const dataset of source) {
      for (const { guid } of dataset[points]) {
        if (!wanted.has(guid)) continue
        const known = holders.get(guid)
        if (known === undefined) holders.set(guid, [dataset])
        else known.push(dataset)
      }
    }
  }
  return holders
}
