import { ArgumentError } from '../errors.js'
import { checkUserProperty, isUserProperty } from './names.js'
import { nativeProperty, type PropertyKind } from './property-table.js'

/** A property to be set: a name of its value (`on`, `lz4`), a size (`16K`, `20 GiB`), a number of bytes, any text for a user property. */
export type PropertyInput = string | bigint | number

const units = 'KMGTPE'
const unlimited = 2n ** 64n - 1n
/** Properties for which `none` means no limit, told by the largest number rather than by 0. */
const countLimits = new Set(['filesystem_limit', 'snapshot_limit'])

/** Sizes of blocks, which the kernel takes as they are and user space has to check: a power of two from 512 to 16 MiB. */
const blockSizes = new Set(['recordsize', 'volblocksize'])

/**
 * Turns properties into what the kernel takes: uint64 for native ones that are numbers or have named values, else strings.
 * @throws ArgumentError for an unknown property, one that ZFS alone sets, or a value that it can't have
 */
export function encodeProperties(properties: Readonly<Record<string, PropertyInput>>): Record<string, bigint | string> {
  return Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, encodeProperty(name, value)]))
}

/** The kernel's value of one property. */
export function encodeProperty(name: string, value: PropertyInput): bigint | string {
  if (isUserProperty(name)) return userValue(checkUserProperty(name), value)
  // A user's or group's own quota, userquota@alice, is neither: the kernel takes it in a form of its own.
  const { kind, attribute } = nativeProperty(name) ?? {}
  if (kind === undefined) throw new ArgumentError(`${JSON.stringify(name)} is not a property that can be set`)
  if (attribute === 'readonly') throw new ArgumentError(`${name} can't be set: it tells what ZFS has counted`)
  if (kind === 'string') return name === 'mountpoint' ? mountpoint(value) : text(name, value)
  return kind === 'number' ? number(name, value) : index(name, kind, value)
}

/** The reverse: what a person would read. Unknown numbers stay numbers, so a newer ZFS's values are not lost. */
export function decodeProperty(name: string, value: bigint | string): bigint | string {
  const kind = nativeProperty(name)?.kind
  if (typeof value !== 'bigint' || kind === undefined || typeof kind === 'string') return value
  return nameOf(kind, Number(value)) ?? value
}

function nameOf(kind: Readonly<Record<string, number>>, value: number): string | undefined {
  return Object.keys(kind).find((name) => kind[name] === value)
}

/** The value of a user property, or another text of that length: at most 8191 bytes. */
export function userValue(name: string, value: PropertyInput): string {
  if (Buffer.byteLength(String(value)) > 8191) throw new ArgumentError(`The value of ${name} is longer than 8191 bytes`)
  return text(name, value)
}

function text(name: string, value: PropertyInput): string {
  if (String(value).includes('\0')) throw new ArgumentError(`The value of ${name} has a zero byte`)
  return String(value)
}

/** The kernel keeps any text, and the zfs command would stumble over it afterwards. */
function mountpoint(value: PropertyInput): string {
  const path = text('mountpoint', value)
  if (path === 'none' || path === 'legacy' || path.startsWith('/')) return path
  throw new ArgumentError(`mountpoint can't be ${JSON.stringify(path)}: it is an absolute path, none or legacy`)
}

function index(name: string, kind: Exclude<PropertyKind, string>, value: PropertyInput): bigint {
  const known = Object.hasOwn(kind, String(value)) ? kind[String(value)] : undefined
  if (known !== undefined) return BigInt(known)
  throw new ArgumentError(
    `${name} can't be ${JSON.stringify(String(value))}; it is one of ${Object.keys(kind).join(', ')}`,
  )
}

function number(name: string, value: PropertyInput): bigint {
  if (value === 'none') return countLimits.has(name) ? unlimited : 0n
  const parsed = typeof value === 'string' ? parseSize(value) : integer(value)
  if (parsed === undefined || parsed < 0n || parsed > unlimited) {
    throw new ArgumentError(
      `${name} can't be ${JSON.stringify(String(value))}: it is a number, a size such as 16K, or none`,
    )
  }
  if (blockSizes.has(name) && (parsed < 512n || parsed > 16n * 1024n * 1024n || (parsed & (parsed - 1n)) !== 0n)) {
    throw new ArgumentError(`${name} can't be ${value}: it is a power of two from 512 to 16M`)
  }
  return parsed
}

function integer(value: bigint | number): bigint | undefined {
  return typeof value === 'bigint' || Number.isSafeInteger(value) ? BigInt(value) : undefined
}

/** `16K`, `1.5G`, `20 GiB`: powers of 1024, as ZFS has them. */
export function parseSize(size: string): bigint | undefined {
  const match = /^(\d+)(?:\.(\d+))?\s*([KMGTPE])?(?:i?B)?$/i.exec(size.trim())
  if (match === null) return undefined
  const [, whole = '0', fraction = '', unit] = match
  const exponent = unit === undefined ? 0 : units.indexOf(unit.toUpperCase()) + 1
  const scale = 1024n ** BigInt(exponent)
  return BigInt(whole) * scale + (BigInt(`0${fraction}`) * scale) / 10n ** BigInt(fraction.length)
}
