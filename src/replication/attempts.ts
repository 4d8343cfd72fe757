import { randomUUID } from 'node:crypto'
import { checkPropertyOptions } from './choose-properties.js'
import { afterFailure, isAborted } from './failure.js'
import { checkSnapshotName } from './names.js'
import type { Peer } from './peer.js'
import type { Common } from './push.js'
import { replicateVolume } from './replicate-volume.js'
import type { Replication, ReplicationOptions, ReplicationResult } from './replication.js'
import { Advance, checkRetry, type Retry, retrying } from './retry.js'
import type { StreamOrder } from './sides.js'
import { tell } from './steps.js'

/** What one attempt has of its own: another attempt may begin while the other host still holds what this one had. */
export type Attempt = Omit<Replication, 'source' | 'destination' | 'volume' | 'replica' | 'announce'>

/** Replicates, and again if need be, each time from what has arrived. */
export async function replicateWithRetries(
  { peer, what, self, limiter, dataset }: Common,
  options: ReplicationOptions,
  make: (attempt: Attempt) => Replication,
): Promise<ReplicationResult> {
  const { signal, retry, properties } = options
  if (options.snapshot !== undefined) checkSnapshotName(options.snapshot)
  if (retry !== undefined) checkRetry(retry)
  if (properties !== undefined) checkPropertyOptions(properties)
  const advance = new Advance()
  let left: StreamOrder | undefined
  // What is there then is not what was to be discarded.
  let begun = false
  const begin = (): Replication => {
    const transfer = randomUUID()
    const onStep: ReplicationOptions['onStep'] = (step) => {
      advance.see(step)
      if (step.step === 'streamBegun') {
        left = undefined
        begun = true
      }
      options.onStep?.(step)
    }
    const logger = peer.host.logger.child({ transferId: transfer, dataset, peer: peer.identity })
    const partial = begun ? 'resume' : (options.partial ?? 'resume')
    return make({ what, self, limiter, transfer, options: { ...options, partial, onStep }, logger })
  }
  let replication = begin()
  const onRetry = (retried: Retry): void => {
    left = replication.unfinished ?? left
    tell(replication, { step: 'retrying', ...retried })
    options.onRetry?.(retried)
  }
  try {
    return await retrying({ what, retry, signal, onRetry, advanced: () => advance.take() }, async (retries) => {
      if (retries > 0) {
        replication = begin()
        await peer.reconnect(signal === undefined ? {} : { signal })
      }
      const result = await replicateVolume(replication)
      const { kind, bytes, milliseconds } = result
      tell(replication, { step: 'done', kind, bytes, milliseconds })
      return { ...result, retries }
    })
  } catch (error) {
    if (left !== undefined && isAborted(replication)) await takeBack(peer, replication, left, error)
    tell(replication, { step: 'failed', error })
    throw error
  }
}

/** How long an abort may take to reach the other host again, in milliseconds. */
const reachMilliseconds = 5000

/** For an abort between two attempts: removes what the one before has left for the next. */
async function takeBack(peer: Peer, replication: Replication, order: StreamOrder, failure: unknown): Promise<void> {
  try {
    await peer.reconnect({ signal: AbortSignal.timeout(reachMilliseconds) })
  } catch (error) {
    const { name } = order.target
    replication.logger.warn({ err: error, snapshot: name }, 'what has arrived stays; the next replication settles it')
    return
  }
  await afterFailure(replication, order, { welcomed: true, confirmed: false }, failure)
}
