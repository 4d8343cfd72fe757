/** What a planner needs to know of one dataset: its identity and the points in its history. Plain data, no I/O. */

/** A snapshot, by the part of its name after the `@`. */
export interface SnapshotPoint {
  name: string
  guid: bigint
  /** The transaction group it was made in: orders the points of one dataset on one pool, and only those. */
  createtxg: bigint
}

/** A bookmark, by the part of its name after the `#`. It has the GUID of the snapshot that it was made from. */
export type BookmarkPoint = SnapshotPoint

export interface Inventory {
  /** The dataset's full name on its host. */
  dataset: string
  snapshots: readonly SnapshotPoint[]
  bookmarks: readonly BookmarkPoint[]
}

/** The points from newest to oldest. */
export function newestFirst<P extends SnapshotPoint>(points: readonly P[]): P[] {
  return [...points].sort((a, b) => (a.createtxg < b.createtxg ? 1 : a.createtxg > b.createtxg ? -1 : 0))
}

/** The newest point; `undefined` where there is none. */
export function newestOf<P extends SnapshotPoint>(points: readonly P[]): P | undefined {
  let newest = points[0]
  for (const point of points) if (newest === undefined || point.createtxg > newest.createtxg) newest = point
  return newest
}
