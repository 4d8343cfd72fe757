import { mkdir, readdir } from 'node:fs/promises'
import { FlockerError, NotSupportedError, throwIfAborted, ZfsError } from '../errors.js'
import { ManyError, zfsError } from '../lzc/errors.js'
import { checkDataset, poolOf } from '../lzc/names.js'
import { isEmbedded, openAddon } from '../lzc/native.js'
import { listDatasets } from './list.js'
import {
  byDirectory,
  isBelow,
  isLeftOut,
  type MountOverrides,
  mountArguments,
  mountProperties,
  mountpointOf,
} from './mount-rules.js'
import { type Mount, readMounts } from './mount-table.js'
import { poolPropertyValue, readPoolProperties } from './pool-properties.js'
import { getProperties } from './properties.js'
import type { PropertyValue } from './property-reading.js'

type Properties = Readonly<Record<string, PropertyValue>>

/** How a filesystem is to be mounted, for this mount alone. */
export interface MountOptions extends MountOverrides {
  /** Mount over a directory that is not empty, though the property `overlay` is off (`zfs mount -O`). */
  overlay?: boolean
}

/**
 * Mounts a filesystem at its mountpoint, which is made if need be, with the options that its properties tell: mount(2) as
 * zfs-mount(8) does it. Does nothing where it is mounted already. Needs root.
 *
 * @param options for this mount alone, whatever its properties say (`zfs mount -o`)
 * @returns where it is mounted
 * @throws ZfsError `NOT_MOUNTABLE` (a volume; mountpoint `none` or `legacy`; canmount `off`; zoned; redacted; a receive into it
 *   was interrupted), `KEY_NOT_LOADED`, `NOT_EMPTY` (its directory, and overlay is off), `BUSY` (it is being received),
 *   `PERMISSION_DENIED`, `NOT_FOUND`; NotSupportedError with the embedded engine
 */
export async function mount(dataset: string, options: MountOptions = {}): Promise<string> {
  checkDataset(dataset)
  refuseEmbedded(dataset, 'mounted')
  const properties = await getProperties(dataset, mountProperties)
  const directory = mountpointOf(dataset, properties)
  const [mounted] = (await readMounts()).get(dataset) ?? []
  if (mounted !== undefined) return mounted.directory
  await mountAt(dataset, directory, properties, options, await isPoolReadonly(dataset))
  return directory
}

/**
 * Mounts a filesystem and those below it, each before what is mounted below its directory. Those that are mounted, and those
 * that `zfs mount -a` passes by (canmount `off` or `noauto`, mountpoint `none` or `legacy`, a key that is not loaded,
 * an interrupted receive), are left as they are. Needs root.
 *
 * @returns the filesystems that it has mounted
 * @throws ManyError with each filesystem's own error in `failures`: the others are mounted, but for what belongs below their
 *   directories; ZfsError `NOT_FOUND`; AbortError; NotSupportedError with the embedded engine
 */
export async function mountAll(root: string, options: { signal?: AbortSignal } = {}): Promise<string[]> {
  checkDataset(root)
  refuseEmbedded(root, 'mounted')
  const { signal } = options
  const wanted: { dataset: string; directory: string; properties: Properties }[] = []
  const listing = { recursive: true, types: ['filesystem'], properties: mountProperties, signal } as const
  for await (const { name, properties } of listDatasets(root, listing)) {
    if (isLeftOut(name, properties)) continue
    wanted.push({ dataset: name, directory: mountpointOf(name, properties), properties })
  }
  const readonly = await isPoolReadonly(root)
  const failed: string[] = []
  return each(wanted.sort(byDirectory), signal, async ({ dataset, directory, properties }) => {
    // Below the directory of one that failed it would be hidden as soon as that one is mounted.
    if (failed.some((parent) => isBelow(directory, parent))) return false
    try {
      await mountAt(dataset, directory, properties, {}, readonly)
    } catch (error) {
      failed.push(directory)
      throw error
    }
    return true
  })
}

/**
 * Unmounts a filesystem, and first what the kernel has mounted of its snapshots in `.zfs/snapshot`. Does nothing where it is
 * not mounted. Needs root.
 *
 * @param options.force even if files in it are open (MNT_FORCE)
 * @throws ZfsError `BUSY` (a file in it is open), `PERMISSION_DENIED`; NotSupportedError with the embedded engine
 */
export async function unmount(dataset: string, options: { force?: boolean } = {}): Promise<void> {
  checkDataset(dataset)
  refuseEmbedded(dataset, 'unmounted')
  const mounts = await readMounts()
  for (const { directory } of mounts.get(dataset) ?? []) await unmountAt(dataset, directory, mounts, options.force)
}

