import { ArgumentError } from '../errors.js'
import { getBookmarks } from './bookmarks.js'
import { throwFailures, zfsError } from './errors.js'
import { addonWith } from './functions.js'
import { checkEncryption, type WrappingKey } from './keys.js'
import { checkAny, checkDataset, checkOnePool, checkSnapshot, checkUserProperty } from './names.js'
import { openAddon } from './native.js'
import { encodeNvlist, nv } from './nvlist.js'
import { encodeProperties, encodeProperty, type PropertyInput } from './property-values.js'

/** DMU_OST_ZFS and DMU_OST_ZVOL, which lzc_create calls LZC_DATSET_TYPE_*. */
const typeNumbers = { filesystem: 2, volume: 3 } as const

const ENOENT = 2

/** What a new dataset is to be. */
export interface CreateOptions {
  /** `filesystem` unless said otherwise. A volume needs the property `volsize`. */
  type?: 'filesystem' | 'volume'
  /** Native or user properties: `{ readonly: 'on', recordsize: '16K', volsize: 1073741824n }`. */
  properties?: Readonly<Record<string, PropertyInput>>
  /**
   * The key of an encrypted dataset that is to be its own encryption root; see {@link WrappingKey}. With properties such as
   * `{ encryption: 'on', keyformat: 'raw', keylocation: 'prompt' }`.
   */
  key?: WrappingKey
}

/**
 * Creates a filesystem, which is not mounted, or a volume. lzc_create.
 * @throws ZfsError `EXISTS`, `NOT_FOUND` (no parent), `WRONG_PARENT` (a volume), `BAD_PROPERTY`, `INVALID_ARGUMENT` (properties that do
 *   not go together), `NO_SPACE`, `QUOTA`, `KEY_NOT_LOADED` (the parent's), `PERMISSION_DENIED`; ArgumentError; NotSupportedError (the pool
 *   lacks a feature)
 */
export async function create(dataset: string, options: CreateOptions = {}): Promise<void> {
  checkDataset(dataset)
  const { type = 'filesystem', properties = {} } = options
  if (type === 'volume' && properties.volsize === undefined) {
    throw new ArgumentError(`The volume ${dataset} needs a size: properties.volsize`)
  }
  const packed = encodeNvlist(encodeProperties(properties))
  const key = checkEncryption(properties, options.key)
  const { errno } = await openAddon().create(dataset, typeNumbers[type], packed, key)
  if (errno !== 0) throw zfsError('be created', errno, dataset)
}

/**
 * Whether a dataset, snapshot or bookmark exists (and this user may see it). As lzc_exists, by ZFS_IOC_OBJSET_STATS, or by the list of
 * bookmarks; but where ZFS says neither yes nor no, this throws, and lzc_exists says no.
 * @throws ZfsError `POOL_SUSPENDED`; ArgumentError
 */
export async function exists(name: string): Promise<boolean> {
  checkAny(name)
  const native = openAddon()
  if (name.includes('#')) return bookmarkExists(name)
  const { errno } = await native.stats(name, '')
  if (errno !== 0 && errno !== ENOENT) throw zfsError('have its properties read', errno, name)
  return errno === 0
}

async function bookmarkExists(name: string): Promise<boolean> {
  const [dataset = '', short = ''] = name.split('#')
  if (!(await exists(dataset))) return false
  return Object.hasOwn(await getBookmarks(dataset, ['guid']), short)
}

/**
 * Destroys one filesystem, volume or snapshot, or with the name `pool/dataset/%recv` what an interrupted receive has left of that
 * dataset. Does not unmount, and does not descend. lzc_destroy.
 * @throws ZfsError `NOT_FOUND`, `BUSY`, `HAS_DEPENDENTS`, `PERMISSION_DENIED`
 */
export async function destroy(dataset: string): Promise<void> {
  if (dataset.includes('@')) checkSnapshot(dataset)
  else checkDataset(dataset.replace(/\/%recv$/, ''))
  const { errno } = await openAddon().destroy(dataset)
  if (errno !== 0) throw zfsError('be destroyed', errno, dataset)
}

/**
 * Renames or moves a dataset within its pool, or a snapshot within its dataset. Does not unmount. lzc_rename.
 * @throws ZfsError `NOT_FOUND`, `EXISTS`, `INVALID_ARGUMENT`, `WRONG_PARENT` (a volume), `NO_SPACE`, `NOT_ENCRYPTION_ROOT` (it would leave
 *   the dataset whose key it shares), `PERMISSION_DENIED`; ArgumentError
 */
export async function rename(from: string, to: string): Promise<void> {
  checkAny(from)
  checkAny(to)
  checkOnePool([from, to])
  const { errno } = await openAddon().rename(from, to)
  if (errno !== 0) throw zfsError('be renamed', errno, from)
}

