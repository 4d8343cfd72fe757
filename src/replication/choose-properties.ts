/** Which properties go with a stream: as the host that runs the replication says, before the receiving one has its say. Pure. */
import { ArgumentError } from '../errors.js'
import { encodeProperty, type PropertyInput } from '../lzc/property-values.js'
import { nameFilter, type Pattern } from './planner/filter.js'
import { ruleOf } from './property-rules.js'

/** Which properties a replica gets. docs/push.md */
export interface PropertyOptions {
  /**
   * Which of those that are set on the dataset itself, or were received with it, go with each stream; they become received values
   * there, and what is set there wins. `all`, the default: all that are safe on a replica. `none`: the replica's stay as they are. Or
   * names and patterns; one that is not safe (`quota`, `mountpoint`) goes only if it is named in full: `['*', 'quota']`.
   */
  send?: 'all' | 'none' | readonly Pattern[]
  /** Those that don't go, whatever `send` says. */
  exclude?: readonly Pattern[]
  /**
   * Values that are set on the replica by each stream (`zfs receive -o`), whatever the source has; where a dataset can't have one, as a
   * volume no `recordsize`, it is left out. `readonly` and `canmount` take the place of what replicas have otherwise.
   */
  override?: Readonly<Record<string, string | bigint | number>>
}

/** A property and its value as text: a name, a number in decimal digits, or what a string is. */
export interface Setting {
  name: string
  value: string
}

/** What a stream brings besides data. */
export interface SentProperties {
  /** All that the replica is to have received; without it, what it has received stays. */
  received?: readonly Setting[] | undefined
  overrides: readonly Setting[]
}

/** Bounds of what one dataset's properties may take on the wire: a message has 1 MiB. */
export const maxSettings = 1000
const maxSettingsBytes = 256 * 1024
export const maxOverrides = 64
/** No name and no value of ZFS's is longer (ZAP_MAXNAMELEN, ZAP_MAXVALUELEN). */
export const maxPropertyName = 255
export const maxPropertyValue = 8191

/**
 * Decides what goes, of what a dataset has.
 * @param own `undefined` where that is not known
 */
export function chooseProperties(
  { send = 'all', exclude, override = {} }: PropertyOptions,
  own: readonly Setting[] | undefined,
): SentProperties {
  const overrides = toSettings(override)
  if (send === 'none' || own === undefined) return { overrides }
  const include = send === 'all' ? undefined : send
  const wanted = nameFilter({ ...(include && { include }), ...(exclude && { exclude }) })
  const named = new Set(include)
  const goes = ({ name, value }: Setting): boolean => {
    const rule = ruleOf(name, value)
    return rule === 'goes' || (rule === 'held' && named.has(name))
  }
  return { received: own.filter((setting) => wanted(setting.name) && goes(setting)), overrides }
}

/** Whether a stream needs the source's properties. */
export function sendsProperties({ send }: PropertyOptions = {}): boolean {
  return send !== 'none'
}

/**
 * Checks options before anything is touched.
 * @throws ArgumentError for what is no property, can't be sent, or has another value
 */
export function checkPropertyOptions({ send = 'all', exclude, override = {} }: PropertyOptions): void {
  if (typeof send === 'string' && send !== 'all' && send !== 'none') {
    throw new ArgumentError(`properties.send is 'all', 'none' or a list of names, not ${JSON.stringify(send)}`)
  }
  const names = typeof send === 'string' ? [] : send
  nameFilter({ include: names, ...(exclude && { exclude }) })
  for (const name of names) if (typeof name === 'string' && !/[*?]/.test(name)) checkMayGo(name)
  const overrides = toSettings(override)
  if (overrides.length > maxOverrides) throw new ArgumentError(`At most ${maxOverrides} properties can be overridden`)
  for (const { name, value } of overrides) {
    checkMayGo(name)
    encodeProperty(name, override[name] as PropertyInput)
    if (value.length > maxPropertyValue) throw new ArgumentError(`The value of ${name} is too long`)
  }
}

function checkMayGo(name: string): void {
  if (ruleOf(name) !== 'stays') return
  throw new ArgumentError(`${JSON.stringify(name)} is no property that can be given to a replica`, {
    next: 'Name one that can be set at any time; docs/push.md says which never leave a host.',
  })
}

/**
 * What of a dataset's own properties another host may know: all that could go, as far as a message has room.
 * @returns `cut`: names of those for which there was none
 */
export function tellable(own: Readonly<Record<string, string | bigint>>): { settings: Setting[]; cut: string[] } {
  const settings: Setting[] = []
  const cut: string[] = []
  let bytes = 0
  for (const setting of toSettings(own)) {
    if (ruleOf(setting.name, setting.value) === 'stays') continue
    const size = Buffer.byteLength(JSON.stringify(setting))
    const fits = settings.length < maxSettings && bytes + size <= maxSettingsBytes
    if (!fits) {
      cut.push(setting.name)
      continue
    }
    settings.push(setting)
    bytes += size
  }
  return { settings, cut }
}

function toSettings(values: Readonly<Record<string, PropertyInput>>): Setting[] {
  return Object.entries(values).map(([name, value]) => ({ name, value: String(value) }))
}
