import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { AddonError, ArgumentError } from '../errors.js'

/** What a blocking call came to. `list` is a packed nvlist: the call's answer, or each name's own error. */
export interface Outcome {
  errno: number
  list?: Buffer
  number?: bigint
  text?: string
}

declare const transferBrand: unique symbol
declare const cleanupBrand: unique symbol
declare const callBrand: unique symbol
/** Our end of a send's or receive's pipe. Collected, it is cancelled. */
export type Transfer = { [transferBrand]: true }
/** The descriptor on which temporary holds hang. */
export type Cleanup = { [cleanupBrand]: true }

/** A call that may block for long, and can be interrupted. */
export type BlockedCall = { [callBrand]: true }

export interface Interruptible {
  call: BlockedCall
  result: Promise<Outcome>
}

export interface Begun {
  transfer: Transfer
  result: Promise<Outcome>
}

type Packed = Buffer | null

declare const sessionBrand: unique symbol
/** One end of a data connection, and the thread that serves it. Collected, it is closed. */
export type DataSession = { [sessionBrand]: true }

declare const bucketBrand: unique symbol
declare const shareBrand: unique symbol
/** A bound on bandwidth, and what one of those who share it may take; native/rate_bucket.h. Times are milliseconds of CLOCK_MONOTONIC. */
export type RateBucket = { [bucketBrand]: true }
export type RateShare = { [shareBrand]: true }

/** What has come about since the session was last asked; native/mover_answers.h says more. */
export interface SessionNews extends Outcome {
  number: bigint
  bytes?: Buffer
  sourceEnded?: true
  sinkFull?: true
  ended?: true
  closed?: true
}

/** The part of the addon that needs no ZFS. */
export interface SessionAddon {
  dataSessionProblem(): string | null
  kernelTlsProblem(): string | null
  duplicate(descriptor: number): number
  pipeOf(descriptor: number): Transfer
  read(transfer: Transfer): Promise<{ errno: number; data?: Buffer }>
  write(transfer: Transfer, buffers: Buffer[]): Promise<{ errno: number }>
  finish(transfer: Transfer): void
  cancel(transfer: Transfer): Promise<void>
  openSession(
    descriptor: number,
    server: boolean,
    key: Buffer,
    keyBytes: bigint,
    milliseconds: number,
    inKernel: boolean,
  ): DataSession
  sessionNews(session: DataSession, bytes: boolean): Promise<SessionNews>
  sessionWant(session: DataSession): void
  sessionSay(session: DataSession, buffers: Buffer[]): Promise<{ errno: number }>
  sessionFeed(session: DataSession, pipe: Transfer, share: RateShare | null): boolean
  sessionDrain(session: DataSession, pipe: Transfer, left: number): boolean
  sessionRelease(session: DataSession): Promise<void>
  sessionFinish(session: DataSession, last: Buffer | null, milliseconds: number): void
  sessionDestroy(session: DataSession): void
  makeBucket(bytesPerSecond: number, now: number): RateBucket
  setBucketRate(bucket: RateBucket, bytesPerSecond: number, now: number): void
  joinBucket(bucket: RateBucket): RateShare
  takeShare(share: RateShare, most: number, now: number): number
  shareDelay(share: RateShare, now: number): number
  leaveBucket(share: RateShare, now: number): void
}

