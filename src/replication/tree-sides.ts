import { ArgumentError } from '../errors.js'
import { asSaid, LocalDestination } from './local-destination.js'
import { LocalSource } from './local-source.js'
import { checkVolumeName } from './names.js'
import { type LocalHost, Peer } from './peer.js'
import { fullName } from './planner/tree.js'
import { takeTurn } from './push.js'
import { RemoteDestination } from './remote-destination.js'
import { RemoteSource } from './remote-source.js'
import type { Destination, Source } from './sides.js'

/** This host, as `openHost` makes it. */
export interface ThisHost {
  readonly identity: string
  /** @internal */
  readonly local: LocalHost
}

/** Where a tree goes from and to: one is this host, the other a peer that it is connected with. */
export interface Ends {
  from: ThisHost | Peer
  to: ThisHost | Peer
}

export interface Sides {
  source: Source
  destination: Destination
  peer: Peer
  volume: string
  direction: 'to' | 'from'
  /** Claims a dataset of the source, by its volume's name, as a push or a pull of it alone does. */
  claim: (volume: string) => () => void
}

/**
 * @param transfer a UUID that both hosts' logs name
 * @throws ArgumentError `INVALID_ARGUMENT`
 */
export function chooseSides(volume: string, { from, to }: Ends, transfer: string): Sides {
  checkVolumeName(volume)
  const [peer, host] = from instanceof Peer ? [from, to] : [to, from]
  if (!(peer instanceof Peer) || host instanceof Peer || host.local === undefined) {
    throw new ArgumentError('Of from and to, one is this host and the other a peer that it is connected with')
  }
  const self = host.local
  if (peer.host.claims !== self.claims) {
    throw new ArgumentError(`${peer.identity} was connected by another host than ${host.identity}`)
  }
  const claimAs = (action: string, direction: string) => (name: string) => {
    const dataset = fullName(self.root, name)
    return takeTurn(peer, `${action} of ${dataset} ${direction} ${peer.identity}`, dataset)
  }
  const common = { peer, volume }
  if (peer === from) {
    const source = new RemoteSource(peer, transfer)
    const destination = new LocalDestination(self, { transferId: transfer, peer: peer.identity }, asSaid)
    return { ...common, source, destination, direction: 'from', claim: claimAs('pull', 'from') }
  }
  const datasetOf = (name: string): string => fullName(self.root, name)
  const source = new LocalSource(self.identity, peer.identity, datasetOf, transfer, self.logger)
  const destination = new RemoteDestination(peer, transfer)
  return { ...common, source, destination, direction: 'to', claim: claimAs('push', 'to') }
}
