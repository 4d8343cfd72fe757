import { ArgumentError } from '../errors.js'
import { throwFailures, zfsError } from '../lzc/errors.js'
import { checkAny, checkUserProperty, isUserProperty } from '../lzc/names.js'
import { isEmbedded, openAddon } from '../lzc/native.js'
import { encodeNvlist } from '../lzc/nvlist.js'
import { propertyTable } from '../lzc/property-table.js'
import { encodeProperties, type PropertyInput } from '../lzc/property-values.js'
import { version } from '../lzc/version.js'
import { decodeBatch, type Entry } from './batch.js'
import { mountedAt } from './mount-table.js'
import { type PropertyValue, readProperties, type Surroundings } from './property-reading.js'

/** Reads what belongs to the host, once for a listing. */
export async function readSurroundings(): Promise<Surroundings> {
  return { module: (await version()).module, mounts: isEmbedded() ? new Map() : await mountedAt() }
}

/** One dataset or snapshot as the kernel has it. ZFS_IOC_OBJSET_STATS. */
export async function readEntry(name: string, only?: ReadonlySet<string>): Promise<Entry> {
  const { errno, list } = await openAddon().stats(name)
  if (errno !== 0 || list === undefined) throw zfsError('have its properties read', errno, name)
  const [entry] = decodeBatch(list, only)
  return entry as Entry
}

/**
 * All properties of a filesystem, volume or snapshot, native and user, with their sources, as `zfs get all` has them.
 * A mountpoint does not have the pool's altroot in front of it.
 *
 * @throws ZfsError `NOT_FOUND`; ArgumentError
 */
export async function getProperties(name: string): Promise<Record<string, PropertyValue>> {
  if (checkAny(name).includes('#')) {
    throw new ArgumentError(`${name} is a bookmark: use getBookmarks or listBookmarks for its properties`)
  }
  return readProperties(await readEntry(name), await readSurroundings())
}

/**
 * Sets properties: all or none. ZFS_IOC_SET_PROP. Unlike `zfs set`, nothing is mounted, unmounted or shared for it.
 *
 * @param properties native or user ones; snapshots can have user properties only
 * @throws ManyError with each property's own error in `failures`; ZfsError `NOT_FOUND`, `BAD_PROPERTY`, `READ_ONLY`;
 *   ArgumentError for an unknown or read-only property, or an unknown value
 */
export async function setProperties(name: string, properties: Readonly<Record<string, PropertyInput>>): Promise<void> {
  checkAny(name)
  if (Object.keys(properties).length === 0) return
  const packed = encodeNvlist(encodeProperties(properties))
  const { errno, list } = await openAddon().setProperties(name, null, packed)
  throwFailures('have its properties set', errno, errno === 0 ? undefined : list, name)
}

/**
 * Takes a local value away, so that the property is inherited or has its default again. ZFS_IOC_INHERIT_PROP.
 *
 * @param options.received go back to the received value instead, where there is one (`zfs inherit -S`)
 * @throws ZfsError `NOT_FOUND`, `PERMISSION_DENIED`; ArgumentError
 */
export async function inheritProperty(
  name: string,
  property: string,
  options: { received?: boolean } = {},
): Promise<void> {
  checkAny(name)
  if (isUserProperty(property)) checkUserProperty(property)
  else if (!Object.hasOwn(propertyTable, property)) throw new ArgumentError(`There is no property ${property}`)
  const { errno } = await openAddon().inheritProperty(name, property, null, options.received ?? false)
  if (errno !== 0) throw zfsError('have its properties set', errno, name)
}
