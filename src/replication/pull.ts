import { replicateWithRetries } from './attempts.js'
import { asSaid, LocalDestination } from './local-destination.js'
import { checkVolumeName } from './names.js'
import type { Peer } from './peer.js'
import { exclusively } from './push.js'
import { RemoteSource } from './remote-source.js'
import type { ReplicationOptions, ReplicationResult } from './replication.js'

/**
 * Brings the present state of a peer's volume to this host: {@link pushVolume} from the other end, with the same options, results
 * and errors. The replica is `ROOT/volume` of this host, read-only and unmounted. The peer must allow `send`.
 *
 * @param volume its name below the peer's root, and below this host's
 */
export async function pullVolume(
  volume: string,
  peer: Peer,
  options: ReplicationOptions = {},
): Promise<ReplicationResult> {
  checkVolumeName(volume)
  const dataset = `${peer.host.root}/${volume}`
  return exclusively(peer, `pull of ${dataset} from ${peer.identity}`, dataset, options, (common) =>
    replicateWithRetries(common, options, (attempt) => ({
      ...attempt,
      announce: async () => peer.host.guard?.pulling(dataset, volume, peer, options.signal),
      source: new RemoteSource(peer, attempt.transfer),
      destination: new LocalDestination(peer.host, { transferId: attempt.transfer, peer: peer.identity }, asSaid),
      volume,
      replica: volume,
    })),
  )
}
