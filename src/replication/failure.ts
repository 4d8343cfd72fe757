import { ZfsError } from '../errors.js'
import type { Replication } from './replication.js'
import type { StreamOrder } from './sides.js'
import { readPartial } from './situation.js'

/** How far a delivery got decides what its failure leaves behind. */
export interface Reached {
  /** The destination has let the stream in, so it may have a part of it, or all of it even if it never said so. */
  welcomed: boolean
  /** The destination has said that it has the snapshot: whatever fails now, the snapshot stays. */
  confirmed: boolean
}

/** How long the destination may take to discard what has arrived, in milliseconds. */
const discardMilliseconds = 30_000

/**
 * Leaves what the next replication needs to go on, which is the snapshot if the destination may have a part of it; or nothing,
 * where nothing has arrived, the caller has aborted, or what has arrived fills up the destination's pool, which others need too.
 */
export async function afterFailure(
  replication: Replication,
  order: StreamOrder,
  reached: Reached,
  failure: unknown,
): Promise<void> {
  if (reached.confirmed) return
  const { source, volume, logger } = replication
  try {
    if (reached.welcomed || order.resume !== undefined) {
      if (!isAborted(replication) && !isFull(failure, replication)) return
      if ((await discardThere(replication, order)) === 'delivered') return
    } else if (replication.keepsTarget?.(order.target, failure)) return
    await source.withdraw(volume, order.target)
  } catch (error) {
    const { name } = order.target
    logger.warn({ err: error, snapshot: name }, 'what a failure has left could not be removed; the next one settles it')
  }
}

/** Whether the caller has aborted, and nothing is to stay. */
export function isAborted({ options: { signal, onAbort = 'discard' } }: Replication): boolean {
  if (signal === undefined || !signal.aborted || onAbort === 'keep') return false
  return !(signal.reason instanceof Error && signal.reason.name === 'TimeoutError')
}

function isFull(failure: unknown, { self, destination }: Replication): boolean {
  if (!(failure instanceof ZfsError) || !['NO_SPACE', 'QUOTA'].includes(failure.code)) return false
  return (failure.peer ?? self) === destination.identity
}

/** Has the destination discard its part of the snapshot. It may turn out to have all of it. */
async function discardThere(
  { source, destination, volume, replica }: Replication,
  { target }: StreamOrder,
): Promise<'nothing' | 'delivered'> {
  const signal = AbortSignal.timeout(discardMilliseconds)
  const there = await destination.inspect(replica, signal)
  if (there.snapshots.some(({ guid }) => guid === target.guid)) {
    await source.confirm(volume, target)
    return 'delivered'
  }
  const partial = readPartial(there)
  if (partial?.decoded?.toguid === target.guid) await destination.discardPartial(replica, partial.token, signal)
  return 'nothing'
}
