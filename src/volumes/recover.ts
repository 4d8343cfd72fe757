/** What a host does with its volumes after a start: each is found in its pool as a crash has left it, and is brought to where it belongs. */
import { listDatasets } from '../datasets/index.js'
import { FlockerError, OwnershipError } from '../errors.js'
import { exists } from '../lzc/index.js'
import type { Peer } from '../replication/index.js'
import { hear } from './claim.js'
import { alone, handoffKey, type VolumesHost, volumeOf } from './context.js'
import { becomeOwner, becomeReplica, describe, endHandoff, keepServing, recordOf, serve, takeIn } from './custody.js'
import { takeVolume, thawVolume } from './messages.js'
import { dutyOf, learn } from './ownership.js'
import { isAlive, thisProcess } from './process.js'
import { ownProperties, parseRecord, recordNames, type VolumeRecord } from './record.js'
import { isServed, readService } from './service.js'
import { finishSettingAside } from './set-aside.js'

/** A volume that is not where it belongs yet. */
export interface Unsettled {
  /** Its name below the root. */
  volume: string
  why: Error
}

/** Connects with a peer, by its identity. @throws what keeps it from doing so */
export type Reach = (identity: string, signal?: AbortSignal) => Promise<Peer>

/** A volume of this host's pool. */
export interface Found {
  dataset: string
  record: VolumeRecord
}

/** All volumes below a host's root. */
export async function findVolumes(host: VolumesHost): Promise<Found[]> {
  const found: Found[] = []
  for (const { dataset, record } of await findDatasets(host)) if (record !== undefined) found.push({ dataset, record })
  return found
}

/** The names below a host's root of datasets that are no volumes: such as a replica of what was none, or what is kept of a volume. */
export async function listOtherDatasets(host: VolumesHost): Promise<string[]> {
  const all = await findDatasets(host)
  return all.flatMap(({ dataset, record }) => (record === undefined ? [volumeOf(host, dataset)] : []))
}

async function findDatasets(host: VolumesHost): Promise<{ dataset: string; record: VolumeRecord | undefined }[]> {
  if (!(await exists(host.root))) return []
  const found: { dataset: string; record: VolumeRecord | undefined }[] = []
  const properties = Object.values(recordNames)
  for await (const { name, type, properties: read } of listDatasets(host.root, { recursive: true, properties })) {
    if (name === host.root) continue
    found.push({ dataset: name, record: parseRecord(name, type, ownProperties(read)) })
  }
  return found
}

/**
 * Settles what needs no other host, and makes sure that nothing is served which another could own.
 * @returns what is left
 */
export async function settleHere(host: VolumesHost): Promise<Unsettled[]> {
  await finishSettingAside(host)
  return each(host, await findVolumes(host), async (dataset, record) => {
    const duty = dutyOf(record, host.identity)
    if (duty.kind !== 'serve' && duty.kind !== 'keep') {
      await becomeReplica(host, dataset)
      if (duty.kind !== 'follow') throw unfinished(dataset, duty.kind)
    } else if (duty.kind === 'keep' || !(await isServed(dataset, record))) {
      if (duty.kind === 'serve' && record.peers.length === 0 && host.registry === undefined) {
        await serve(host, dataset, record)
        return
      }
      if ((await readService(dataset)).type === 'volume') await becomeReplica(host, dataset)
      throw unconfirmed(dataset, record.peers)
    }
  })
}

/**
 * Brings every volume to where it belongs, with the help of the other hosts.
 * @returns what is left, for now
 */
export async function recover(host: VolumesHost, reach: Reach, signal?: AbortSignal): Promise<Unsettled[]> {
  await finishSettingAside(host)
  return each(host, await findVolumes(host), (dataset, record) => settle(host, dataset, record, reach, signal))
}

/** Does something with each volume that nobody else is at. */
async function each(
  host: VolumesHost,
  volumes: readonly Found[],
  run: (dataset: string, record: VolumeRecord) => Promise<void>,
): Promise<Unsettled[]> {
  const left: Unsettled[] = []
  for (const { dataset, record } of volumes) {
    if (host.claims.has(handoffKey(dataset)) || (await isOthers(record))) continue
    try {
      await run(dataset, record)
    } catch (error) {
      left.push({ volume: volumeOf(host, dataset), why: error instanceof Error ? error : new Error(String(error)) })
    }
  }
  return left
}

