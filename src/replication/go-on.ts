import { ReplicationError } from '../errors.js'
import { deliver } from './deliver.js'
import { discardPartial } from './messages.js'
import { judgePartial, type PartialVerdict } from './partial.js'
import type { IncrementalBase } from './plan.js'
import type { Push, ResumedStream } from './push.js'
import { sendsRaw } from './send-flags.js'
import type { Partial, Situation } from './situation.js'

/** What came of an interrupted stream. */
export interface Finished {
  kind: 'full' | 'incremental'
  base: IncrementalBase | undefined
  resumed: ResumedStream
}

/**
 * Sends the rest of what an interrupted push has begun, if the peer has a part of something; or has the peer discard that, if
 * the caller said so. `undefined` where there was nothing, or is
 * nothing any more.
 *
 * @throws ReplicationError `PARTIAL_STALE`, and whatever a delivery throws
 */
export async function goOn(push: Push, situation: Situation): Promise<Finished | undefined> {
  const { partial } = situation
  if (partial === undefined) return undefined
  if (push.options.partial === 'discard') {
    await discard(push, partial)
    return undefined
  }
  const verdict = await judge(push, situation, partial)
  if (verdict.kind === 'stale') throw staleError(push, situation, verdict.reason, partial.unreadable)
  const { target, base, resume } = verdict
  const ours = target.pendingFor === push.peer.identity
  push.logger.info({ snapshot: target.name, kept: String(resume.bytes) }, 'going on with an interrupted push')
  const bytes = await deliver({ ...push, target: { ...target, ours }, base, resume })
  return {
    kind: base === undefined ? 'full' : 'incremental',
    base,
    resumed: { snapshot: `${push.source.dataset}@${target.name}`, guid: target.guid, kept: resume.bytes, bytes },
  }
}

async function judge(push: Push, { local }: Situation, { decoded }: Partial): Promise<PartialVerdict> {
  if (decoded === undefined) return { kind: 'stale', reason: 'its resume token is not one' }
  return judgePartial(decoded, local, await sendsRaw(push.source.dataset))
}

async function discard({ source, peer, options, logger }: Push, partial: Partial): Promise<void> {
  const request = options.signal === undefined ? {} : { signal: options.signal }
  await peer.connection.request(discardPartial, { volume: source.name, token: partial.token }, request)
  logger.info({ toname: partial.decoded?.toname }, 'the peer discarded what an interrupted push had left')
}

function staleError({ source, peer }: Push, { remote }: Situation, reason: string, cause: unknown): ReplicationError {
  return new ReplicationError(
    'PARTIAL_STALE',
    `${remote.dataset} on ${peer.identity} has a part of an interrupted push that can't be gone on with: ${reason}. ` +
      'Nothing was sent and nothing was changed.',
    {
      dataset: source.dataset,
      peer: peer.identity,
      next: "To have it discarded there and begin again: partial: 'discard' (on the command line --discard-partial).",
      cause,
    },
  )
}