/**
 * Unmounts a filesystem and those below it, each after what is mounted below its directory. As `zfs unmount -a`, it leaves alone
 * those whose mountpoint is `legacy` or whose canmount is `noauto`. Needs root.
 *
 * @param options.force even if files in them are open (MNT_FORCE)
 * @returns the filesystems that it has unmounted
 * @throws ManyError with each filesystem's own error in `failures`, the others being unmounted; ZfsError `NOT_FOUND`; AbortError;
 *   NotSupportedError with the embedded engine
 */
export async function unmountAll(
  root: string,
  options: { force?: boolean; signal?: AbortSignal } = {},
): Promise<string[]> {
  checkDataset(root)
  refuseEmbedded(root, 'unmounted')
  const { force, signal } = options
  const mounts = await readMounts()
  const wanted: { dataset: string; directory: string }[] = []
  const properties = ['mountpoint', 'canmount']
  for await (const { name, properties: read } of listDatasets(root, { recursive: true, properties, signal })) {
    if (read.mountpoint?.value === 'legacy' || read.canmount?.value === 'noauto') continue
    wanted.push(...(mounts.get(name) ?? []).map(({ directory }) => ({ dataset: name, directory })))
  }
  return each(wanted.sort(byDirectory).reverse(), signal, async ({ dataset, directory }) => {
    await unmountAt(dataset, directory, mounts, force)
    return true
  })
}

/** Does each of them, and tells of which; fails at the end, if some have failed. */
async function each<Item extends { dataset: string }>(
  items: readonly Item[],
  signal: AbortSignal | undefined,
  work: (item: Item) => Promise<boolean>,
): Promise<string[]> {
  const done: string[] = []
  const failures = new Map<string, FlockerError>()
  for (const item of items) {
    throwIfAborted(signal, 'Mounting or unmounting')
    try {
      if (await work(item)) done.push(item.dataset)
    } catch (error) {
      if (!(error instanceof FlockerError)) throw error
      failures.set(item.dataset, error)
    }
  }
  if (failures.size > 0) throw new ManyError(failures)
  return done
}

async function mountAt(
  dataset: string,
  directory: string,
  properties: Properties,
  options: MountOptions,
  poolReadonly: boolean,
): Promise<void> {
  await prepareDirectory(dataset, directory, options.overlay ?? properties.overlay?.value !== 'off')
  const { flags, options: data } = mountArguments(directory, properties, options, poolReadonly)
  const { errno } = await openAddon().mount(dataset, directory, flags, data)
  if (errno !== 0) throw zfsError('be mounted', errno, dataset)
}

async function unmountAt(
  dataset: string,
  directory: string,
  mounts: ReadonlyMap<string, readonly Mount[]>,
  force = false,
): Promise<void> {
  const snapshots = [...mounts].filter(([name]) => name.startsWith(`${dataset}@`)).flatMap(([, list]) => list)
  const automatic = snapshots.filter((each) => isBelow(each.directory, `${directory}/.zfs/snapshot`))
  for (const each of [...automatic.map((snapshot) => snapshot.directory), directory]) {
    const { errno } = await openAddon().unmount(each, force)
    if (errno !== 0) throw zfsError('be unmounted', errno, dataset)
  }
}

async function isPoolReadonly(dataset: string): Promise<boolean> {
  return poolPropertyValue(await readPoolProperties(poolOf(dataset)), 'readonly') === 1n
}

/** The embedded OpenZFS has nothing to mount with; and a mount that looks like its own is the kernel's. */
function refuseEmbedded(dataset: string, what: string): void {
  if (isEmbedded())
    throw new NotSupportedError(`${dataset} can't be ${what}: OpenZFS is not in the kernel here`, { dataset })
}

async function prepareDirectory(dataset: string, directory: string, overlay: boolean): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o755 })
    if (overlay || (await readdir(directory)).length === 0) return
  } catch (cause) {
    const { code, errno = 0 } = cause as NodeJS.ErrnoException
    throw new ZfsError(
      'NOT_MOUNTABLE',
      `${dataset} can't be mounted: its directory ${directory} can't be made (${code})`,
      {
        dataset,
        errno: -errno,
        cause,
      },
    )
  }
  throw new ZfsError('NOT_EMPTY', `${dataset} can't be mounted: ${directory} is not empty, and overlay is off`, {
    dataset,
    next: 'Empty the directory, or mount over it: set its property overlay to on.',
  })
}
