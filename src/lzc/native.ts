import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { AddonError } from '../errors.js'

/** What a blocking call came to. `list` is a packed nvlist: the call's answer, or each name's own error. */
export interface Outcome {
  errno: number
  list?: Buffer
  number?: bigint
  text?: string
}

declare const transferBrand: unique symbol
declare const cleanupBrand: unique symbol
/** Our end of a send's or receive's pipe. Collected, it is cancelled. */
export type Transfer = { [transferBrand]: true }
/** The descriptor on which temporary holds hang. */
export type Cleanup = { [cleanupBrand]: true }

export interface Begun {
  transfer: Transfer
  result: Promise<Outcome>
}

type Packed = Buffer | null

/** The functions of the native addon; native/*.cc documents the arguments. Promises never reject: `errno` tells. */
export interface Addon {
  open(): { library: string; detail: string; errno: number } | null
  features(): { functions: string[]; path: string }
  create(name: string, type: number, properties: Packed): Promise<Outcome>
  snapshot(names: Buffer, properties: Packed): Promise<Outcome>
  destroy(name: string): Promise<Outcome>
  destroySnapshots(names: Buffer, defer: boolean): Promise<Outcome>
  rename(from: string, to: string): Promise<Outcome>
  clone(name: string, origin: string, properties: Packed): Promise<Outcome>
  promote(name: string): Promise<Outcome>
  rollbackTo(dataset: string, snapshot: string): Promise<Outcome>
  hold(holds: Buffer, temporary: boolean): Promise<Outcome & { cleanup?: Cleanup }>
  closeHold(cleanup: Cleanup): Promise<Outcome>
  release(holds: Buffer): Promise<Outcome>
  getHolds(snapshot: string): Promise<Outcome>
  bookmark(bookmarks: Buffer): Promise<Outcome>
  getBookmarks(dataset: string, properties: Packed): Promise<Outcome>
  destroyBookmarks(names: Buffer): Promise<Outcome>
  sendSpace(snapshot: string, from: string | null, flags: number): Promise<Outcome>
  send(
    snapshot: string,
    from: string | null,
    flags: number,
    object: bigint,
    offset: bigint,
    redactBookmark: string | null,
  ): Begun
  receive(
    snapshot: string,
    beginRecord: Buffer,
    properties: Packed,
    overrides: Packed,
    origin: string | null,
    force: boolean,
    resumable: boolean,
  ): Begun
  read(transfer: Transfer): Promise<{ errno: number; data?: Buffer }>
  write(transfer: Transfer, buffers: Buffer[]): Promise<{ errno: number }>
  finish(transfer: Transfer): void
  cancel(transfer: Transfer): void
  list(snapshots: boolean, parent: string, cookie: bigint, limit: number): Promise<Outcome>
  stats(name: string): Promise<Outcome>
  setProperties(name: string, value: null, properties: Buffer): Promise<Outcome>
  inheritProperty(name: string, property: string, properties: null, received: boolean): Promise<Outcome>
  filesystemProperties(name: string): Promise<Outcome>
  receivedProperties(name: string): Promise<Outcome>
  poolConfigurations(name: string): Promise<Outcome>
  poolStatus(name: string): Promise<Outcome>
  mount(dataset: string, directory: string, flags: number, options: string): Promise<Outcome>
  unmount(directory: string, force: boolean): Promise<Outcome>
  repack(list: Buffer): Outcome
}

let loaded: Addon | undefined

/**
 * The addon, whether or not ZFS can be used.
 * @throws AddonError `ADDON_MISSING`
 */
export function addon(): Addon {
  if (loaded !== undefined) return loaded
  const file = join(__dirname, '../../Release/flocker_zfs.node')
  if (!existsSync(file)) {
    throw new AddonError('ADDON_MISSING', `The native addon was not built: there is no ${file}`, {
      next: 'Run npm run build:native (it needs Python 3, make and a C++17 compiler).',
    })
  }
  loaded = createRequire(__filename)(file) as Addon
  return loaded
}

/**
 * The addon, with libzfs_core loaded and /dev/zfs open.
 * @throws AddonError `ADDON_MISSING`, `ZFS_LIBRARY_MISSING`, `ZFS_UNAVAILABLE`, `ZFS_PERMISSION`
 */
export function openAddon(): Addon {
  const native = addon()
  const failure = native.open()
  if (failure === null) return native
  throw failure.library === '' ? deviceError(failure.errno) : libraryError(failure.library, failure.detail)
}

const demo = 'To try flocker-zfs without ZFS on this machine: npm run demo'

const packages: Readonly<Record<string, string>> = {
  'libnvpair.so.3': 'libnvpair3linux',
  'libzfs_core.so.3': 'libzfs4linux for OpenZFS 2.1, libzfs6linux for 2.2 and 2.3, libzfs7linux for 2.4',
}

function libraryError(library: string, detail: string): AddonError {
  const packaged = packages[library] ?? 'zfsutils-linux'
  return new AddonError('ZFS_LIBRARY_MISSING', `${library} can't be loaded: ${detail}`, {
    next: `Debian: apt install zfsutils-linux, which brings the package that has it (${packaged}; section contrib). ${demo}`,
  })
}

const errnoOfPermission = new Set([1, 13])

function deviceError(errno: number): AddonError {
  if (errnoOfPermission.has(errno)) {
    return new AddonError('ZFS_PERMISSION', '/dev/zfs: permission denied', {
      errno,
      next: 'Run as root, or give this user access to /dev/zfs and delegate what it needs with zfs allow.',
    })
  }
  const reason = errno === 2 ? 'no such device' : `it can't be opened (errno ${errno})`
  return new AddonError('ZFS_UNAVAILABLE', `/dev/zfs: ${reason}. The zfs kernel module is not loaded`, {
    errno,
    next: `Load it: modprobe zfs (Debian: apt install zfs-dkms). ${demo}`,
  })
}
