import { constants } from 'node:os'
import { ArgumentError } from '../errors.js'
import { throwFailures, zfsError } from '../lzc/errors.js'
import { checkAny, checkDataset, checkUserProperty, isUserProperty, poolOf } from '../lzc/names.js'
import { isEmbedded, openAddon } from '../lzc/native.js'
import { decodeNvlist, encodeNvlist, type NvList } from '../lzc/nvlist.js'
import { nativeProperty } from '../lzc/property-table.js'
import { decodeProperty, encodeProperties, type PropertyInput } from '../lzc/property-values.js'
import { version } from '../lzc/version.js'
import { decodeBatch, type Entry } from './batch.js'
import { readMounts } from './mount-table.js'
import { readAltroot } from './pool-properties.js'
import { propertyDefaults } from './property-defaults.js'
import { type PropertyValue, readProperties, type Surroundings, typeOf } from './property-reading.js'

/** Reads what belongs to the host and the dataset's pool, once for a listing. */
export async function readSurroundings(dataset: string): Promise<Surroundings> {
  const pool = poolOf(dataset)
  const [{ module }, mounts, altroot] = await Promise.all([
    version(),
    isEmbedded() ? new Map() : readMounts(),
    readAltroot(pool),
  ])
  return {
    defaults: propertyDefaults(module),
    mounts,
    altroots: new Map(altroot === undefined ? [] : [[pool, altroot]]),
  }
}

/**
 * One dataset or snapshot as the kernel has it. ZFS_IOC_OBJSET_STATS.
 * @param names the properties to read; all unless said otherwise
 */
export async function readEntry(name: string, names?: readonly string[]): Promise<Entry> {
  const { errno, list } = await openAddon().stats(name, names?.join('\n') ?? null)
  if (errno !== 0 || list === undefined) throw zfsError('have its properties read', errno, name)
  const [entry] = decodeBatch(list)
  return entry as Entry
}

/** What a filesystem keeps within itself rather than as a property, and so is not in a listing. */
const filesystemProperties = new Set([
  'version',
  'utf8only',
  'normalization',
  'casesensitivity',
  'defaultuserquota',
  'defaultgroupquota',
  'defaultprojectquota',
  'defaultuserobjquota',
  'defaultgroupobjquota',
  'defaultprojectobjquota',
])

/**
 * Adds those to an entry. ZFS_IOC_OBJSET_ZPLPROPS.
 * @param names the properties that are wanted; all unless said otherwise
 */
export async function withFilesystemProperties(entry: Entry, names?: readonly string[]): Promise<Entry> {
  const wanted = names === undefined || names.some((name) => filesystemProperties.has(name))
  if (!wanted || entry.objectSet !== filesystemObjectSet) return entry
  const { errno, list } = await openAddon().filesystemProperties(entry.name)
  // Its key is not loaded, or it was not received to its end: then nobody knows them, and zfs get shows a dash.
  if (errno !== 0 || list === undefined) return entry
  const read = Object.entries(decodeNvlist(list)).map(([name, value]) => [name, { value }])
  const { name, origin, objectSet, isSnapshot, inconsistent, createtxg, guid } = entry
  const properties = { ...entry.properties, ...Object.fromEntries(read) }
  return { name, origin, objectSet, isSnapshot, inconsistent, createtxg, guid, properties }
}

const filesystemObjectSet = 2

/**
 * Properties of a filesystem, volume or snapshot, native and user, with their sources, as `zfs get` has them.
 *
 * @param names those to read; one that the dataset doesn't have is absent. Default: all
 * @throws ZfsError `NOT_FOUND`; ArgumentError
 */
export async function getProperties(name: string, names?: readonly string[]): Promise<Record<string, PropertyValue>> {
  if (checkAny(name).includes('#')) {
    throw new ArgumentError(`${name} is a bookmark: use getBookmarks or listBookmarks for its properties`)
  }
  const entry = await withFilesystemProperties(await readEntry(name, names), names)
  return readProperties(entry, await readSurroundings(name), names)
}

