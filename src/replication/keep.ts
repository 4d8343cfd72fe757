/**
 * Holds that outlive a process: what the next replication needs can't be destroyed by whoever prunes. Another process may settle the same
 * dataset at the same moment: what it has done first is done.
 */
import { ZfsError } from '../errors.js'
import { getHolds, hold, ManyError, release } from '../lzc/index.js'
import type { SnapshotPoint } from './planner/inventory.js'

/** A snapshot with the number of its holds. */
export interface HeldSnapshot extends SnapshotPoint {
  userrefs: bigint
}

/** Tags, by the full name of the snapshot that is held with them. */
export type HoldTags = Readonly<Record<string, readonly string[]>>

/** Holds a snapshot with a tag, if it is not held so already. */
export async function keep(snapshot: string, tag: string): Promise<void> {
  if (tag in (await getHolds(snapshot))) return
  await unless('EXISTS', hold({ [snapshot]: tag }))
}

/** Lets go of every snapshot of a dataset that is held with a tag, but for the one with this GUID. */
export async function keepOnly(
  dataset: string,
  snapshots: readonly HeldSnapshot[],
  tag: string,
  guid: bigint | undefined,
): Promise<void> {
  const others = snapshots.filter((point) => point.userrefs > 0n && point.guid !== guid)
  await releaseHeld(Object.fromEntries(others.map(({ name }) => [`${dataset}@${name}`, [tag]])))
}

/** Releases those of these holds that there are, in one transaction. */
export async function releaseHeld(holds: HoldTags): Promise<void> {
  const held: Record<string, string[]> = {}
  for (const [snapshot, tags] of Object.entries(holds)) {
    const there = await holdsIfAny(snapshot)
    const found = tags.filter((tag) => tag in there)
    if (found.length > 0) held[snapshot] = found
  }
  await unless('NOT_FOUND', release(held))
}

async function holdsIfAny(snapshot: string): Promise<Record<string, bigint>> {
  try {
    return await getHolds(snapshot)
  } catch (error) {
    if (error instanceof ZfsError && error.code === 'NOT_FOUND') return {}
    throw error
  }
}

/** Waits for a change that fails with this code where it is done already. */
export async function unless(code: 'EXISTS' | 'NOT_FOUND', change: Promise<unknown>): Promise<void> {
  try {
    await change
  } catch (error) {
    if (!(error instanceof ManyError)) throw error
    if ([...error.failures.values()].some((failure) => failure.code !== code)) throw error
  }
}
