import type { z } from 'zod'
import { ReplicationError, ZfsError } from '../errors.js'
import { decodeResumeToken, type ResumeToken } from '../stream/index.js'
import { type LocalInventory, readInventory } from './local.js'
import { inspectVolume } from './messages.js'
import type { Peer } from './peer.js'
import type { Push, PushSource } from './push.js'
import { settleEarlier } from './settle.js'

export type Remote = z.output<typeof inspectVolume.result>

/** What both sides have when a push begins, once what earlier pushes had left is settled. */
export interface Situation {
  local: LocalInventory
  remote: Remote
  partial: Partial | undefined
}

/** What an interrupted receive has left on the peer. */
export interface Partial {
  token: string
  /** `undefined` where the token can't be read, for `unreadable`. */
  decoded: ResumeToken | undefined
  unreadable?: unknown
}

/**
 * Asks the peer what it has of a volume.
 * @throws ReplicationError `RECEIVER_BUSY`
 */
export async function inspectPeer(
  source: PushSource,
  peer: Peer,
  signal: AbortSignal | undefined,
): Promise<Omit<Situation, 'local'>> {
  const request = signal === undefined ? {} : { signal }
  const remote = await peer.connection.request(inspectVolume, { volume: source.name }, request)
  if (remote.receiving) {
    throw new ReplicationError('RECEIVER_BUSY', `${remote.dataset} is receiving another stream`, {
      dataset: remote.dataset,
      peer: peer.identity,
    })
  }
  return { remote, partial: remote.token === undefined ? undefined : readToken(remote.token) }
}

/**
 * Asks the peer what it has, reads what is here, and settles what earlier pushes have left.
 * @throws ReplicationError `RECEIVER_BUSY`; ZfsError `NOT_FOUND`
 */
export async function readSituation({ source, peer, options }: Push): Promise<Situation> {
  const { remote, partial } = await inspectPeer(source, peer, options.signal)
  const local = await readInventory(source.dataset)
  if (local === undefined) {
    throw new ZfsError('NOT_FOUND', `${source.dataset} does not exist`, { dataset: source.dataset })
  }
  const guids = new Set(remote.snapshots.map(({ guid }) => guid))
  await settleEarlier(local, peer.identity, { guids, complete: remote.complete, partial: partial?.decoded?.toguid })
  return { local, remote, partial }
}

function readToken(token: string): Partial {
  try {
    return { token, decoded: decodeResumeToken(token) }
  } catch (error) {
    return { token, decoded: undefined, unreadable: error }
  }
}
