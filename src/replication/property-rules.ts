/** What may become of a property when its dataset is replicated. A pure judgement, which each host makes for itself. */
import { isUserProperty } from '../lzc/names.js'
import { nativeProperty } from '../lzc/property-table.js'

/**
 * `goes` with a stream; is `held` back, unless it is named in full and the receiving host lets it in; `stays` where it is, always.
 */
export type PropertyRule = 'goes' | 'held' | 'stays'

/** What is each host's own affair. */
const held = new Set([
  // Where it is mounted and shared, and whether it can be written.
  ...['mountpoint', 'canmount', 'overlay', 'zoned', 'sharenfs', 'sharesmb', 'readonly'],
  // Space that it may use, or takes from others: a quota can also make a receive fail.
  ...['quota', 'refquota', 'reservation', 'refreservation', 'filesystem_limit', 'snapshot_limit'],
  // What costs all of a pool memory, or needs its special devices.
  ...['dedup', 'special_small_blocks'],
  // Which devices the host makes, and looks for partitions on.
  ...['volmode', 'snapdev'],
  // SELinux's policy of the host.
  ...['context', 'fscontext', 'defcontext', 'rootcontext'],
])

/** `off` is a restriction and goes; `on` would lift one that the receiving host has set above. */
const rights = new Set(['devices', 'exec', 'setuid'])

/** User properties by which programs mount, boot, snapshot or run commands: a replica that others snapshot has diverged. */
const acted = /^(com\.sun:auto-snapshot|org\.openzfs\.systemd:|org\.zfsbootmenu:|com\.ubuntu\.zsys:|org\.znapzend:)/

/** What tells of the dataset, of the replications that it is part of, or is part of its data. */
const staying = new Set(['keylocation', 'mlslabel', 'version', 'volsize'])
const ours = 'flocker-zfs:'
const defaultQuota = /^default.*quota$/

/** @param value as text; `undefined` where it is not known yet: then the strictest that there is for one */
export function ruleOf(name: string, value?: string): PropertyRule {
  if (isUserProperty(name)) {
    if (name.startsWith(ours)) return 'stays'
    return acted.test(name) ? 'held' : 'goes'
  }
  const native = nativeProperty(name)
  const settable = native?.attribute === 'inherit' || native?.attribute === 'default'
  if (!settable || staying.has(name) || defaultQuota.test(name)) return 'stays'
  return held.has(name) || (rights.has(name) && value !== 'off') ? 'held' : 'goes'
}

/** Whether a dataset of that type can have the property. */
export function appliesTo(name: string, type: 'filesystem' | 'volume'): boolean {
  return isUserProperty(name) || (nativeProperty(name)?.types.includes(type.charAt(0)) ?? false)
}
