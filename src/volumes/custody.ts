/** What this host does with a volume of its own pool when it changes hands. Each step may be done again, also after a crash in it. */

import { setProperties } from '../datasets/index.js'
import { OwnershipError } from '../errors.js'
import { commitTo, type VolumesHost, volumeOf } from './context.js'
import { takeStep } from './events.js'
import { newestGuid } from './history.js'
import { checkNotLeased } from './lease-rules.js'
import type { Description } from './messages.js'
import {
  ask,
  finish,
  freeze,
  learn,
  type Ownership,
  offer,
  release,
  type Standing,
  staleEpoch,
  take,
  thaw,
} from './ownership.js'
import { thisProcess } from './process.js'
import { changeRecord, changeStanding, notAVolume, readRecord, type VolumeRecord } from './record.js'
import { canmountFor, cutOff, isServed, putIntoService, readService, takeOutOfService } from './service.js'

/** What a volume is besides its bytes, for another host. */
export function describe(record: VolumeRecord, self: string): Description {
  const { id, type, owner, size, metadata, application, path, peers } = record
  return {
    id,
    type,
    owner,
    metadata,
    peers: [...new Set([...peers, self])],
    ...(size === undefined ? {} : { size }),
    ...(application === undefined ? {} : { application }),
    ...(path === undefined ? {} : { path }),
  }
}

function withProcess({ owner, journal }: Standing, process: string): Standing {
  return journal === undefined ? { owner } : { owner, journal: { ...journal, process } }
}

/** The record of a dataset that must be a volume. */
export async function recordOf(dataset: string): Promise<VolumeRecord> {
  const record = await readRecord(dataset)
  if (record === undefined) throw notAVolume(dataset)
  return record
}

/**
 * Stops serving a volume, to give it away.
 * @throws OwnershipError `NOT_OWNER`, `HANDOFF_UNDER_WAY`, `LEASED`; ZfsError `BUSY`: something uses it; it goes on being served
 */
export async function stopServing(host: VolumesHost, dataset: string, to: string, handoff: string): Promise<void> {
  const { logger, identity } = host
  const process = await thisProcess()
  await takeStep(logger, dataset, 'freeze', () =>
    changeStanding(dataset, (record) => {
      checkNotLeased(record.lease, Date.now(), dataset)
      return withProcess(freeze(record, identity, to, handoff), process)
    }),
  )
  try {
    await takeStep(logger, dataset, 'stop', () => takeOutOfService(dataset))
  } catch (error) {
    await keepServing(host, dataset, handoff)
    throw error
  }
}

/**
 * The commit: the new owner is named.
 * @param asked the new owner has asked for it: it need not be told
 * @throws OwnershipError `HANDOFF_ENDED`; `HANDOFF_INCOMPLETE`: there is a newer snapshot by now
 */
export async function giveAway(
  host: VolumesHost,
  dataset: string,
  handoff: string,
  guid: bigint,
  asked: boolean,
): Promise<VolumeRecord> {
  const { identity, logger } = host
  const record = await recordOf(dataset)
  // The answer to the first time may have been lost.
  if (asked && record.owner.host !== identity && record.journal === undefined) return record
  const { owner } = release(record, identity, handoff, guid, asked)
  const newest = await newestGuid(dataset)
  if (newest !== guid) {
    throw new OwnershipError(
      'HANDOFF_INCOMPLETE',
      `Somebody has taken a snapshot of ${dataset} since (guid ${newest})`,
      { dataset },
    )
  }
  return takeStep(logger, dataset, 'release', async () => {
    if (host.registry !== undefined) {
      // After a crash in between, what the registry has decided is carried out with this.
      await changeStanding(dataset, (standing) => offer(standing, identity, handoff, guid))
      await commitTo(host, dataset, record, owner)
    }
    return changeStanding(dataset, (standing) => release(standing, identity, handoff, guid, asked), { active: null })
  })
}

/** Ends a handoff that is not committed: the owner serves again. After the commit it changes nothing. */
export async function keepServing(host: VolumesHost, dataset: string, handoff?: string): Promise<VolumeRecord> {
  const { identity, logger } = host
  const before = await recordOf(dataset)
  if (thaw(before, identity, handoff) === before) return before
  const decided = await decidedElsewhere(host, dataset, before)
  if (decided !== undefined) return decided
  const record = await takeStep(logger, dataset, 'thaw', () =>
    changeStanding(dataset, (standing) => thaw(standing, identity, handoff)),
  )
  await serve(host, dataset, record)
  return record
}

