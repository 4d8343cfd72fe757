import { ArgumentError, OwnershipError } from '../errors.js'
import { type Peer, type PushSource, pullVolume, pushVolume } from '../replication/index.js'
import { checkNoApplication } from './applications.js'
import { changeHands, type HandoffOptions, type HandoffResult } from './change-hands.js'
import { hear } from './claim.js'
import { handoffKey, type VolumesHost } from './context.js'
import { describe, endHandoff, notePeer, recordOf } from './custody.js'
import { guardOf } from './guard.js'
import { checkNotLeased } from './lease-rules.js'
import { checkOwner } from './ownership.js'
import { findRecord } from './record.js'
import { LocalGiver, LocalTaker, RemoteGiver, RemoteTaker } from './sides.js'

/**
 * Hands a volume of this host over to a peer, in use until the last moment: copies it in rounds, has `quiesce` stop what uses it,
 * takes it out of service here, copies the rest, and makes the peer the owner, which serves it. The commit is one write of this host's:
 * whatever fails before, the volume is served here again, and `resume` is called; afterwards the peer owns it, whatever fails, and this
 * host has a replica. The peer must allow this host `own` and `receive`, and `inspect`.
 *
 * @throws OwnershipError `NOT_OWNER`, `LEASED`, `IN_USE`, `HANDOFF_UNDER_WAY`, `STALE_EPOCH`, `PATH_DIFFERS`: the volume stays here;
 *   `HANDOFF_UNTOLD`: it is the peer's, which could not be told yet
 * @throws ReplicationError `HOOK_FAILED`; ZfsError `BUSY`: something still uses it; and all that {@link pushVolume} can end with, and
 *   then the volume stays here; AbortError, TimeoutError by the signal, likewise
 */
export async function handoffVolume(
  volume: PushSource,
  peer: Peer,
  options: HandoffOptions = {},
): Promise<HandoffResult> {
  checkNoApplication(await recordOf(volume.dataset), volume.dataset)
  return handoffForApplication(volume, peer, options)
}

/** @internal As {@link handoffVolume}, by whoever stops and starts the application on it. */
export async function handoffForApplication(
  volume: PushSource,
  peer: Peer,
  options: HandoffOptions,
): Promise<HandoffResult> {
  const { host } = guardOf(peer.host)
  const { dataset, name } = volume
  const record = await recordOf(dataset)
  checkOwner(record, host.identity)
  checkNotLeased(record.lease, Date.now(), dataset)
  await notePeer(host, dataset, peer.identity)
  return exclusively(host, dataset, () =>
    changeHands({
      host,
      peer,
      volume,
      description: describe(record, host.identity),
      giver: new LocalGiver(host, dataset, peer.identity, false),
      taker: new RemoteTaker(peer, name),
      direction: 'to',
      bring: (replication) => pushVolume(volume, peer, replication),
      end: (handoff) => endHandoff(host, dataset, handoff),
      options,
    }),
  )
}

/**
 * Fetches a volume from the peer that owns it, and becomes its owner: {@link handoffVolume} from the other end, with the same options,
 * result and errors. What uses it there must have been stopped, or is stopped by `quiesce`; a filesystem in use is not given away
 * (`BUSY`). The peer must allow this host `own` and `send`.
 *
 * @param volume its name below the peer's root, and below this host's
 */
export async function acquireVolume(volume: string, peer: Peer, options: HandoffOptions = {}): Promise<HandoffResult> {
  const { host } = guardOf(peer.host)
  const dataset = `${host.root}/${volume}`
  const description = await hear(host, dataset, volume, peer, options.signal)
  if (description === undefined) {
    throw new ArgumentError(`${peer.identity} has no volume ${volume}`, { peer: peer.identity })
  }
  if (description.owner.host !== peer.identity) {
    throw new OwnershipError('NOT_OWNER', `${description.owner.host} owns ${volume}, not ${peer.identity}`, {
      next: `Acquire it from ${description.owner.host}.`,
    })
  }
  const taker = new LocalTaker(host, dataset)
  return exclusively(host, dataset, () =>
    changeHands({
      host,
      peer,
      volume: { name: volume, dataset },
      description,
      giver: new RemoteGiver(peer, volume, description.id),
      taker,
      direction: 'from',
      bring: (replication) => pullVolume(volume, peer, replication),
      ask: (handoff, guid) => taker.ask(peer.identity, handoff, guid),
      end: async (handoff) => {
        if ((await findRecord(dataset)) !== undefined) await endHandoff(host, dataset, handoff)
      },
      options,
    }),
  )
}

/** One change of hands of a volume at a time, in this process. */
async function exclusively<T>({ claims }: VolumesHost, dataset: string, run: () => Promise<T>): Promise<T> {
  const release = claims.take(handoffKey(dataset))
  if (release === undefined) {
    throw new OwnershipError('HANDOFF_UNDER_WAY', `${dataset} is changing hands in this process`, { dataset })
  }
  try {
    return await run()
  } finally {
    release()
  }
}
