/** Holds that outlive a process: what the next replication needs can't be destroyed by whoever prunes. */
import { getHolds, hold, release } from '../lzc/index.js'
import type { SnapshotPoint } from './planner/inventory.js'

/** A snapshot with the number of its holds. */
export interface HeldSnapshot extends SnapshotPoint {
  userrefs: bigint
}

/** Holds a snapshot with a tag, if it is not held so already. */
export async function keep(snapshot: string, tag: string): Promise<void> {
  if (tag in (await getHolds(snapshot))) return
  await hold({ [snapshot]: tag })
}

/** Lets go of every snapshot of a dataset that is held with a tag, but for the one with this GUID. */
export async function keepOnly(
  dataset: string,
  snapshots: readonly HeldSnapshot[],
  tag: string,
  guid: bigint | undefined,
): Promise<void> {
  for (const point of snapshots) {
    if (point.userrefs === 0n || point.guid === guid) continue
    const snapshot = `${dataset}@${point.name}`
    if (tag in (await getHolds(snapshot))) await release({ [snapshot]: tag })
  }
}
