import { mkdir, readdir } from 'node:fs/promises'
import { NotSupportedError, ZfsError } from '../errors.js'
import { zfsError } from '../lzc/errors.js'
import { checkDataset } from '../lzc/names.js'
import { isEmbedded, openAddon } from '../lzc/native.js'
import { readMounts } from './mount-table.js'
import { getProperties } from './properties.js'
import type { PropertyValue } from './property-reading.js'

/** mount(2)'s flags, from <sys/mount.h>. */
const flag = { readonly: 1, nosuid: 2, nodev: 4, noexec: 8, noatime: 1 << 10, relatime: 1 << 21, strictatime: 1 << 24 }

/**
 * Mounts a filesystem at its mountpoint, which is made if need be, with the options that its properties tell: mount(2) as
 * zfs-mount(8) does it. Does nothing where it is mounted already. Needs root.
 *
 * @param options.readonly mount it read-only whatever its properties say
 * @returns where it is mounted
 * @throws ZfsError `NOT_MOUNTABLE` (a volume; mountpoint `none` or `legacy`; canmount `off`), `KEY_NOT_LOADED`, `BUSY`,
 *   `PERMISSION_DENIED`, `NOT_FOUND`; NotSupportedError with the embedded engine
 */
export async function mount(dataset: string, options: { readonly?: boolean } = {}): Promise<string> {
  checkDataset(dataset)
  refuseEmbedded(dataset, 'mounted')
  const properties = await getProperties(dataset)
  const directory = mountpointOf(dataset, properties)
  if (properties.mounted?.value === 'yes') return directory
  await prepareDirectory(dataset, directory, properties)
  // The path is for the kernel's automatic mounts in .zfs/snapshot; an option can't hold a comma.
  const data = directory.includes(',') ? 'zfsutil' : `zfsutil,mntpoint=${directory}`
  const { errno } = await openAddon().mount(dataset, directory, mountFlags(properties, options.readonly), data)
  if (errno !== 0) throw zfsError('be mounted', errno, dataset)
  return directory
}

/**
 * Unmounts a filesystem. Does nothing where it is not mounted. Needs root.
 *
 * @param options.force even if files in it are open (MNT_FORCE)
 * @throws ZfsError `BUSY`, `PERMISSION_DENIED`
 */
export async function unmount(dataset: string, options: { force?: boolean } = {}): Promise<void> {
  checkDataset(dataset)
  refuseEmbedded(dataset, 'unmounted')
  for (const { directory } of (await readMounts()).get(dataset) ?? []) {
    const { errno } = await openAddon().unmount(directory, options.force ?? false)
    if (errno !== 0) throw zfsError('be unmounted', errno, dataset)
  }
}

/** The embedded OpenZFS has nothing to mount with; and a mount that looks like its own is the kernel's. */
function refuseEmbedded(dataset: string, what: string): void {
  if (isEmbedded())
    throw new NotSupportedError(`${dataset} can't be ${what}: OpenZFS is not in the kernel here`, { dataset })
}

function mountpointOf(dataset: string, properties: Record<string, PropertyValue>): string {
  const directory = properties.mountpoint?.value
  if (properties.type?.value !== 'filesystem') throw notMountable(dataset, 'it is not a filesystem')
  if (typeof directory !== 'string' || !directory.startsWith('/')) {
    throw notMountable(dataset, `its mountpoint is ${directory}`, 'Set its property mountpoint to a directory.')
  }
  if (properties.canmount?.value === 'off') throw notMountable(dataset, 'its property canmount is off')
  if (properties.keystatus?.value === 'unavailable') {
    throw new ZfsError('KEY_NOT_LOADED', `${dataset} can't be mounted: its encryption key is not loaded`, {
      dataset,
      next: 'Load it with zfs load-key.',
    })
  }
  return directory
}

function notMountable(dataset: string, why: string, next?: string): ZfsError {
  return new ZfsError('NOT_MOUNTABLE', `${dataset} can't be mounted: ${why}`, { dataset, next })
}

async function prepareDirectory(
  dataset: string,
  directory: string,
  properties: Record<string, PropertyValue>,
): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o755 })
  if (properties.overlay?.value === 'off' && (await readdir(directory)).length > 0) {
    throw new ZfsError(
      'BUSY',
      `${dataset} can't be mounted: ${directory} is not empty, and its property overlay is off`,
      {
        dataset,
      },
    )
  }
}

function mountFlags(properties: Record<string, PropertyValue>, readonly = false): number {
  const is = (name: string, value: string): boolean => properties[name]?.value === value
  let flags = 0
  if (readonly || is('readonly', 'on')) flags |= flag.readonly
  if (is('setuid', 'off')) flags |= flag.nosuid
  if (is('devices', 'off')) flags |= flag.nodev
  if (is('exec', 'off')) flags |= flag.noexec
  if (is('atime', 'off')) return flags | flag.noatime
  return flags | (is('relatime', 'on') ? flag.relatime : flag.strictatime)
}
