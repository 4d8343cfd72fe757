import { type Inventory, newestFirst, type SnapshotPoint } from './inventory.js'

/** Where an incremental stream starts: a snapshot of the source, or a bookmark where the snapshot itself is gone. */
export interface IncrementalBase {
  kind: 'snapshot' | 'bookmark'
  /** Full name on the source: `dataset@name` or `dataset#name`. */
  name: string
  guid: bigint
  createtxg: bigint
}

/** What the two histories say of each other when nothing can be sent without destroying something. */
export interface Divergence {
  reason: 'no-common-point' | 'destination-has-newer'
  /** The newest point that both sides have, by its name on the destination, where there is one. */
  common: SnapshotPoint | undefined
  /** The destination's snapshots that a rollback would lose, newest first. */
  onlyOnDestination: readonly SnapshotPoint[]
}

export type Plan =
  /** The destination has the target already. */
  | { kind: 'current' }
  /** The destination has a newer point of the source; an older one can't be added beneath it. */
  | { kind: 'superseded'; by: SnapshotPoint }
  | { kind: 'full' }
  | { kind: 'incremental'; base: IncrementalBase }
  | { kind: 'diverged'; divergence: Divergence }

/**
 * Decides how to bring a snapshot of the source to the destination. Points match by GUID, never by name. An incremental
 * stream applies only on top of the destination's newest snapshot (zfs-receive(8)), so a common point that is older than that
 * is divergence: going on would mean to roll the destination back.
 *
 * @param source what the sending host has
 * @param destination what the receiving host has, or `undefined` where it has no such dataset
 * @param target the source's snapshot to bring there; without it, one that will be taken now
 */
export function planPush(source: Inventory, destination: Inventory | undefined, target?: SnapshotPoint): Plan {
  if (destination === undefined) return { kind: 'full' }
  if (destination.snapshots.some(({ guid }) => guid === target?.guid)) return { kind: 'current' }
  const bases = basesByGuid(source)
  const history = newestFirst(destination.snapshots)
  const commonIndex = history.findIndex((point) => bases.has(point.guid))
  const common = history[commonIndex]
  if (common === undefined) {
    return {
      kind: 'diverged',
      divergence: { reason: 'no-common-point', common, onlyOnDestination: history },
    }
  }
  if (commonIndex > 0) {
    const onlyOnDestination = history.slice(0, commonIndex)
    return { kind: 'diverged', divergence: { reason: 'destination-has-newer', common, onlyOnDestination } }
  }
  const base = bases.get(common.guid) as IncrementalBase
  if (target === undefined || base.createtxg < target.createtxg) return { kind: 'incremental', base }
  return { kind: 'superseded', by: common }
}

/** What a stream can start from. A snapshot is preferred to a bookmark of the same GUID: it can be held while the stream runs. */
export function basesByGuid(source: Inventory): Map<bigint, IncrementalBase> {
  const bases = new Map<bigint, IncrementalBase>()
  for (const point of source.bookmarks) {
    bases.set(point.guid, { ...point, kind: 'bookmark', name: `${source.dataset}#${point.name}` })
  }
  for (const point of source.snapshots) {
    bases.set(point.guid, { ...point, kind: 'snapshot', name: `${source.dataset}@${point.name}` })
  }
  return bases
}