/** The functions of the native addon; native/*.cc documents the arguments. Promises never reject: `errno` tells. */
export interface Addon extends SessionAddon {
  choose(engine: string | null): boolean
  open(): { library: string; detail: string; errno: number } | null
  has(name: string): boolean
  features(): { path: string; embedded?: string }
  create(name: string, type: number, properties: Packed, key: Buffer | null): Promise<Outcome>
  snapshot(names: Buffer, properties: Packed): Promise<Outcome>
  destroy(name: string): Promise<Outcome>
  destroySnapshots(names: Buffer, defer: boolean): Promise<Outcome>
  rename(from: string, to: string): Promise<Outcome>
  clone(name: string, origin: string, properties: Packed): Promise<Outcome>
  promote(name: string): Promise<Outcome>
  rollback(dataset: string): Promise<Outcome>
  rollbackTo(dataset: string, snapshot: string): Promise<Outcome>
  hold(holds: Buffer, temporary: boolean): Promise<Outcome & { cleanup?: Cleanup }>
  closeHold(cleanup: Cleanup): Promise<Outcome>
  release(holds: Buffer): Promise<Outcome>
  getHolds(snapshot: string): Promise<Outcome>
  bookmark(bookmarks: Buffer): Promise<Outcome>
  getBookmarks(dataset: string, properties: Packed): Promise<Outcome>
  getBookmarkProps(bookmark: string): Promise<Outcome>
  destroyBookmarks(names: Buffer): Promise<Outcome>
  redact(snapshot: string, bookmark: string, snapshots: Buffer): Promise<Outcome>
  sendSpace(snapshot: string, from: string | null, flags: number): Promise<Outcome>
  sendSpaceLeft(
    snapshot: string,
    from: string | null,
    flags: number,
    object: bigint,
    offset: bigint,
    bytes: bigint,
    redactBookmark: string | null,
  ): Promise<Outcome>
  snaprangeSpace(first: string, last: string): Promise<Outcome>
  loadKey(dataset: string, checkOnly: boolean, key: Buffer): Promise<Outcome>
  unloadKey(dataset: string): Promise<Outcome>
  changeKey(dataset: string, command: bigint, properties: Packed, key: Buffer | null): Promise<Outcome>
  channelProgram(
    pool: string,
    program: string,
    sync: boolean,
    instructions: bigint,
    memory: bigint,
    input: Buffer,
  ): Interruptible
  sync(pool: string, options: Buffer): Promise<Outcome>
  reopen(pool: string, restartScrub: boolean): Promise<Outcome>
  poolCheckpoint(pool: string): Promise<Outcome>
  poolCheckpointDiscard(pool: string): Promise<Outcome>
  initialize(pool: string, command: number, devices: Buffer): Promise<Outcome>
  trim(pool: string, command: number, rate: bigint, secure: boolean, devices: Buffer): Promise<Outcome>
  scrub(pool: string, options: Buffer): Promise<Outcome>
  setBootenv(pool: string, environment: Buffer): Promise<Outcome>
  getBootenv(pool: string): Promise<Outcome>
  getPoolProps(pool: string): Promise<Outcome>
  getVdevProps(pool: string, question: Buffer): Promise<Outcome>
  setVdevProps(pool: string, properties: Buffer): Promise<Outcome>
  poolPrefetch(pool: string, kind: number): Promise<Outcome>
  ddtPrune(pool: string, unit: number, amount: bigint): Promise<Outcome>
  wait(pool: string, activity: number, tag: bigint | null): Interruptible
  waitFs(dataset: string, activity: number): Interruptible
  interrupt(call: BlockedCall): boolean
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
    heal: boolean,
    key: Buffer | null,
  ): Begun
  list(snapshots: boolean, parent: string, cookie: bigint, limit: number, properties: string | null): Promise<Outcome>
  stats(name: string, properties: string | null): Promise<Outcome>
  setProperties(name: string, value: null, properties: Buffer, received?: boolean): Promise<Outcome>
  inheritProperty(name: string, property: string, properties: null, received: boolean): Promise<Outcome>
  filesystemProperties(name: string): Promise<Outcome>
  receivedProperties(name: string): Promise<Outcome>
  poolConfigurations(name: string): Promise<Outcome>
  poolStatus(name: string): Promise<Outcome>
  poolProperties(name: string): Promise<Outcome>
  mount(dataset: string, directory: string, flags: number, options: string): Promise<Outcome>
  unmount(directory: string, force: boolean): Promise<Outcome>
  poolOpen(directory: string, pool: string, size: bigint): Promise<Outcome>
  poolClose(pool: string): Promise<Outcome>
  volumeRead(dataset: string, offset: bigint, length: bigint): Promise<Outcome>
  volumeWrite(dataset: string, offset: bigint, bytes: Buffer): Promise<Outcome>
  volumeDiscard(dataset: string, offset: bigint, length: bigint): Promise<Outcome>
  volumeFlush(dataset: string): Promise<Outcome>
  repack(list: Buffer): Outcome
}