/** Whether another process of this machine is at it. */
async function isOthers({ journal }: VolumeRecord): Promise<boolean> {
  return journal?.process !== (await thisProcess()) && (await isAlive(journal?.process))
}

async function settle(
  host: VolumesHost,
  dataset: string,
  record: VolumeRecord,
  reach: Reach,
  signal: AbortSignal | undefined,
): Promise<void> {
  const duty = dutyOf(record, host.identity)
  const volume = volumeOf(host, dataset)
  if (duty.kind === 'follow') return alone(host, dataset, () => becomeReplica(host, dataset))
  if (duty.kind === 'tell') {
    const { to, guid, handoff } = duty.journal
    const peer = await reach(to, signal)
    const params = { volume, epoch: record.owner.epoch, guid, description: describe(record, host.identity) }
    try {
      await peer.connection.request(takeVolume, params, signal && { signal })
    } catch (error) {
      if (!(error instanceof OwnershipError) || error.code !== 'STALE_EPOCH') throw error
      await hear(host, dataset, volume, peer, signal)
    }
    await endHandoff(host, dataset, handoff)
    return
  }
  if (duty.kind === 'ask') {
    const { from, guid, handoff } = duty.journal
    const peer = await reach(from, signal)
    const { description } = await peer.connection.request(thawVolume, { volume, handoff }, signal && { signal })
    await alone(host, dataset, async () => {
      if (description?.owner.host === host.identity) {
        await becomeOwner(host, dataset, { epoch: description.owner.epoch, guid }, description)
        return
      }
      if (description !== undefined && learn(record, host.identity, description.owner).kind === 'learned') {
        await takeIn(host, dataset, description.owner)
      }
      await endHandoff(host, dataset, handoff)
    })
    return
  }
  if (duty.kind === 'serve' && (await isServed(dataset, record))) return
  await confirm(host, dataset, record, reach, signal)
  await alone(host, dataset, async () => {
    const now = await recordOf(dataset)
    if (now.owner.host !== host.identity) return
    if (now.journal === undefined) await serve(host, dataset, now)
    else await keepServing(host, dataset)
  })
}

/**
 * Makes sure that nobody has been promoted while this host was away.
 * @throws OwnershipError `OWNER_UNCONFIRMED`
 */
async function confirm(
  host: VolumesHost,
  dataset: string,
  { id, peers, owner }: VolumeRecord,
  reach: Reach,
  signal: AbortSignal | undefined,
): Promise<void> {
  const volume = volumeOf(host, dataset)
  if (host.registry !== undefined) {
    const decided = await host.registry.read({ id, name: volume }, signal)
    if (decided === undefined || decided.host === host.identity) return
    if (learn({ owner }, host.identity, decided).kind === 'learned') {
      // What a handoff has offered is carried out, so that the new owner hears of it.
      await alone(host, dataset, async () => {
        const kept = await keepServing(host, dataset)
        if (kept.owner.host === host.identity) await takeIn(host, dataset, decided)
      })
    }
    return
  }
  for (const identity of peers) {
    try {
      await hear(host, dataset, volume, await reach(identity, signal), signal)
    } catch (cause) {
      if (cause instanceof FlockerError && cause.code === 'ABORTED') throw cause
      throw unconfirmed(dataset, [identity], cause)
    }
  }
}

function unconfirmed(dataset: string, peers: readonly string[], cause?: unknown): OwnershipError {
  return new OwnershipError(
    'OWNER_UNCONFIRMED',
    `${dataset} is not served yet: ${peers.join(', ') || 'the registry'} has not said that nobody else owns it by now`,
    {
      dataset,
      cause,
      next: 'It is asked again. If you know that nobody was promoted: host.serveVolume(name, { unconfirmed: true }).',
    },
  )
}

function unfinished(dataset: string, duty: 'tell' | 'ask'): OwnershipError {
  return new OwnershipError('HANDOFF_UNTOLD', `The handoff of ${dataset} is to be ended with the other host`, {
    dataset,
    next: duty === 'tell' ? 'The new owner is told.' : 'The owner is asked how it ended.',
  })
}
