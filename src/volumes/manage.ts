/** Volumes of this host: made, listed, resized, cloned, destroyed. */
import { getProperties, listDatasets, listSnapshots, setProperties } from '../datasets/index.js'
import { ArgumentError, NotSupportedError, OwnershipError, ZfsError } from '../errors.js'
import { clone, create, destroy, destroySnapshots, getHolds, isEmbedded, release, snapshot } from '../lzc/index.js'
import { parseSize } from '../lzc/property-values.js'
import { checkVolumeName, ensureParents, readTag, timeStamp } from '../replication/index.js'
import { checkNoApplication } from './applications.js'
import { alone, datasetOf, type VolumesHost, volumeOf } from './context.js'
import { recordOf, serve } from './custody.js'
import { checkNotLeased, isHeld } from './lease-rules.js'
import type { Ownership } from './ownership.js'
import { checkOwner } from './ownership.js'
import { changeRecord, longestValue, newRecord, type VolumeRecord } from './record.js'
import { findVolumes } from './recover.js'
import { isServed, putIntoService, readService, takeOutOfService } from './service.js'
import { openVolume, type Volume } from './volume.js'

/** A size in bytes, or as ZFS writes it: `512M`, `20 GiB`. */
export type Size = number | bigint | string

/** What a new volume is to be. */
export interface CreateVolumeOptions {
  /** Makes a block volume of this size, without reserving it, in place of a filesystem. A multiple of its block size. */
  size?: Size
  /** The most that a filesystem may hold, its snapshots aside (`refquota`). It goes with the volume to whoever owns it. */
  quota?: Size
  /** Anything of yours; it goes with the volume. In all at most 8 KiB as JSON. */
  metadata?: Readonly<Record<string, string>>
  /** Native or user properties (zfsprops(7)), such as `{ recordsize: '16K' }`. */
  properties?: Record<string, string | bigint | number>
}

/** What this host knows of a volume. */
export interface VolumeInfo {
  /** Its name below the root. */
  name: string
  /** Its full name here. */
  dataset: string
  /** A UUID, the same on every host and for ever. */
  id: string
  type: 'filesystem' | 'volume'
  owner: Ownership
  /** Whether this host owns and serves it: it is writable here, and mounted. */
  served: boolean
  /** Where a filesystem is mounted, or would be: the same on every host. */
  path: string | undefined
  /** A block volume's size, or the most that a filesystem may hold, in bytes; `undefined` for no limit. */
  size: bigint | undefined
  metadata: Readonly<Record<string, string>>
  /** The other hosts that may be promoted to own it. */
  peers: readonly string[]
  /** The lease that protects it now. */
  lease: { holder: string; token: bigint; expires: Date | undefined } | undefined
  /** A handoff that is under way, or is to be ended with the other host. */
  handoff: { to: string } | { from: string } | undefined
}

/** A size in bytes. @throws ArgumentError `INVALID_ARGUMENT` */
export function bytesOf(size: Size, what: string): bigint {
  const bytes =
    typeof size === 'string' ? parseSize(size) : Number.isSafeInteger(Number(size)) ? BigInt(size) : undefined
  if (bytes !== undefined && bytes > 0n) return bytes
  throw new ArgumentError(`${what} must be a size: bytes, or such as 512M or 20 GiB; it is ${size}`)
}

function checkMetadata(metadata: Readonly<Record<string, string>>): void {
  const wrong = Object.entries(metadata).find(([key, value]) => key === '' || typeof value !== 'string')
  if (wrong !== undefined) throw new ArgumentError(`metadata is texts by name; ${JSON.stringify(wrong[0])} is not`)
  if (Buffer.byteLength(JSON.stringify(metadata)) > longestValue) {
    throw new ArgumentError(`metadata may have ${longestValue} bytes as JSON, with all its names`)
  }
}

/**
 * Creates a volume of this host's: a filesystem, which is mounted, or with `size` a block volume.
 * @throws ZfsError `EXISTS`; NotSupportedError: a filesystem on an embedded host; ArgumentError `INVALID_ARGUMENT`
 */