/** Carries out a commit that a registry has decided on, the answer having been lost. */
async function decidedElsewhere(
  host: VolumesHost,
  dataset: string,
  { id, owner, journal }: VolumeRecord,
): Promise<VolumeRecord | undefined> {
  if (host.registry === undefined || journal?.kind !== 'giving' || journal.guid === undefined) return undefined
  const decided = await host.registry.read({ id, name: volumeOf(host, dataset) })
  if (decided === undefined || decided.host !== journal.to || decided.epoch <= owner.epoch) return undefined
  const { handoff, guid } = journal
  return takeStep(host.logger, dataset, 'release', () =>
    changeStanding(dataset, (standing) => release(standing, host.identity, handoff, guid), { active: null }),
  )
}

/** Puts a volume into service, if this host owns it. */
export async function serve(host: VolumesHost, dataset: string, record: VolumeRecord): Promise<void> {
  if (record.owner.host !== host.identity || record.journal !== undefined) return
  await takeStep(host.logger, dataset, 'serve', () => putIntoService(dataset, record))
}

/** Notes that this host asks for a volume, so that it asks again after a crash. */
export async function noteAsking(
  host: VolumesHost,
  dataset: string,
  from: string,
  handoff: string,
  guid: bigint,
): Promise<void> {
  const process = await thisProcess()
  await takeStep(host.logger, dataset, 'ask', () =>
    changeStanding(dataset, (standing) => withProcess(ask(standing, host.identity, from, handoff, guid), process)),
  )
}

/**
 * Becomes the owner, as the owner before has decided, and serves the volume.
 * @param given the epoch, and the GUID of the giver's last snapshot
 * @throws OwnershipError `STALE_EPOCH`, `HANDOFF_INCOMPLETE`; ZfsError `KEY_NOT_LOADED` and others that keep it from being mounted: it
 *   owns the volume all the same
 */
export async function becomeOwner(
  host: VolumesHost,
  dataset: string,
  given: { epoch: bigint; guid: bigint },
  description: Description,
): Promise<void> {
  const { identity, logger } = host
  const newest = await newestGuid(dataset)
  const { size, metadata, application, path } = description
  const peers = description.peers.filter((peer) => peer !== identity)
  const record = await takeStep(logger, dataset, 'take', () =>
    changeStanding(dataset, (standing) => take(standing, identity, given, newest), {
      size: size ?? null,
      path: path ?? null,
      metadata,
      application: application ?? null,
      peers,
      former: false,
    }),
  )
  if (!(await isServed(dataset, record))) await serve(host, dataset, record)
}

/** Nothing is left to be told to, or asked from, anybody. */
export async function endHandoff(host: VolumesHost, dataset: string, handoff: string): Promise<void> {
  const before = await recordOf(dataset)
  if (before.journal?.handoff !== handoff) return
  await takeStep(host.logger, dataset, 'finish', () => changeStanding(dataset, (standing) => finish(standing, handoff)))
}

/**
 * Takes in who owns a volume. A host that finds itself to be the owner no more makes it a replica at once.
 * @returns whether it was the owner
 * @throws OwnershipError `STALE_EPOCH`: it is the other that does not know
 */
export async function takeIn(host: VolumesHost, dataset: string, said: Ownership): Promise<boolean> {
  const { identity, logger } = host
  const verdict = learn(await recordOf(dataset), identity, said)
  if (verdict.kind === 'stale') throw staleEpoch(verdict.owner, said)
  if (verdict.kind === 'known') return false
  const { wasOwner } = verdict
  await takeStep(logger, dataset, 'learn', () =>
    changeStanding(
      dataset,
      (standing) => {
        const again = learn(standing, identity, said)
        return again.kind === 'learned' ? again.standing : standing
      },
      { active: null, ...(wasOwner ? { former: true } : {}) },
    ),
  )
  await becomeReplica(host, dataset, wasOwner)
  return wasOwner
}

/**
 * Makes sure that a volume of another's is not served here.
 * @param unmounts whether one that is read-only, and mounted all the same, is so by its use until now, not to be looked at
 */
export async function becomeReplica(host: VolumesHost, dataset: string, unmounts = false): Promise<void> {
  const { writable, mounted } = await readService(dataset)
  if (!writable && !(mounted && unmounts)) return
  await takeStep(host.logger, dataset, 'cutOff', async () => {
    if (await cutOff(dataset)) return
    host.logger.warn({ dataset }, 'something uses the volume, which is read-only now: it stays mounted until that ends')
  })
}

/**
 * Notes a peer that is to have a replica which may be promoted: from now on this host asks it before it serves the volume after a start.
 */
export async function notePeer(host: VolumesHost, dataset: string, peer: string): Promise<void> {
  const before = await recordOf(dataset)
  if (before.peers.includes(peer)) return
  await takeStep(host.logger, dataset, 'announce', async () => {
    if (before.type === 'filesystem') await setProperties(dataset, { canmount: canmountFor([peer]) })
    await changeRecord(dataset, ({ peers }) => (peers.includes(peer) ? undefined : { peers: [...peers, peer] }))
  })
}