/**
 * The values that a dataset was sent with (`zfs send -p`) or received with (`zfs receive -o`), whether or not a local value
 * hides them. ZFS_IOC_OBJSET_RECVD_PROPS.
 *
 * @returns the values by property; none where the dataset was not received
 * @throws ZfsError `NOT_FOUND`; ArgumentError
 */
export async function getReceivedProperties(dataset: string): Promise<Record<string, string | bigint>> {
  checkDataset(dataset)
  const { errno, list } = await openAddon().receivedProperties(dataset)
  const values: Record<string, string | bigint> = Object.create(null)
  // The kernel's word for a dataset that nothing was received into; also where there is none.
  if (errno === constants.errno.ENOTSUP) {
    await readEntry(dataset, [])
    return values
  }
  if (errno !== 0) throw zfsError('have its properties read', errno, dataset)
  for (const [name, pair] of Object.entries(list === undefined ? {} : decodeNvlist(list))) {
    const { value } = pair as NvList
    if (typeof value === 'string' || typeof value === 'bigint') values[name] = decodeProperty(name, value)
  }
  return values
}

/**
 * Sets properties: all or none. ZFS_IOC_SET_PROP. Unlike `zfs set`, nothing is mounted, unmounted or shared for it.
 *
 * @param properties native or user ones; snapshots can have user properties only
 * @throws ManyError with each property's own error in `failures`: `BAD_PROPERTY`, `NO_SPACE`, `PERMISSION_DENIED`; ZfsError `NOT_FOUND`,
 *   `READ_ONLY`; ArgumentError for an unknown property or value, one that can't be set (any more), or not on that type of dataset
 */
export async function setProperties(name: string, properties: Readonly<Record<string, PropertyInput>>): Promise<void> {
  checkAny(name)
  const names = Object.keys(properties)
  if (names.length === 0) return
  const encoded = encodeProperties(properties)
  await checkCanChange(name, names)
  const { errno, list } = await openAddon().setProperties(name, null, encodeNvlist(encoded))
  throwFailures('have its properties set', errno, errno === 0 ? undefined : list, name)
}

/** The kernel would keep any property on any type of dataset, where it means nothing. */
async function checkCanChange(dataset: string, names: readonly string[]): Promise<void> {
  const native = names.filter((name) => !isUserProperty(name))
  if (native.length === 0) return
  const type = typeOf(await readEntry(dataset, []))
  for (const name of native) {
    const { attribute = '', types = '' } = nativeProperty(name) ?? {}
    if (attribute.startsWith('onetime')) {
      throw new ArgumentError(`${name} can't be changed: it is set when a dataset is created`, { dataset })
    }
    if (type === 'snapshot' || !types.includes(type.charAt(0))) {
      throw new ArgumentError(`${name} can't be set on ${dataset}, which is a ${type}`, { dataset })
    }
  }
}

/**
 * Takes a local value away, so that the property is inherited or has its default again. ZFS_IOC_INHERIT_PROP.
 *
 * @param options.received go back to the received value instead, where there is one (`zfs inherit -S`)
 * @throws ZfsError `NOT_FOUND`, `PERMISSION_DENIED`; ArgumentError for a property that is not inherited
 */
export async function inheritProperty(
  name: string,
  property: string,
  options: { received?: boolean } = {},
): Promise<void> {
  checkAny(name)
  const { received = false } = options
  if (isUserProperty(property)) checkUserProperty(property)
  else checkInherits(property, received)
  const { errno } = await openAddon().inheritProperty(name, property, null, received)
  if (errno !== 0) throw zfsError('have its properties set', errno, name)
}

/** As zfs_prop_inherit has it: what children don't get can still go back to its received value. */
function checkInherits(property: string, received: boolean): void {
  const native = nativeProperty(property)
  if (native === undefined) throw new ArgumentError(`There is no property ${property}`)
  if (native.attribute === 'inherit' || (native.attribute === 'default' && received)) return
  throw new ArgumentError(
    native.attribute === 'default'
      ? `${property} is not inherited: set it to another value, such as none`
      : `${property} can't be changed`,
  )
}
