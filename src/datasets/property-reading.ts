import { poolOf } from '../lzc/names.js'
import type { NvList, NvPlain } from '../lzc/nvlist.js'
import { type NativeProperty, nativeProperty, propertyTable } from '../lzc/property-table.js'
import { decodeProperty } from '../lzc/property-values.js'
import type { Entry } from './batch.js'
import type { Mount } from './mount-table.js'

/**
 * Where a value comes from, as `zfs get` says it. `temporary`: from an option of its mount. `none`: a statistic, which can't
 * be set.
 */
export type PropertySource = 'local' | 'default' | 'received' | 'temporary' | 'none' | `inherited from ${string}`

/** A property's value, and where it comes from. */
export interface PropertyValue {
  /**
   * bigint for numbers and sizes in bytes (a ratio is in hundredths; no limit is `2n ** 64n - 1n`); else the value's name
   * (`on`, `lz4`) or text.
   */
  value: string | bigint
  source: PropertySource
}

/** What has properties. */
export type DatasetType = 'filesystem' | 'volume' | 'snapshot'

/** What belongs to the host rather than to one dataset. */
export interface Surroundings {
  /** What properties are where nobody has set them. */
  defaults: Readonly<Record<string, string | bigint>>
  /** Where datasets are mounted. */
  mounts: ReadonlyMap<string, readonly Mount[]>
  /** The directory that a pool's mountpoints are below, by pool. */
  altroots: ReadonlyMap<string, string>
}

const received = '$recvd'
const volumeObjectSet = 3

/** Those whose value the kernel gives without a source, though it can be set or counts what a limit is for; zfs get says local. */
const localWithoutSource = new Set(['volsize', 'filesystem_count', 'snapshot_count'])

/** Properties that an option of the mount can override: that for on, and that for off. After libzfs's get_numeric_property. */
const mountOptions: Readonly<Record<string, readonly [string, string]>> = {
  atime: ['atime', 'noatime'],
  relatime: ['relatime', 'norelatime'],
  devices: ['dev', 'nodev'],
  exec: ['exec', 'noexec'],
  readonly: ['ro', 'rw'],
  setuid: ['suid', 'nosuid'],
  xattr: ['xattr', 'noxattr'],
  nbmand: ['mand', 'nomand'],
}

export function typeOf(entry: Entry): DatasetType {
  if (entry.isSnapshot) return 'snapshot'
  return entry.objectSet === volumeObjectSet ? 'volume' : 'filesystem'
}

/**
 * Makes a dataset's properties readable: names for numbers, sources, defaults, and what the kernel leaves to user space.
 * @param names those to tell; one that the dataset doesn't have is left out. Default: all
 */
export function readProperties(
  entry: Entry,
  surroundings: Surroundings,
  names: Iterable<string> = namesOf(entry),
): Record<string, PropertyValue> {
  const properties: Record<string, PropertyValue> = Object.create(null)
  for (const name of names) {
    const read = readProperty(name, entry, surroundings)
    if (read !== undefined) properties[name] = read
  }
  return properties
}

/** The native ones, and what else the kernel has: user properties, and native ones of a later release. */
function namesOf(entry: Entry): Set<string> {
  return new Set([...Object.keys(propertyTable), ...Object.keys(entry.properties)])
}

function readProperty(name: string, entry: Entry, surroundings: Surroundings): PropertyValue | undefined {
  const native = nativeProperty(name)
  if (native !== undefined && !applies(native, entry)) return undefined
  const known = knownWithout(name, entry, surroundings)
  if (known !== undefined) return { value: known, source: 'none' }
  const pair = entry.properties[name]
  const read = isPair(pair) ? readPair(name, pair, entry.name) : undefined
  if (read !== undefined) return override(name, read, entry, surroundings)
  const value = name === 'mountpoint' ? `/${entry.name}` : surroundings.defaults[name]
  if (native === undefined || value === undefined) return undefined
  return override(name, { value, source: 'default' }, entry, surroundings)
}

