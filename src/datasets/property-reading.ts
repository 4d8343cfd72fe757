import type { NvList, NvPlain } from '../lzc/nvlist.js'
import { decodeProperty } from '../lzc/property-values.js'
import type { Entry } from './batch.js'
import { propertyDefaults } from './property-defaults.js'

/** Where a value comes from, as `zfs get` says it. `none`: a statistic, which can't be set. */
export type PropertySource = 'local' | 'default' | 'received' | 'none' | `inherited from ${string}`

export interface PropertyValue {
  /** bigint for numbers and sizes in bytes; else the value's name (`on`, `lz4`) or text. */
  value: string | bigint
  source: PropertySource
}

export type DatasetType = 'filesystem' | 'volume' | 'snapshot'

/** What belongs to the host rather than to one dataset. */
export interface Surroundings {
  /** The loaded module's version. */
  module: string
  /** Where datasets are mounted. */
  mounts: ReadonlyMap<string, readonly string[]>
}

const received = '$recvd'

export function typeOf(entry: Entry): DatasetType {
  if (entry.isSnapshot) return 'snapshot'
  return entry.objectSet === 3 ? 'volume' : 'filesystem'
}

/** Makes a dataset's properties readable: names for numbers, sources, defaults, and what the kernel leaves to user space. */
export function readProperties(entry: Entry, surroundings: Surroundings): Record<string, PropertyValue> {
  const type = typeOf(entry)
  const properties: Record<string, PropertyValue> = Object.create(null)
  for (const [name, value] of Object.entries(propertyDefaults(type, surroundings.module))) {
    properties[name] = { value, source: 'default' }
  }
  for (const [name, pair] of Object.entries(entry.properties)) {
    const read = isPair(pair) ? readPair(name, pair, entry.name) : undefined
    if (read !== undefined) properties[name] = read
  }
  properties.name = { value: entry.name, source: 'none' }
  properties.type = { value: type, source: 'none' }
  properties.guid = { value: entry.guid, source: 'none' }
  properties.createtxg = { value: entry.createtxg, source: 'none' }
  if (entry.origin !== '') properties.origin = { value: entry.origin, source: 'none' }
  if (type === 'filesystem') addMount(properties, entry.name, surroundings)
  return properties
}

function isPair(value: NvPlain): value is NvList {
  return typeof value === 'object' && value !== null && 'value' in value
}

function readPair(name: string, { value, source }: NvList, owner: string): PropertyValue | undefined {
  if (typeof value !== 'bigint' && typeof value !== 'string') return undefined
  return { value: decodeProperty(name, value), source: readSource(source, owner) }
}

/** The kernel names the dataset that the value was set on; nothing is a default. */
function readSource(source: NvPlain | undefined, owner: string): PropertySource {
  if (typeof source !== 'string') return 'none'
  if (source === '') return 'default'
  if (source === received) return 'received'
  return source === owner ? 'local' : `inherited from ${source}`
}

function addMount(properties: Record<string, PropertyValue>, name: string, { mounts }: Surroundings): void {
  properties.mounted = { value: mounts.has(name) ? 'yes' : 'no', source: 'none' }
  const set = properties.mountpoint
  if (set === undefined) properties.mountpoint = { value: `/${name}`, source: 'default' }
  else properties.mountpoint = { value: mountpoint(name, set), source: set.source }
}

/** An inherited mountpoint is the ancestor's, and below it the rest of the name. */
function mountpoint(name: string, { value, source }: PropertyValue): string {
  const path = String(value)
  if (!path.startsWith('/') || !source.startsWith('inherited from ')) return path
  const rest = name.slice(source.slice('inherited from '.length).length)
  return `${path === '/' ? '' : path}${rest}`
}
