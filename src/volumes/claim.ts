/** What an owner says to a host that has, or is to have, a replica; and what that host makes of it. */
import { OwnershipError, ZfsError } from '../errors.js'
import { exists } from '../lzc/index.js'
import type { Peer } from '../replication/index.js'
import { alone, type VolumesHost } from './context.js'
import { becomeReplica, describe, recordOf, takeIn } from './custody.js'
import { readHistory } from './history.js'
import { claimVolume, type Description, mostNamed, whoOwns } from './messages.js'
import { checkOwner, learn } from './ownership.js'
import { beginRecord, changeRecord, findRecord, type RecordChange, type VolumeRecord } from './record.js'
import { settleFormer } from './set-aside.js'

/**
 * Tells a peer that this host owns a volume, before anything of it is sent there. Where the peer knows better, this host becomes a
 * replica.
 * @throws OwnershipError `NOT_OWNER`, `STALE_EPOCH`
 */
export async function announce(
  host: VolumesHost,
  dataset: string,
  volume: string,
  peer: Peer,
  signal?: AbortSignal,
): Promise<void> {
  const record = await findRecord(dataset)
  if (record === undefined) return
  // A replica is given back to an owner that has lost the volume.
  const lost = record.owner.host === peer.identity && (await hear(host, dataset, volume, peer, signal)) === undefined
  if (!lost) checkOwner(record, host.identity)
  const has = (await readHistory(dataset)).slice(0, mostNamed).map(({ guid }) => guid)
  const params = { volume, has, ...describe(record, host.identity) }
  try {
    await peer.connection.request(claimVolume, params, signal && { signal })
  } catch (error) {
    if (error instanceof OwnershipError && error.code === 'STALE_EPOCH') await hear(host, dataset, volume, peer, signal)
    throw error
  }
}

/**
 * Asks a peer who owns a volume, and takes that in.
 * @returns what the peer says; `undefined` where it does not know the volume
 */
export async function hear(
  host: VolumesHost,
  dataset: string,
  volume: string,
  peer: Peer,
  signal?: AbortSignal,
): Promise<Description | undefined> {
  const id = (await findRecord(dataset))?.id
  const params = id === undefined ? { volume } : { volume, id }
  const { description } = await peer.connection.request(whoOwns, params, signal && { signal })
  if (description === undefined || id === undefined) return description
  if (description.id !== id) throw anotherVolume(dataset, description.id, id, peer.identity)
  await alone(host, dataset, async () => {
    const record = await recordOf(dataset)
    if (learn(record, host.identity, description.owner).kind === 'learned')
      await takeIn(host, dataset, description.owner)
  })
  return description
}

/** What owners have said of volumes of which there is nothing here yet, by dataset and owner. */
export class Announced {
  readonly #said = new Map<string, Description>()

  set(dataset: string, from: string, description: Description): void {
    const key = `${dataset} ${from}`
    this.#said.delete(key)
    this.#said.set(key, description)
    if (this.#said.size <= mostAnnounced) return
    for (const oldest of this.#said.keys()) {
      this.#said.delete(oldest)
      return
    }
  }

  get(dataset: string, from: string): Description | undefined {
    return this.#said.get(`${dataset} ${from}`)
  }
}

const mostAnnounced = 1000

/** What an owner says of its volume. */
export interface Claim {
  description: Description
  has: readonly bigint[]
}

/**
 * Takes in what an owner says.
 * @param mayOwn whether the peer may own a volume that this host owns
 * @throws OwnershipError `STALE_EPOCH`; ZfsError `EXISTS`: it is another volume; whatever `mayOwn` throws
 */
export async function receiveClaim(
  host: VolumesHost,
  announced: Announced,
  dataset: string,
  from: string,
  { description, has }: Claim,
  mayOwn: () => void,
): Promise<void> {
  const givenBack = description.owner.host === host.identity
  if (description.owner.host !== from && !givenBack) {
    throw new OwnershipError('NOT_OWNER', `${from} says that ${description.owner.host} owns ${dataset}`, { dataset })
  }
  await alone(host, dataset, async () => {
    if (!(await exists(dataset))) {
      announced.set(dataset, from, description)
      return
    }
    const guids = new Set(has)
    const record = (await findRecord(dataset)) ?? (givenBack ? undefined : await adopt(dataset, description, guids))
    if (record === undefined) {
      announced.set(dataset, from, description)
      return
    }
    if (record.id !== description.id) throw anotherVolume(dataset, description.id, record.id, from)
    if (record.owner.host === host.identity && learn(record, host.identity, description.owner).kind === 'learned')
      mayOwn()
    if (description.owner.host === host.identity) return
    await takeIn(host, dataset, description.owner)
    await becomeReplica(host, dataset)
    if ((await recordOf(dataset)).former) await settleFormer(host, dataset, guids)
    await keepDescription(host, dataset, description)
  })
}

/** A dataset that is a copy of the volume, by a snapshot that both have, is taken for its replica. No other one is touched. */
async function adopt(
  dataset: string,
  description: Description,
  has: ReadonlySet<bigint>,
): Promise<VolumeRecord | undefined> {
  const history = await readHistory(dataset)
  if (!history.some(({ guid }) => has.has(guid))) return undefined
  await beginRecord(dataset, replicaRecord(description))
  return findRecord(dataset)
}

async function keepDescription(host: VolumesHost, dataset: string, description: Description): Promise<void> {
  await changeRecord(dataset, (record) => {
    if (record.owner.host === host.identity) return undefined
    const { size, metadata, application, path, peers } = description
    const same =
      record.size === size &&
      record.path === path &&
      record.application === application &&
      JSON.stringify(record.metadata) === JSON.stringify(metadata) &&
      [...record.peers].sort().join() === [...peers].sort().join()
    if (same) return undefined
    return { size: size ?? null, path: path ?? null, application: application ?? null, metadata, peers }
  })
}

/** The record of a replica that is made for its owner's first stream. */
export function replicaRecord({ id, owner, size, metadata, application, path, peers }: Description): RecordChange {
  return {
    id,
    owner,
    metadata,
    peers,
    ...(size === undefined ? {} : { size }),
    ...(application === undefined ? {} : { application }),
    ...(path === undefined ? {} : { path }),
  }
}

function anotherVolume(dataset: string, theirs: string, ours: string, peer: string): ZfsError {
  return new ZfsError('EXISTS', `${dataset} is another volume than that of ${peer}: its id is ${ours}, not ${theirs}`, {
    dataset,
    next: 'Give one of the two another name.',
  })
}
