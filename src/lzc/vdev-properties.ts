import { ArgumentError } from '../errors.js'
import { zfsError } from './errors.js'
import { addonWith } from './functions.js'
import { checkPool, checkUserProperty, isUserProperty } from './names.js'
import { decodeNvlist, encodeNvlist, nv } from './nvlist.js'
import { type PoolPropertyValue, readPoolProperties } from './pool-properties.js'
import { type PropertyInput, userValue } from './property-values.js'
import { resolveVdev, type VdevName } from './vdev-tree.js'

const offOn = { off: 0n, on: 1n }
const count = { none: 2n ** 64n - 1n }

/** vdevprops(7): those that can be set, and the words that they take for numbers. */
const settable: Readonly<Record<string, Readonly<Record<string, bigint>> | 'text'>> = {
  allocating: offOn,
  autosit: offOn,
  comment: 'text',
  failfast: offOn,
  path: 'text',
  sit_out: offOn,
  checksum_n: count,
  checksum_t: count,
  io_n: count,
  io_t: count,
  slow_io_n: count,
  slow_io_t: count,
}

/**
 * A device's properties (vdevprops(7)) by name. lzc_get_vdev_prop, OpenZFS 2.2.
 *
 * @param vdev its GUID, path or name; the pool's own (`root-0`) since 2.3
 * @param names which ones, statistics (`size`, `read_errors`, ...) among them; without names, those that somebody has set. What a device
 *   doesn't have is left out
 * @throws ZfsError `NOT_FOUND` (no pool, no device); NotSupportedError; ArgumentError
 */
export async function getVdevProps(
  pool: string,
  vdev: VdevName,
  names?: readonly string[],
): Promise<Record<string, PoolPropertyValue>> {
  checkPool(pool)
  for (const name of names ?? []) checkPropertyName(name)
  const native = addonWith('lzc_get_vdev_prop')
  const { guid, name } = await resolveVdev(pool, vdev)
  const wanted = names === undefined ? undefined : Object.fromEntries(names.map((each) => [each, nv.flag()]))
  const question = encodeNvlist({
    vdevprops_get_vdev: guid,
    ...(wanted === undefined ? {} : { vdevprops_get_props: wanted }),
  })
  const { errno, list } = await native.getVdevProps(pool, question)
  if (errno !== 0) throw zfsError('have its properties read', errno, deviceName(pool, name))
  return list === undefined ? {} : readPoolProperties(decodeNvlist(list))
}

/**
 * Sets properties of a device: `allocating`, `failfast`, `comment`, `checksum_n`, ... or user properties. Where ZFS refuses
 * one, none is written. lzc_set_vdev_prop, OpenZFS 2.2.
 *
 * @param properties `on`, `off`, `none`, numbers, or text; an empty text removes a user property
 * @throws ZfsError `NOT_FOUND`, `INVALID_ARGUMENT` (a value that the device can't have: `allocating` of a pool's only one), `READ_ONLY` (the
 *   pool; `path` of what is no disk or file), `PERMISSION_DENIED`; NotSupportedError (also for a property that devices of that kind don't have); ArgumentError
 */
export async function setVdevProps(
  pool: string,
  vdev: VdevName,
  properties: Readonly<Record<string, PropertyInput>>,
): Promise<void> {
  checkPool(pool)
  const values = Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, encode(name, value)]))
  const native = addonWith('lzc_set_vdev_prop')
  const { guid, name } = await resolveVdev(pool, vdev)
  const packed = encodeNvlist({ vdevprops_set_vdev: guid, vdevprops_set_props: values })
  const { errno } = await native.setVdevProps(pool, packed)
  if (errno !== 0) throw zfsError('have its properties set', errno, deviceName(pool, name))
}

const deviceName = (pool: string, name: string): string => `${name} of ${pool}`

function checkPropertyName(name: string): void {
  if (!/^[a-z0-9:._-]{1,255}$/.test(name)) throw new ArgumentError(`${JSON.stringify(name)} is not a property's name`)
}

function encode(name: string, value: PropertyInput): bigint | string {
  if (isUserProperty(name)) return userValue(checkUserProperty(name), value)
  const kind = Object.hasOwn(settable, name) ? settable[name] : undefined
  if (kind === undefined) throw new ArgumentError(`${JSON.stringify(name)} is not a device's property that can be set`)
  if (kind === 'text') return userValue(name, value)
  const word = Object.hasOwn(kind, String(value)) ? kind[String(value)] : undefined
  if (word !== undefined) return word
  const number = typeof value === 'string' && /^\d+$/.test(value) ? BigInt(value) : value
  const whole = typeof number === 'bigint' || Number.isSafeInteger(number)
  if (kind !== count || !whole || BigInt(number) < 0n || BigInt(number) >= 2n ** 64n) {
    throw new ArgumentError(`${name} can't be ${JSON.stringify(String(value))}; it is ${expected(kind)}`)
  }
  return BigInt(number)
}

function expected(kind: Readonly<Record<string, bigint>>): string {
  return kind === count ? 'a number, or none' : `one of ${Object.keys(kind).join(', ')}`
}
