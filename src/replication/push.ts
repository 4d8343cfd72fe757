import { ReplicationError, throwIfAborted } from '../errors.js'
import { RateLimiter } from '../transport/index.js'
import { replicateWithRetries } from './attempts.js'
import { LocalSource } from './local-source.js'
import type { Peer } from './peer.js'
import { RemoteDestination } from './remote-destination.js'
import type { Replication, ReplicationOptions, ReplicationResult } from './replication.js'

/** What is pushed: a dataset of this host and the name under which every host of the cluster knows it. */
export interface PushSource {
  /** Its name below the host's root, the same on every host. */
  readonly name: string
  /** Its full name on this host. */
  readonly dataset: string
}

/**
 * Brings a volume's present state to a peer: takes a snapshot, finds the newest point that both have by GUID, sends what is
 * missing, and resolves when the peer has confirmed the snapshot's GUID from its own pool. The replica there is read-only and
 * unmounted. Whatever ends a push early, the peer keeps the replica it had. What has arrived of the new one is kept beside it,
 * and the next push sends the rest of it first; an abort (see `onAbort`) and a full pool take it away.
 *
 * @throws DivergedError `DIVERGED`: the peer has data and no usable point in common; nothing was touched
 * @throws ZfsError such as `NO_SPACE`, on either side (`peer` says which)
 * @throws TransportError `PEER_LOST` and others
 * @throws NotAuthorizedError `NOT_AUTHORIZED`: the peer does not let this host push that volume
 * @throws NotSupportedError `NOT_SUPPORTED`: the peer's OpenZFS can't receive this stream
 * @throws ReplicationError `RECEIVER_BUSY`, `SENDER_BUSY`, `SUPERSEDED`, `GUID_MISMATCH`; `PARTIAL_STALE`: what an interrupted push
 *   has left there can't be gone on with; `HOOK_FAILED`
 * @throws AbortError `ABORTED`, TimeoutError `TIMEOUT`
 */
export async function pushVolume(
  volume: PushSource,
  peer: Peer,
  options: ReplicationOptions = {},
): Promise<ReplicationResult> {
  return exclusively(peer, `push of ${volume.dataset} to ${peer.identity}`, volume.dataset, options, (common) =>
    replicateWithRetries(common, options, (attempt) => ({
      ...attempt,
      announce: async () => peer.host.guard?.pushing(volume.dataset, volume.name, peer, options.signal),
      source: new LocalSource(
        peer.host.identity,
        peer.identity,
        () => volume.dataset,
        attempt.transfer,
        peer.host.logger,
      ),
      destination: new RemoteDestination(peer, attempt.transfer),
      volume: volume.name,
      replica: volume.name,
    })),
  )
}

/** What all that one call begins has in common. */
export interface Common extends Pick<Replication, 'what' | 'self' | 'limiter'> {
  peer: Peer
  /** The dataset on this host. */
  dataset: string
}

/**
 * Claims a dataset for a replication with a peer. Call the result to give it back.
 * @throws ReplicationError `SENDER_BUSY`
 */
export function takeTurn(peer: Peer, what: string, dataset: string): () => void {
  const release = peer.host.claims.take(what)
  if (release !== undefined) return release
  throw new ReplicationError('SENDER_BUSY', `Another ${what} is under way in this process`, {
    dataset,
    next: 'Wait for it to end; those with different peers may run side by side.',
  })
}

/** Runs one replication of a dataset with a peer; a second one at the same time is refused. */
export async function exclusively<Result>(
  peer: Peer,
  what: string,
  dataset: string,
  options: Pick<ReplicationOptions, 'limit' | 'signal'>,
  run: (common: Common) => Promise<Result>,
): Promise<Result> {
  const limiter = typeof options.limit === 'number' ? new RateLimiter(options.limit) : options.limit
  throwIfAborted(options.signal, what)
  const release = takeTurn(peer, what, dataset)
  try {
    return await run({ what, dataset, peer, self: peer.host.identity, limiter })
  } finally {
    release()
  }
}