/**
 * Makes a clone of a snapshot. It is not mounted. lzc_clone.
 * @throws ZfsError `NOT_FOUND`, `EXISTS`, `NO_SPACE`, `PERMISSION_DENIED`; ArgumentError
 */
export async function clone(
  origin: string,
  name: string,
  options: { properties?: Readonly<Record<string, PropertyInput>> } = {},
): Promise<void> {
  checkSnapshot(origin)
  checkDataset(name)
  checkOnePool([origin, name])
  const packed = encodeNvlist(encodeProperties(options.properties ?? {}))
  const { errno } = await openAddon().clone(name, origin, packed)
  if (errno !== 0) throw zfsError('be cloned', errno, errno === ENOENT ? origin : name)
}

/**
 * Turns a clone into the owner of the snapshots that it shares with its origin. lzc_promote.
 * @throws ZfsError `NOT_A_CLONE`, `EXISTS` (its `dataset` names the snapshot in conflict), `NOT_FOUND`, `PERMISSION_DENIED`
 */
export async function promote(dataset: string): Promise<void> {
  checkDataset(dataset)
  const { errno, text } = await openAddon().promote(dataset)
  if (errno !== 0) throw zfsError('be promoted', errno, text ? `${dataset}@${text}` : dataset)
}

/**
 * Rolls a dataset back to its latest snapshot, whichever that is. Everything written since then is gone. lzc_rollback.
 * @returns that snapshot's full name
 * @throws ZfsError `NOT_FOUND` (also where it has no snapshot), `NOT_LATEST` (a bookmark is newer), `BUSY` (it is being sent as it is),
 *   `PERMISSION_DENIED`; NotSupportedError
 */
export async function rollback(dataset: string): Promise<string> {
  checkDataset(dataset)
  const { errno, text = '' } = await addonWith('lzc_rollback').rollback(dataset)
  if (errno !== 0) throw zfsError('be rolled back', errno, dataset)
  return text
}

/**
 * Rolls a dataset back to its latest snapshot, which must be the one named. lzc_rollback_to.
 * @param snapshot the full name
 * @throws ZfsError `NOT_LATEST` (a snapshot or bookmark is newer), `NOT_FOUND`, `BUSY` (it is being sent as it is), `PERMISSION_DENIED`
 */
export async function rollbackTo(dataset: string, snapshot: string): Promise<void> {
  checkDataset(dataset)
  checkSnapshot(snapshot)
  const { errno } = await openAddon().rollbackTo(dataset, snapshot)
  if (errno !== 0) throw zfsError('be rolled back', errno, dataset)
}

/**
 * Takes one snapshot, or several at the same moment: all or none. lzc_snapshot.
 *
 * @param names full names, in one pool, at most one of a dataset
 * @param properties user properties that each of them gets
 * @throws ManyError (a ZfsError) with each name's own error in `failures`: `EXISTS`, `NOT_FOUND`, `QUOTA`
 *   (snapshot_limit), `NO_SPACE`, `BUSY` (it is being received), `PERMISSION_DENIED`
 */
export async function snapshot(
  names: string | readonly string[],
  properties: Readonly<Record<string, string>> = {},
): Promise<void> {
  const list = (typeof names === 'string' ? [names] : names).map(checkSnapshot)
  checkOnePool(list)
  const [first] = list
  if (first === undefined) return
  const values = Object.entries(properties).map(([name, value]) => [
    checkUserProperty(name),
    encodeProperty(name, value),
  ])
  const flags = Object.fromEntries(list.map((name) => [name, nv.flag()]))
  const { errno, list: errors } = await openAddon().snapshot(
    encodeNvlist(flags),
    encodeNvlist(Object.fromEntries(values)),
  )
  throwFailures('be snapshotted', errno, errors, first)
}

/**
 * Destroys snapshots of one pool: all or none. One that does not exist is not an error. lzc_destroy_snaps.
 *
 * @param options.defer a snapshot with holds or clones is destroyed when the last of those goes, instead of being `BUSY`
 * @throws ManyError with each name's own error in `failures`: `BUSY`, `HAS_DEPENDENTS`; ZfsError `PERMISSION_DENIED`
 */
export async function destroySnapshots(names: readonly string[], options: { defer?: boolean } = {}): Promise<void> {
  const list = names.map(checkSnapshot)
  checkOnePool(list)
  const [first] = list
  if (first === undefined) return
  const flags = encodeNvlist(Object.fromEntries(list.map((name) => [name, nv.flag()])))
  const { errno, list: errors } = await openAddon().destroySnapshots(flags, options.defer ?? false)
  throwFailures('be destroyed', errno, errors, first)
}
