/** Which filesystems can be mounted, where and how: the zfs command's own rules, as decisions without I/O. */
import { ZfsError } from '../errors.js'
import type { PropertyValue } from './property-reading.js'

type Properties = Readonly<Record<string, PropertyValue>>

/** The properties that these rules look at. */
export const mountProperties = [
  ...[
    'type',
    'mountpoint',
    'canmount',
    'keystatus',
    'zoned',
    'redact_snaps',
    'receive_resume_token',
    'mounted',
    'overlay',
  ],
  ...['readonly', 'atime', 'relatime', 'devices', 'exec', 'setuid', 'nbmand'],
  ...['context', 'fscontext', 'defcontext', 'rootcontext'],
]

/** What a mount can have otherwise than its properties say, until it is unmounted: `zfs mount -o`. */
export interface MountOverrides {
  readonly?: boolean
  atime?: boolean
  relatime?: boolean
  devices?: boolean
  exec?: boolean
  setuid?: boolean
  xattr?: boolean
}

/**
 * Where a filesystem is to be mounted. After share_mount_one (zfs_main.c) and zfs_is_mountable (libzfs_mount.c).
 * @throws ZfsError `NOT_MOUNTABLE`, `KEY_NOT_LOADED`
 */
export function mountpointOf(dataset: string, properties: Properties): string {
  const value = (name: string): string | bigint | undefined => properties[name]?.value
  const directory = value('mountpoint')
  if (value('type') !== 'filesystem') throw notMountable(dataset, 'it is not a filesystem')
  if (directory === 'legacy') {
    throw notMountable(dataset, 'its mountpoint is legacy', 'Mount it with mount(8), or set its property mountpoint.')
  }
  if (typeof directory !== 'string' || !directory.startsWith('/')) {
    throw notMountable(dataset, `its mountpoint is ${directory}`, 'Set its property mountpoint to a directory.')
  }
  if (value('canmount') === 'off') throw notMountable(dataset, 'its property canmount is off')
  if (value('zoned') === 'on') throw notMountable(dataset, 'its property zoned is on: it belongs to a container')
  if (value('keystatus') === 'unavailable') {
    throw new ZfsError('KEY_NOT_LOADED', `${dataset} can't be mounted: its encryption key is not loaded`, {
      dataset,
      next: 'Load it with zfs load-key.',
    })
  }
  if (value('receive_resume_token') !== undefined) {
    throw notMountable(
      dataset,
      'it has the state of an interrupted receive',
      'Resume that, or abort it with zfs receive -A.',
    )
  }
  // The kernel tells the dataset's redaction by this property alone.
  if (value('redact_snaps') !== undefined) throw notMountable(dataset, 'it is redacted: parts of its files are missing')
  return directory
}

/** Whether a whole tree's mount passes a filesystem by in silence, as `zfs mount -a` does. */
export function isLeftOut(dataset: string, properties: Properties): boolean {
  if (properties.canmount?.value === 'noauto' || properties.mounted?.value === 'yes') return true
  try {
    mountpointOf(dataset, properties)
    return false
  } catch (error) {
    if (error instanceof ZfsError) return true
    throw error
  }
}

function notMountable(dataset: string, why: string, next?: string): ZfsError {
  return new ZfsError('NOT_MOUNTABLE', `${dataset} can't be mounted: ${why}`, { dataset, next })
}

/** mount(2)'s flags, from <sys/mount.h>. */
const flag = {
  ro: 1,
  nosuid: 2,
  nodev: 4,
  noexec: 8,
  mand: 64,
  noatime: 1 << 10,
  relatime: 1 << 21,
  strictatime: 1 << 24,
} as const

/**
 * What mount(2) gets: flags, and ZFS's own options, which say the same again. After zfs_add_options and do_mount.
 * @param poolReadonly the pool was imported read-only
 */
export function mountArguments(
  directory: string,
  properties: Properties,
  overrides: MountOverrides,
  poolReadonly = false,
): { flags: number; options: string } {
  const is = (name: keyof MountOverrides | 'nbmand'): boolean =>
    (name === 'nbmand' ? undefined : overrides[name]) ?? properties[name]?.value === 'on'
  const words = [
    poolReadonly || is('readonly') ? 'ro' : 'rw',
    is('atime') ? 'atime' : 'noatime',
    // With atime off, strictatime would turn it on.
    ...(is('atime') ? [is('relatime') ? 'relatime' : 'strictatime'] : []),
    is('devices') ? 'dev' : 'nodev',
    is('exec') ? 'exec' : 'noexec',
    is('setuid') ? 'suid' : 'nosuid',
    is('nbmand') ? 'mand' : 'nomand',
    ...(overrides.xattr === undefined ? [] : [overrides.xattr ? 'xattr' : 'noxattr']),
  ]
  const flags = words.reduce((sum, word) => sum | (Object.hasOwn(flag, word) ? flag[word as keyof typeof flag] : 0), 0)
  // The path is for the kernel's automatic mounts in .zfs/snapshot; an option can't hold a comma.
  const path = directory.includes(',') ? [] : [`mntpoint=${directory}`]
  return { flags, options: [...words, 'zfsutil', ...securityContexts(properties), ...path].join(',') }
}

/** SELinux's: `context` stands for the three others. After zfs_adjust_mount_options. */
function securityContexts(properties: Properties): string[] {
  const set = (name: string): string[] => {
    const value = properties[name]?.value ?? 'none'
    return value === 'none' ? [] : [`${name}="${value}"`]
  }
  const whole = set('context')
  return whole.length > 0 ? whole : ['fscontext', 'defcontext', 'rootcontext'].flatMap(set)
}

/** Orders directories so that each comes before those below it. */
export function byDirectory(a: { directory: string }, b: { directory: string }): number {
  const [left, right] = [a, b].map(({ directory }) => directory.split('/').join('\0'))
  return (left ?? '') < (right ?? '') ? -1 : 1
}

export function isBelow(directory: string, parent: string): boolean {
  return directory.startsWith(parent.endsWith('/') ? parent : `${parent}/`)
}
