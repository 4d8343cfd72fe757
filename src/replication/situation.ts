import { decodeResumeToken, type ResumeToken } from '../stream/index.js'
import type { Replication } from './replication.js'
import type { DestinationInventory, SourceInventory } from './sides.js'

/** What both sides have when a replication begins, once what earlier ones had left on the sending side is settled. */
export interface Situation {
  source: SourceInventory
  destination: DestinationInventory
  partial: Partial | undefined
}

/** What an interrupted receive has left at the destination. */
export interface Partial {
  token: string
  /** `undefined` where the token can't be read, for `unreadable`. */
  decoded: ResumeToken | undefined
  unreadable?: unknown
}

/**
 * Asks either side what it has.
 * @throws ReplicationError `RECEIVER_BUSY`; ZfsError `NOT_FOUND`
 */
export async function readSituation({
  source,
  destination,
  volume,
  replica,
  options,
}: Replication): Promise<Situation> {
  const there = await destination.inspect(replica, options.signal)
  const partial = readPartial(there)
  const guids = new Set(there.snapshots.map(({ guid }) => guid))
  const has = { guids, complete: there.complete, partial: partial?.decoded?.toguid, wanted: options.snapshot }
  return { source: await source.inspect(volume, has, options.signal), destination: there, partial }
}

export function readPartial({ token }: DestinationInventory): Partial | undefined {
  if (token === undefined) return undefined
  try {
    return { token, decoded: decodeResumeToken(token) }
  } catch (error) {
    return { token, decoded: undefined, unreadable: error }
  }
}
