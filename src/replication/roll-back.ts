import { ReplicationError, ZfsError } from '../errors.js'
import { destroyBookmarks, destroySnapshots, getHolds, release, rollbackTo } from '../lzc/index.js'
import { readInventory } from './local.js'
import { isReceivedTag } from './names.js'
import { newestFirst } from './planner/inventory.js'

/**
 * Rolls a dataset back to a snapshot: destroys the newer ones and, as `zfs rollback -r` does, the newer bookmarks, which would be of
 * no history any more; then what was written since. A crash in between leaves it with that snapshot as its newest one, and can be
 * followed by the same again.
 *
 * @param losing the GUIDs of all newer snapshots
 * @throws ReplicationError `REPLICA_CHANGED`: others are newer, and nothing was done; ZfsError `NOT_FOUND`, `BUSY`, `HAS_DEPENDENTS`
 */
export async function rollBack(dataset: string, to: bigint, losing: readonly bigint[]): Promise<void> {
  const inventory = await readInventory(dataset)
  const history = newestFirst(inventory?.snapshots ?? [])
  const at = history.findIndex(({ guid }) => guid === to)
  const target = history[at]
  if (target === undefined)
    throw new ZfsError('NOT_FOUND', `${dataset} has no snapshot with the GUID ${to}`, { dataset })
  const newer = history.slice(0, at)
  const known = new Set(losing)
  if (newer.length !== known.size || newer.some(({ guid }) => !known.has(guid))) {
    const names = newer.map(({ name }) => `@${name}`).join(', ') || 'none'
    throw new ReplicationError(
      'REPLICA_CHANGED',
      `${dataset} has other snapshots after @${target.name} by now: ${names}`,
      {
        dataset,
        next: 'Nothing was rolled back. Replicate again to learn what there is.',
      },
    )
  }
  const snapshots = newer.map(({ name }) => `${dataset}@${name}`)
  for (const snapshot of snapshots) await letGoOfBase(snapshot)
  await destroySnapshots(snapshots)
  const marks = inventory?.bookmarks.filter(({ createtxg }) => createtxg > target.createtxg) ?? []
  await destroyBookmarks(marks.map(({ name }) => `${dataset}#${name}`))
  await rollbackTo(dataset, `${dataset}@${target.name}`)
}

/** That it was the base of a next stream is no reason to keep what the caller gives up. Anybody else's hold is. */
async function letGoOfBase(snapshot: string): Promise<void> {
  const tags = Object.keys(await getHolds(snapshot)).filter(isReceivedTag)
  if (tags.length > 0) await release({ [snapshot]: tags })
}
