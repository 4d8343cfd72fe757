import type { LocalHost } from './peer.js'
import type { Audience, Circumstances } from './steps.js'

/** What a peer does here, to which dataset. */
export interface ServedChange extends Pick<Circumstances, 'volume' | 'peer' | 'side'> {
  transfer: string
  /** Full name here. */
  dataset: string
}

/** Who hears of the steps of a replication that a peer runs. */
export function audienceOf({ logger }: Pick<LocalHost, 'logger'>, change: ServedChange): Audience {
  const { transfer: transferId, volume, dataset, peer, side } = change
  return { about: { transferId, volume, peer, side }, logger: logger.child({ transferId, dataset, peer }) }
}
