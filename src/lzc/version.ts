import { readFile } from 'node:fs/promises'
import { AddonError } from '../errors.js'
import { type LzcFunction, lzcFunctions } from './functions.js'
import { openAddon } from './native.js'

/** What the loaded library can do: whether it has each of libzfs_core's functions, and which release that makes it. */
export type Features = Readonly<Record<LzcFunction, boolean>> & {
  /**
   * The oldest release whose libzfs_core has all functions that the loaded one has, such as `2.3` (the library doesn't tell its
   * version); of the embedded engine, its own.
   */
  readonly version: string
}

/**
 * What the loaded library has, told before anything is called: a function that it lacks rejects with NotSupportedError. The kernel
 * module may be of another release than the library; what the module lacks rejects with `NOT_SUPPORTED` too.
 * @throws AddonError `ADDON_MISSING`, `ZFS_LIBRARY_MISSING`, `ZFS_UNAVAILABLE`, `ZFS_PERMISSION`
 */
export function features(): Features {
  const native = openAddon()
  const names = Object.keys(lzcFunctions) as LzcFunction[]
  const present = Object.fromEntries(names.map((name) => [name, native.has(name)])) as Record<LzcFunction, boolean>
  const { embedded } = native.features()
  const releases = names.filter((name) => present[name]).map((name) => lzcFunctions[name])
  const version = embedded?.split('.').slice(0, 2).join('.') ?? releases.sort().at(-1) ?? '2.1'
  return { ...present, version }
}

/**
 * The versions in use. The embedded engine's module is its libzpool.
 *
 * @returns `module`: the loaded kernel module's (/sys/module/zfs/version), such as `2.1.11-1+deb12u1` without its distribution's
 *   part; `userland`: the `version` of {@link features}
 * @throws AddonError `ZFS_UNAVAILABLE` and others, see {@link features}
 */
export async function version(): Promise<{ module: string; userland: string }> {
  const { embedded } = openAddon().features()
  return { module: embedded ?? (await moduleVersion()), userland: features().version }
}

async function moduleVersion(): Promise<string> {
  try {
    const text = (await readFile('/sys/module/zfs/version', 'utf8')).trim()
    return /^\d+(\.\d+)*/.exec(text)?.[0] ?? text
  } catch (cause) {
    throw new AddonError('ZFS_UNAVAILABLE', 'The zfs module has no version in /sys/module/zfs', { cause })
  }
}