/** A property of snapshots belongs to those of filesystems, or of volumes, where it belongs to these; zprop_valid_for_type. */
function applies({ types }: NativeProperty, entry: Entry): boolean {
  const head = entry.objectSet === volumeObjectSet ? 'v' : 'f'
  if (!entry.isSnapshot) return types.includes(head)
  return types.includes('s') && (types === 's' || types.includes(head))
}

/** What is known of an entry without the kernel's properties. */
function knownWithout(name: string, entry: Entry, { mounts }: Surroundings): string | bigint | undefined {
  switch (name) {
    case 'name':
      return entry.name
    case 'type':
      return typeOf(entry)
    case 'guid':
      return entry.guid
    case 'createtxg':
      return entry.createtxg
    case 'origin':
      return entry.origin === '' ? undefined : entry.origin
    case 'mounted':
      return mounts.has(entry.name) ? 'yes' : 'no'
    default:
      return undefined
  }
}

function isPair(value: NvPlain | undefined): value is NvList {
  return typeof value === 'object' && value !== null && 'value' in value
}

function readPair(name: string, { value, source }: NvList, owner: string): PropertyValue | undefined {
  const read = readValue(name, value)
  // A dataset whose snapshots never changed has a time of 0 for that.
  if (read === undefined || (name === 'snapshots_changed' && read === 0n)) return undefined
  return { value: read, source: readSource(name, source, owner) }
}

/** Makes values that come without a source readable. */
export function readStatistics(values: Readonly<Record<string, NvPlain>>): Record<string, PropertyValue> {
  const properties: Record<string, PropertyValue> = Object.create(null)
  for (const [name, value] of Object.entries(values)) {
    const read = readValue(name, value)
    if (read !== undefined) properties[name] = { value: read, source: 'none' }
  }
  return properties
}

function readValue(name: string, value: NvPlain | undefined): string | bigint | undefined {
  if (typeof value === 'bigint' || typeof value === 'string') return decodeProperty(name, value)
  if (value instanceof BigUint64Array) return value.join(',')
  const clones = name === 'clones' && typeof value === 'object' ? Object.keys(value).join(',') : ''
  return clones === '' ? undefined : clones
}

/** The kernel names the dataset that the value was set on; nothing is a default. */
function readSource(name: string, source: NvPlain | undefined, owner: string): PropertySource {
  if (typeof source !== 'string') return localWithoutSource.has(name) ? 'local' : 'none'
  if (source === '') return 'default'
  if (source === received) return 'received'
  return source === owner ? 'local' : `inherited from ${source}`
}

function override(name: string, read: PropertyValue, entry: Entry, surroundings: Surroundings): PropertyValue {
  if (name === 'mountpoint') return { value: mountpoint(entry.name, read, surroundings), source: read.source }
  const options = mountOptions[name]
  const mounted = options === undefined ? undefined : surroundings.mounts.get(entry.name)?.[0]
  if (options === undefined || mounted === undefined) return read
  const [on, off] = options
  if (mounted.options.has(on) && read.value === 'off')
    return { value: name === 'xattr' ? 'dir' : 'on', source: 'temporary' }
  return mounted.options.has(off) && read.value !== 'off' ? { value: 'off', source: 'temporary' } : read
}

/** An inherited mountpoint is the ancestor's, and below it the rest of the name; all of them are below the pool's altroot. */
function mountpoint(name: string, { value, source }: PropertyValue, { altroots }: Surroundings): string {
  const path = String(value)
  if (!path.startsWith('/')) return path
  const inherited = 'inherited from '
  const rest = source.startsWith(inherited) ? name.slice(source.length - inherited.length) : ''
  const below = altroots.get(poolOf(name)) ?? ''
  return `${below}${path === '/' && (rest !== '' || below !== '') ? '' : path}${rest}`
}