export async function createVolume(
  host: VolumesHost,
  name: string,
  options: CreateVolumeOptions = {},
): Promise<Volume> {
  checkVolumeName(name)
  const { properties = {}, metadata = {} } = options
  const dataset = `${host.root}/${name}`
  const size = options.size === undefined ? undefined : bytesOf(options.size, 'size')
  const quota = options.quota === undefined ? undefined : bytesOf(options.quota, 'quota')
  if (size !== undefined && quota !== undefined) throw new ArgumentError('A block volume has a size, and no quota')
  checkMetadata(metadata)
  if (size === undefined && isEmbedded()) {
    throw new NotSupportedError(`${dataset} can't be mounted: the embedded OpenZFS has block volumes only`, {
      dataset,
      next: 'Give it a size: createVolume(name, { size }). Filesystems can be received, kept and sent on.',
    })
  }
  await ensureParents(dataset, host.root)
  const record = newRecord(host.identity, { metadata, ...(quota === undefined ? {} : { size: quota }) })
  if (size === undefined) await create(dataset, { properties: { ...properties, ...record } })
  else await create(dataset, { type: 'volume', properties: { ...properties, ...record, volsize: size } })
  await serve(host, dataset, await recordOf(dataset))
  return openVolume(host.root, name)
}

/** Tells of all volumes of this host, its own and its replicas, by name. Datasets that are none are left out. */
export async function listVolumes(host: VolumesHost): Promise<VolumeInfo[]> {
  const infos: VolumeInfo[] = []
  for (const { dataset, record } of await findVolumes(host)) infos.push(await infoOf(host, dataset, record))
  return infos
}

/** Tells of one. @throws ZfsError `NOT_FOUND` */
export async function inspectVolume(host: VolumesHost, name: string): Promise<VolumeInfo> {
  const dataset = datasetOf(host, name)
  return infoOf(host, dataset, await recordOf(dataset))
}

async function infoOf(host: VolumesHost, dataset: string, record: VolumeRecord): Promise<VolumeInfo> {
  const { id, type, owner, metadata, peers, lease, journal } = record
  const { path } = await readService(dataset)
  const held = isHeld(lease, Date.now()) ? lease : undefined
  const expires = held?.expires === undefined ? undefined : new Date(held.expires)
  return {
    name: volumeOf(host, dataset),
    dataset,
    id,
    type,
    owner,
    served: owner.host === host.identity && journal === undefined && (await isServed(dataset, record)),
    path: type === 'volume' ? undefined : path,
    size: type === 'volume' ? await volumeSize(dataset) : record.size,
    metadata,
    peers,
    lease: held && { holder: held.holder, token: held.token, expires },
    handoff: journal && (journal.kind === 'giving' ? { to: journal.to } : { from: journal.from }),
  }
}

async function volumeSize(dataset: string): Promise<bigint> {
  return BigInt((await getProperties(dataset, ['volsize'])).volsize?.value ?? 0n)
}

/**
 * Changes how much a volume may hold.
 * @param size the new one; `undefined` takes a filesystem's limit away
 * @param options.shrink whether a block volume may become smaller, which cuts its end off
 * @throws OwnershipError `NOT_OWNER`; ZfsError `NO_SPACE`: it holds more; ArgumentError
 */
export async function resizeVolume(
  host: VolumesHost,
  name: string,
  size: Size | undefined,
  { shrink = false }: { shrink?: boolean } = {},
): Promise<void> {
  const dataset = datasetOf(host, name)
  const bytes = size === undefined ? undefined : bytesOf(size, 'size')
  await alone(host, dataset, async () => {
    const { type, ...record } = await recordOf(dataset)
    checkOwner(record, host.identity)
    if (type === 'filesystem') {
      await setProperties(dataset, { refquota: bytes ?? 'none' })
      await changeRecord(dataset, () => ({ size: bytes ?? null }))
      return
    }
    if (bytes === undefined) throw new ArgumentError(`${dataset} is a block volume: it has a size`)
    if (bytes < (await volumeSize(dataset)) && !shrink) {
      throw new ArgumentError(`${dataset} would become smaller, and lose what is at its end`, {
        dataset,
        next: 'If that is meant: { shrink: true }.',
      })
    }
    await setProperties(dataset, { volsize: bytes })
  })
}

/** What a clone is to be. */
export interface CloneVolumeOptions {
  /** Of which snapshot, by the part of its name after the `@`. Default: one that is taken now. */
  snapshot?: string
  /** Default: as of the volume that is cloned. */
  metadata?: Readonly<Record<string, string>>
}