/** Where OpenZFS is: the kernel's, through libzfs_core, or a library's in this process. */
export type Engine = 'kernel' | 'embedded'

const release = join(__dirname, '../../Release')
let loaded: Addon | undefined

/**
 * The addon, whether or not ZFS can be used.
 * @throws AddonError `ADDON_MISSING`
 */
export function addon(): Addon {
  if (loaded !== undefined) return loaded
  const file = join(release, 'flocker_zfs.node')
  if (!existsSync(file)) {
    throw new AddonError('ADDON_MISSING', `The native addon was not built: there is no ${file}`, {
      next: 'Run npm run build:native (it needs Python 3, make and a C++17 compiler).',
    })
  }
  const native = createRequire(__filename)(file) as Addon
  native.choose(enginePath(defaultEngine()))
  loaded = native
  return loaded
}

/** The addon for data sessions; `problem` is why this Node.js can only be Node.js's own end of one. */
export function sessionAddon(): { addon: SessionAddon; problem: string | undefined } {
  const native = addon()
  return { addon: native, problem: native.dataSessionProblem() ?? undefined }
}

/**
 * The engine of a program that has not chosen one: FLOCKER_ZFS_ENGINE, or the kernel.
 * @throws ArgumentError for another value of it
 */
export function defaultEngine(): Engine {
  const { FLOCKER_ZFS_ENGINE: name = 'kernel' } = process.env
  if (name === 'kernel' || name === 'embedded') return name
  throw new ArgumentError(`FLOCKER_ZFS_ENGINE is ${JSON.stringify(name)}, which is neither "kernel" nor "embedded"`)
}

function enginePath(engine: Engine): string | null {
  if (engine === 'kernel') return null
  return process.env.FLOCKER_ZFS_EMBEDDED_LIBRARY ?? join(release, 'flocker_zfs_embedded.so')
}

/**
 * Makes `engine` the one of this thread (the main one, or a worker); before anything else has loaded one.
 * @throws ArgumentError where the other one is in use; AddonError `ADDON_MISSING`
 */
export function chooseEngine(engine: Engine): void {
  if (addon().choose(enginePath(engine))) return
  const other = engine === 'kernel' ? 'the embedded one' : "the kernel's"
  throw new ArgumentError(`This process (or worker thread) uses ${other} already`, {
    next: 'Use one of them in each process or worker thread, and choose it before any other call (FLOCKER_ZFS_ENGINE, openHost).',
  })
}

/** Whether the OpenZFS in use is the embedded one. Loads it. */
export function isEmbedded(): boolean {
  return openAddon().features().embedded !== undefined
}

/**
 * The addon, with libzfs_core loaded and /dev/zfs open, or with the embedded engine loaded.
 * @throws AddonError `ADDON_MISSING`, `ZFS_LIBRARY_MISSING`, `ZFS_UNAVAILABLE`, `ZFS_PERMISSION`, `EMBEDDED_MISSING`
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
  if (library.startsWith('/')) return engineError(library, detail)
  const packaged = packages[library] ?? 'zfsutils-linux'
  return new AddonError('ZFS_LIBRARY_MISSING', `${library} can't be loaded: ${detail}`, {
    next: `Debian: apt install zfsutils-linux, which brings the package that has it (${packaged}; section contrib). ${demo}`,
  })
}

function engineError(file: string, detail: string): AddonError {
  const what = detail.includes(file) ? detail : `${file}: ${detail}`
  return new AddonError('EMBEDDED_MISSING', `The embedded OpenZFS can't be loaded: ${what}`, {
    next: 'Build it: node scripts/build-embedded.mjs --require, in the directory of this package. It needs a C compiler (apt install gcc libc6-dev) and, where it can not fetch them, libzpool6linux (or libzpool5linux) and libzfslinux-dev; to run it needs libblkid1, libudev1 and libtirpc3.',
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
