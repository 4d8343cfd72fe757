import { ZfsError } from '../errors.js'
import { destroySnapshots } from '../lzc/index.js'
import { discardPartial } from './messages.js'
import type { Delivery } from './push.js'
import { confirmDelivery } from './settle.js'
import { inspectPeer } from './situation.js'

/** How far a delivery got decides what its failure leaves behind. */
export interface Reached {
  /** The peer has let the stream in, so it may have a part of it, or all of it even if it never said so. */
  welcomed: boolean
  /** The peer has said that it has the snapshot: whatever fails now, the snapshot stays. */
  confirmed: boolean
}

/** How long the peer may take to discard what has arrived, in milliseconds. */
const discardMilliseconds = 30_000

/**
 * Leaves what the next push needs to go on, which is the snapshot if the peer may have a part of it; or nothing, where nothing
 * has arrived, the caller has aborted, or what has arrived fills up the peer's pool, which others need too.
 */
export async function afterFailure(delivery: Delivery, reached: Reached, failure: unknown): Promise<void> {
  if (reached.confirmed) return
  const { source, target, logger, resume } = delivery
  const snapshot = `${source.dataset}@${target.name}`
  try {
    if (reached.welcomed || resume !== undefined) {
      if (!isAborted(delivery) && !isFull(failure)) return
      if ((await discardAtPeer(delivery)) === 'delivered') return
    }
    if (target.ours) await destroySnapshots([snapshot])
  } catch (error) {
    logger.warn({ err: error, snapshot }, 'what a failed push has left could not be removed; the next push settles it')
  }
}

function isAborted({ options: { signal, onAbort = 'discard' } }: Delivery): boolean {
  if (signal === undefined || !signal.aborted || onAbort === 'keep') return false
  return !(signal.reason instanceof Error && signal.reason.name === 'TimeoutError')
}

function isFull(failure: unknown): boolean {
  return failure instanceof ZfsError && failure.peer !== undefined && ['NO_SPACE', 'QUOTA'].includes(failure.code)
}

/** Has the peer discard its part of the snapshot. It may turn out to have all of it. */
async function discardAtPeer({ source, peer, target }: Delivery): Promise<'nothing' | 'delivered'> {
  const signal = AbortSignal.timeout(discardMilliseconds)
  const { remote, partial } = await inspectPeer(source, peer, signal)
  if (remote.snapshots.some(({ guid }) => guid === target.guid)) {
    await confirmDelivery(source.dataset, peer.identity, target, target.ours)
    return 'delivered'
  }
  if (partial?.decoded?.toguid === target.guid) {
    await peer.connection.request(discardPartial, { volume: source.name, token: partial.token }, { signal })
  }
  return 'nothing'
}