/**
 * Makes a new volume of this host's out of another's data, without copying it: also out of a replica's, if the snapshot is named.
 * @throws OwnershipError `NOT_OWNER`: a replica is not taken snapshots of; ZfsError `EXISTS`, `NOT_FOUND`
 */
export async function cloneVolume(
  host: VolumesHost,
  name: string,
  newName: string,
  options: CloneVolumeOptions = {},
): Promise<Volume> {
  const [dataset, copy] = [datasetOf(host, name), datasetOf(host, newName)]
  const { metadata } = options
  if (metadata !== undefined) checkMetadata(metadata)
  const record = await recordOf(dataset)
  if (options.snapshot === undefined) checkOwner(record, host.identity)
  const origin = `${dataset}@${options.snapshot ?? `flocker-clone-${timeStamp(new Date())}`}`
  if (options.snapshot === undefined) await snapshot([origin])
  await ensureParents(copy, host.root)
  const { size } = record
  const properties = newRecord(host.identity, {
    metadata: metadata ?? record.metadata,
    ...(size === undefined ? {} : { size }),
  })
  await clone(origin, copy, { properties })
  await serve(host, copy, await recordOf(copy))
  return openVolume(host.root, newName)
}

/** What may be lost with a volume. */
export interface DestroyVolumeOptions {
  /** Destroy it though this host has a replica only. */
  replica?: boolean
  /** Give up what replications with these hosts, by identity, hold of it. */
  forget?: readonly string[]
}

/**
 * Destroys a volume on this host, with its snapshots. What has a lease or a hold, a clone, or a dataset below it, stays.
 * @throws OwnershipError `LEASED`, `IN_USE`, `NOT_OWNER`, `HANDOFF_UNDER_WAY`; ZfsError `BUSY`: somebody holds a snapshot, or uses it,
 *   `HAS_DEPENDENTS`
 */
export async function destroyVolume(
  host: VolumesHost,
  name: string,
  { replica = false, forget = [] }: DestroyVolumeOptions = {},
): Promise<void> {
  const dataset = datasetOf(host, name)
  await alone(host, dataset, async () => {
    const record = await recordOf(dataset)
    checkNotLeased(record.lease, Date.now(), dataset)
    if (!replica) {
      checkOwner(record, host.identity)
      checkNoApplication(record, dataset)
    }
    if (record.journal !== undefined) {
      throw new OwnershipError('HANDOFF_UNDER_WAY', `${dataset} is changing hands`, { dataset })
    }
    const below: string[] = []
    for await (const each of listDatasets(dataset, { recursive: true }))
      if (each.name !== dataset) below.push(each.name)
    if (below.length > 0) {
      throw new ZfsError('HAS_DEPENDENTS', `${dataset} can't be destroyed: ${below[0]} is below it`, { dataset })
    }
    const snapshots = await letGo(dataset, new Set(forget))
    await takeOutOfService(dataset)
    try {
      if (snapshots.length > 0) await destroySnapshots(snapshots)
      await destroy(dataset)
    } catch (error) {
      if (record.owner.host === host.identity) await putIntoService(dataset, record)
      throw error
    }
  })
}

/** Lets go of what we hold for those hosts, unless somebody else holds anything. */
async function letGo(dataset: string, forget: ReadonlySet<string>): Promise<string[]> {
  const names: string[] = []
  const ours: Record<string, string[]> = {}
  for await (const { name, properties } of listSnapshots(dataset, { properties: ['userrefs'] })) {
    names.push(name)
    if (properties.userrefs?.value === 0n) continue
    for (const tag of Object.keys(await getHolds(name))) {
      const peer = readTag(tag)?.peer
      if (peer === undefined || !forget.has(peer)) throw held(dataset, name, tag, peer)
      ours[name] = [...(ours[name] ?? []), tag]
    }
  }
  if (Object.keys(ours).length > 0) await release(ours)
  return names
}

function held(dataset: string, snapshot: string, tag: string, peer: string | undefined): ZfsError {
  return new ZfsError('BUSY', `${dataset} can't be destroyed: ${snapshot} is held with the tag ${tag}`, {
    dataset,
    next:
      peer === undefined
        ? 'Whoever holds it has to let go of it: zfs release.'
        : `Replication with ${peer} needs it. To give that up: { forget: ['${peer}'] }.`,
  })
}
