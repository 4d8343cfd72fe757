import { newestFirst, newestOf } from './inventory.js'
import type { TreeDataset } from './tree.js'

/** Which of the destination's datasets are whose replica. */
export interface Matching {
  /** By the source's dataset. */
  replicas: Map<TreeDataset, TreeDataset>
  /** By the destination's dataset: the source's that it shares history with, whether or not it is its replica. */
  related: Map<TreeDataset, TreeDataset>
}

interface Claim {
  replica: TreeDataset
  /** It has snapshots that the source does not know. */
  diverged: boolean
}

/**
 * Tells what is whose replica by the GUIDs of their snapshots, whatever they are called. The newest snapshot of a replica that
 * the source knows decides, since a promoted clone takes the older ones with it (zfs-promote(8)).
 *
 * Where a dataset has several copies, the one with its name is its replica. One that has diverged and has another name is
 * none: it was renamed to be kept.
 */
export function matchTrees(source: Iterable<TreeDataset>, destination: Iterable<TreeDataset>): Matching {
  const holders = holdersByGuid(source)
  const matching: Matching = { replicas: new Map(), related: new Map() }
  for (const replica of destination) {
    const found = findSource(replica, holders)
    if (found === undefined) continue
    const { dataset, diverged } = found
    matching.related.set(replica, dataset)
    if (isBetter({ replica, diverged }, dataset, matching.replicas.get(dataset)))
      matching.replicas.set(dataset, replica)
  }
  return matching
}

function isBetter({ replica, diverged }: Claim, dataset: TreeDataset, other: TreeDataset | undefined): boolean {
  if (replica.type !== dataset.type) return false
  if (replica.name === dataset.name) return true
  // A root stays where it is: it can't be moved below itself, nor what is below it to its place.
  return !diverged && other === undefined && replica.name !== '' && dataset.name !== ''
}

function findSource(
  replica: TreeDataset,
  holders: ReadonlyMap<bigint, TreeDataset[]>,
): { dataset: TreeDataset; diverged: boolean } | undefined {
  const choose = (guid: bigint): TreeDataset | undefined => {
    const candidates = holders.get(guid)
    return candidates?.find(({ name }) => name === replica.name) ?? candidates?.[0]
  }
  const newest = newestOf(replica.snapshots)
  if (newest === undefined) {
    const { partial } = replica
    const dataset = typeof partial === 'object' ? choose(partial.toguid) : undefined
    return dataset && { dataset, diverged: false }
  }
  const dataset = choose(newest.guid)
  if (dataset !== undefined) return { dataset, diverged: false }
  for (const { guid } of newestFirst(replica.snapshots)) {
    const older = choose(guid)
    if (older !== undefined) return { dataset: older, diverged: true }
  }
  return undefined
}

/** Who has a point: as a snapshot, and after those as a bookmark. */
function holdersByGuid(source: Iterable<TreeDataset>): Map<bigint, TreeDataset[]> {
  const holders = new Map<bigint, TreeDataset[]>()
  const all = [...source]
  for (const points of ['snapshots', 'bookmarks'] as const) {
    for (const dataset of all) {
      for (const { guid } of dataset[points]) {
        const known = holders.get(guid)
        if (known === undefined) holders.set(guid, [dataset])
        else if (!known.includes(dataset)) known.push(dataset)
      }
    }
  }
  return holders
}
