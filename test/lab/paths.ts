import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

/** The root of this checkout; this file runs as build/test/lab/paths.js. */
export const checkout = resolve(__dirname, '../../..')

/** Where kernels, their modules and the compiled tools live; it outlives the checkout. */
export function cacheDirectory(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'flocker-zfs', 'lab')
}

/** The compiled file of a TypeScript source of this checkout, given relative to it. */
export function compiledPath(entry: string): string {
  return join(checkout, 'build', entry.replace(/\.ts$/, '.js'))
}

/** The default environment of commands in a host: this very Node.js comes first. */
export const defaultEnvironment: Record<string, string> = {
  PATH: `${dirname(process.execPath)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
  HOME: '/root',
  LANG: 'C.UTF-8',
  // Without it `zpool import` waits 3 s for a udev that hosts don't have (libzutil's zutil_import.c).
  ZFS_VDEV_DEVID_OPT_OUT: 'YES',
}
