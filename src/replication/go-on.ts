import { ReplicationError } from '../errors.js'
import type { LeftOutProperty } from './admit-properties.js'
import { deliver } from './deliver.js'
import { newestOf } from './planner/inventory.js'
import { judgePartial, type PartialVerdict } from './planner/partial.js'
import type { IncrementalBase } from './planner/plan.js'
import type { Replication, ResumedStream } from './replication.js'
import type { Partial, Situation } from './situation.js'

/** What came of an interrupted stream. */
export interface Finished {
  kind: 'full' | 'incremental'
  base: IncrementalBase | undefined
  resumed: ResumedStream
  propertiesLeftOut: readonly LeftOutProperty[]
}

/**
 * Sends the rest of what an interrupted replication has begun, if the destination has a part of something; or has that discarded,
 * if the caller said so. `undefined` where there was nothing, or is nothing any more.
 *
 * @throws ReplicationError `PARTIAL_STALE`, and whatever a delivery throws
 */
export async function goOn(replication: Replication, situation: Situation): Promise<Finished | undefined> {
  const { partial } = situation
  const { destination, replica, options, logger } = replication
  if (partial === undefined) return undefined
  if (options.partial === 'discard') {
    await destination.discardPartial(replica, partial.token, options.signal)
    logger.info({ toname: partial.decoded?.toname }, 'discarded what an interrupted replication had left')
    return undefined
  }
  const verdict = judge(situation, partial)
  if (verdict.kind === 'stale') throw staleError(replication, situation, verdict.reason, partial.unreadable)
  const { base, resume } = verdict
  const target = { ...verdict.target, ours: verdict.target.pendingFor === destination.identity }
  logger.info({ snapshot: target.name, kept: String(resume.bytes) }, 'going on with an interrupted stream')
  const { bytes, propertiesLeftOut } = await deliver(replication, { target, base, resume })
  const snapshot = `${situation.source.dataset}@${target.name}`
  return {
    kind: base === undefined ? 'full' : 'incremental',
    base,
    resumed: { snapshot, guid: target.guid, kept: resume.bytes, bytes },
    propertiesLeftOut,
  }
}

function judge({ source, destination }: Situation, { decoded }: Partial): PartialVerdict {
  if (decoded === undefined) return { kind: 'stale', reason: 'its resume token is not one' }
  const newest = newestOf(destination.snapshots)
  if (newest !== undefined && newest.guid !== decoded.fromguid) {
    return { kind: 'stale', reason: 'the replica does not end in the snapshot that its stream starts from' }
  }
  return judgePartial(decoded, source, source.raw)
}

function staleError(
  { destination }: Replication,
  { source, destination: there }: Situation,
  reason: string,
  cause: unknown,
): ReplicationError {
  return new ReplicationError(
    'PARTIAL_STALE',
    `${there.dataset} on ${destination.identity} has a part of an interrupted stream that can't be gone on with: ${reason}. ` +
      'Nothing was sent and nothing was changed.',
    {
      dataset: source.dataset,
      peer: destination.identity,
      next: "To have it discarded there and begin again: partial: 'discard' (on the command line --discard-partial).",
      cause,
    },
  )
}
