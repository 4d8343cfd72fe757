import { readFile } from 'node:fs/promises'
import { AddonError } from '../errors.js'
import { openAddon } from './native.js'

/** The functions that OpenZFS releases after 2.1 added to libzfs_core, by the first release that has them. */
const since = {
  lzc_receive_with_heal: '2.2',
  lzc_scrub: '2.2',
  lzc_get_vdev_prop: '2.2',
  lzc_set_vdev_prop: '2.2',
  lzc_get_props: '2.3',
  lzc_pool_prefetch: '2.3',
  lzc_ddt_prune: '2.3',
} as const

export type OptionalFunction = keyof typeof since

/**
 * Which of libzfs_core's functions that came after 2.1 the loaded library has.
 * @throws AddonError `ADDON_MISSING`, `ZFS_LIBRARY_MISSING`, `ZFS_UNAVAILABLE`, `ZFS_PERMISSION`
 */
export function features(): Record<OptionalFunction, boolean> {
  const present = new Set(openAddon().features().functions)
  const entries = Object.keys(since).map((name) => [name, present.has(name)])
  return Object.fromEntries(entries) as Record<OptionalFunction, boolean>
}

/**
 * The versions in use. The embedded engine's module is its libzpool.
 *
 * @returns `module`: the loaded kernel module's (/sys/module/zfs/version), such as `2.1.11-1+deb12u1` without its distribution's
 *   part; `userland`: the oldest release whose libzfs_core has all functions that the loaded one has, such as `2.3` (the
 *   library doesn't tell its version)
 * @throws AddonError `ZFS_UNAVAILABLE` and others, see {@link features}
 */
export async function version(): Promise<{ module: string; userland: string }> {
  const { embedded } = openAddon().features()
  if (embedded !== undefined) return { module: embedded, userland: embedded.split('.').slice(0, 2).join('.') }
  const present = features()
  const newest = Object.entries(since).map(([name, release]) => (present[name as OptionalFunction] ? release : '2.1'))
  return { module: await moduleVersion(), userland: newest.sort().at(-1) ?? '2.1' }
}

async function moduleVersion(): Promise<string> {
  try {
    const text = (await readFile('/sys/module/zfs/version', 'utf8')).trim()
    return /^\d+(\.\d+)*/.exec(text)?.[0] ?? text
  } catch (cause) {
    throw new AddonError('ZFS_UNAVAILABLE', 'The zfs module has no version in /sys/module/zfs', { cause })
  }
}
