import { getProperties, inheritProperty } from '../datasets/index.js'
import { ZfsError } from '../errors.js'
import { bookmark, destroyBookmarks, destroySnapshots, getHolds } from '../lzc/index.js'
import { type HoldTags, keep, keepOnly, releaseHeld, unless } from './keep.js'
import { type LocalInventory, readBookmarks } from './local.js'
import { cursorName, isCursorOf, pendingProperty, sendingTag } from './names.js'
import { judgePending } from './pending.js'
import type { OnDestination } from './sides.js'

interface Point {
  name: string
  guid: bigint
}

/**
 * Puts in order what an interrupted push to this peer has left: a snapshot that did arrive becomes confirmed, one that did not
 * is removed (its push made it, and it carries that push's mark and name), unless the peer has a part of it or is to get it now, or somebody
 * here uses it.
 * `local` is brought up to date.
 */
export async function settleEarlier(
  local: LocalInventory,
  peer: string,
  { guids, complete, partial, wanted }: OnDestination,
): Promise<void> {
  const { delivered, strays } = judgePending(local.snapshots, peer, guids, complete, partial, wanted)
  // What is not on its way any more is not kept for that.
  await keepOnly(local.dataset, local.snapshots, sendingTag(peer), partial)
  for (const point of delivered) {
    await rememberPoint(local.dataset, peer, point)
    await inheritProperty(`${local.dataset}@${point.name}`, pendingProperty)
  }
  const removed = new Set<bigint>()
  for (const { name, guid } of strays) {
    const snapshot = `${local.dataset}@${name}`
    // A hold means that a push in another process is still at work with it; one that has ended since has taken the mark off before.
    if (Object.keys(await getHolds(snapshot)).length > 0) continue
    if (!(await isMarked(snapshot))) continue
    if (await destroyUnused(snapshot)) removed.add(guid)
  }
  local.snapshots = local.snapshots.filter(({ guid }) => !removed.has(guid))
}

async function isMarked(snapshot: string): Promise<boolean> {
  return pendingProperty in (await getProperties(snapshot, [pendingProperty]))
}

/** Not where somebody has made a clone of it. */
async function destroyUnused(snapshot: string): Promise<boolean> {
  try {
    await destroySnapshots([snapshot])
    return true
  } catch (error) {
    if (error instanceof ZfsError && error.code === 'HAS_DEPENDENTS') return false
    throw error
  }
}

/** Makes the cursor: a bookmark costs next to nothing and stays a usable base when the snapshot itself is gone. */
export async function rememberPoint(dataset: string, peer: string, point: Point): Promise<void> {
  const name = cursorName(peer, point.guid)
  if ((await readBookmarks(dataset)).some((existing) => existing.name === name)) return
  await unless('EXISTS', bookmark({ [`${dataset}#${name}`]: `${dataset}@${point.name}` }))
}

/**
 * Before a stream: its base gets a cursor, if it has none, and its snapshot a hold, so that both are there for as long as it takes,
 * whatever crashes and whoever prunes in between.
 */
export async function secure(dataset: string, peer: string, target: Point, base: Point | undefined): Promise<void> {
  if (base !== undefined) await rememberPoint(dataset, peer, base)
  await keep(`${dataset}@${target.name}`, sendingTag(peer))
}

/**
 * After the peer's confirmation: move the cursor to this point, then drop the mark, the holds and the cursors it replaces. May be
 * done again. A marked snapshot that nobody holds is one that another process would take for a stray.
 *
 * @param forStream what is held for the stream, if it is by this process
 */
export async function confirmDelivery(
  dataset: string,
  peer: string,
  point: Point,
  ours: boolean,
  forStream: HoldTags = {},
): Promise<void> {
  await rememberPoint(dataset, peer, point)
  const snapshot = `${dataset}@${point.name}`
  // One that was named may be what an earlier push had made.
  if (ours || (await isMarked(snapshot))) await inheritProperty(snapshot, pendingProperty)
  await releaseHeld({ ...forStream, [snapshot]: [sendingTag(peer), ...(forStream[snapshot] ?? [])] })
  const replaced = (await readBookmarks(dataset))
    .filter(({ name, guid }) => isCursorOf(peer, name) && guid !== point.guid)
    .map(({ name }) => `${dataset}#${name}`)
  if (replaced.length > 0) await destroyBookmarks(replaced)
}
