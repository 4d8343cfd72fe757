/** A volume in service, and out of it: writable and mounted on the owner, neither elsewhere. */
import { getProperties, mount, readImport, setProperties, unmount } from '../datasets/index.js'
import { ZfsError } from '../errors.js'
import { isEmbedded } from '../lzc/index.js'
import { encodeRecord, type VolumeRecord } from './record.js'

/** How a dataset stands with its host. */
export interface Service {
  type: 'filesystem' | 'volume'
  writable: boolean
  mounted: boolean
  /** Where it is, or would be. */
  path: string | undefined
  keyMissing: boolean
}

const properties = ['type', 'readonly', 'mounted', 'mountpoint', 'keystatus']

/** @throws ZfsError `NOT_FOUND` */
export async function readService(dataset: string): Promise<Service> {
  const read = await getProperties(dataset, properties)
  const path = read.mountpoint?.value
  return {
    type: read.type?.value === 'volume' ? 'volume' : 'filesystem',
    writable: read.readonly?.value !== 'on',
    mounted: read.mounted?.value === 'yes',
    path: typeof path === 'string' && path.startsWith('/') ? path : undefined,
    keyMissing: read.keystatus?.value === 'unavailable',
  }
}

/** Whether this host has put it into service since its pool was imported, and has not taken it out again. */
export async function isServed(dataset: string, { active }: Pick<VolumeRecord, 'active'>): Promise<boolean> {
  const { type, writable, mounted } = await readService(dataset)
  return writable && (type === 'volume' ? active === (await readImport(dataset)) : mounted)
}

/**
 * A volume that could have been promoted elsewhere is not mounted by the next start of the machine, but by its host, once that has made
 * sure that it still is the owner.
 */
export const canmountFor = (peers: readonly string[]): 'on' | 'noauto' => (peers.length > 0 ? 'noauto' : 'on')

/**
 * Makes a volume writable and mounts it. May be done again.
 * @throws ZfsError `KEY_NOT_LOADED`, `NOT_MOUNTABLE`, `NOT_EMPTY`
 */
export async function putIntoService(
  dataset: string,
  { size, path, peers }: Pick<VolumeRecord, 'size' | 'path' | 'peers'>,
): Promise<void> {
  const { type, path: here } = await readService(dataset)
  const filesystem = type === 'filesystem'
  await setProperties(dataset, {
    readonly: 'off',
    ...encodeRecord({
      active: await readImport(dataset),
      ...(here === undefined || path === here ? {} : { path: here }),
    }),
    ...(filesystem ? { canmount: canmountFor(peers) } : {}),
    ...(filesystem && size !== undefined ? { refquota: await limitOf(dataset, size) } : {}),
  })
  if (filesystem && !isEmbedded()) await mount(dataset)
}

/**
 * Unmounts a volume and makes it read-only, so that nothing is written to it any more. May be done again.
 * @throws ZfsError `BUSY`: a file in it is open; nothing was changed
 */
export async function takeOutOfService(dataset: string): Promise<void> {
  const { type, mounted } = await readService(dataset)
  try {
    if (mounted) await unmount(dataset)
  } catch (error) {
    if (!(error instanceof ZfsError) || error.code !== 'BUSY') throw error
    throw new ZfsError('BUSY', `${dataset} is in use: a file in it is open, or it is a process's directory`, {
      dataset,
      cause: error,
      next: 'Stop what uses it first: give quiesce a function that does.',
    })
  }
  await makeReadOnly(dataset, type)
}

/**
 * For a host that is the owner no more: read-only at once, whoever uses it; unmounted, if nobody does.
 * @returns whether it is unmounted: what uses it can read, but not write
 */
export async function cutOff(dataset: string): Promise<boolean> {
  const { type, mounted, writable } = await readService(dataset)
  if (writable) await makeReadOnly(dataset, type)
  if (!mounted) return true
  try {
    await unmount(dataset)
    return true
  } catch (error) {
    if (error instanceof ZfsError && error.code === 'BUSY') return false
    throw error
  }
}

/** ZFS refuses a limit that is exceeded already: one that is full, or a little more, is to be served all the same. */
async function limitOf(dataset: string, size: bigint): Promise<bigint> {
  const referenced = (await getProperties(dataset, ['referenced'])).referenced?.value
  return typeof referenced === 'bigint' && referenced > size ? referenced : size
}

async function makeReadOnly(dataset: string, type: Service['type']): Promise<void> {
  await setProperties(dataset, { readonly: 'on', ...(type === 'filesystem' ? { canmount: 'noauto' } : {}) })
}
