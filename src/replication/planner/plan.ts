import { type Inventory, newestFirst, newestOf, type SnapshotPoint } from './inventory.js'

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
 * Decides how to bring a snapshot of the source to the destination. Points match by GUID, never by name.
 *
 * @param source what the sending host has
 * @param destination what the receiving host has, or `undefined` where it has no such dataset
 * @param target the source's snapshot to bring there; without it, one that will be taken now
 */
export function planPush(source: Inventory, destination: Inventory | undefined, target?: SnapshotPoint): Plan {
  if (destination === undefined) return { kind: 'full' }
  if (destination.snapshots.some(({ guid }) => guid === target?.guid)) return { kind: 'current' }
  const relation = relate(source, destination.snapshots)
  if (relation.kind === 'diverged') return relation
  const { base, newest } = relation
  if (target === undefined || base.createtxg < target.createtxg) return { kind: 'incremental', base }
  return { kind: 'superseded', by: newest }
}

/** How a destination's history stands to the source's. */
export type Relation<P extends SnapshotPoint> =
  /** It ends in a point of the source, which an incremental stream can start from. */
  { kind: 'follows'; base: IncrementalBase; newest: P } | { kind: 'diverged'; divergence: Divergence }

/**
 * Compares two histories. An incremental stream applies only on top of the destination's newest snapshot (zfs-receive(8)), so
 * a common point that is older than that is divergence: going on would mean to roll the destination back.
 */
export function relate<P extends SnapshotPoint>(source: Inventory, snapshots: readonly P[]): Relation<P> {
  const newest = newestOf(snapshots)
  const base = newest === undefined ? undefined : baseWithGuid(source, newest.guid)
  if (newest !== undefined && base !== undefined) return { kind: 'follows', base, newest }
  const history = newestFirst(snapshots)
  const known = new Set([...source.snapshots, ...source.bookmarks].map(({ guid }) => guid))
  const commonIndex = history.findIndex(({ guid }) => known.has(guid))
  const common = history[commonIndex]
  const reason = common === undefined ? 'no-common-point' : 'destination-has-newer'
  const onlyOnDestination = common === undefined ? history : history.slice(0, commonIndex)
  return { kind: 'diverged', divergence: { reason, common, onlyOnDestination } }
}

/** What a stream can start from. A snapshot is preferred to a bookmark of the same GUID: it can be held while the stream runs. */
export function baseWithGuid({ dataset, snapshots, bookmarks }: Inventory, guid: bigint): IncrementalBase | undefined {
  for (const [kind, mark, points] of [
    ['snapshot', '@', snapshots],
    ['bookmark', '#', bookmarks],
  ] as const) {
    const point = points.find((one) => one.guid === guid)
    if (point !== undefined) return { kind, name: `${dataset}${mark}${point.name}`, guid, createtxg: point.createtxg }
  }
  return undefined
}
