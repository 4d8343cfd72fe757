import type { NvList, NvPlain } from '../lzc/nvlist.js'

/** As `zpool status` names them. `AVAIL` and `INUSE` are spares'. */
export type VdevState =
  | 'ONLINE'
  | 'DEGRADED'
  | 'FAULTED'
  | 'OFFLINE'
  | 'REMOVED'
  | 'UNAVAIL'
  | 'SPLIT'
  | 'AVAIL'
  | 'INUSE'

/** What a vdev is for. */
export type VdevRole = 'data' | 'log' | 'special' | 'dedup' | 'cache' | 'spare'

/** A device of a pool, or a group of them. Sizes are in bytes. */
export interface Vdev {
  /** The path of a device; else its type and number: `mirror-0`, `raidz1-1`. */
  name: string
  /** `disk`, `file`, `mirror`, `raidz`, `draid`, `replacing`, `spare`, `missing`, `hole`, `indirect`, ... */
  type: string
  role: VdevRole
  guid: bigint
  state: VdevState
  /** Why it is not ONLINE, in words; absent where ZFS gives no reason. */
  reason?: string
  /** Where a device is, or was. */
  path?: string
  /** Failed reads and writes, and blocks that did not match their checksum, since the last `zpool clear`. */
  errors: { read: bigint; write: bigint; checksum: bigint }
  /** I/O that took longer than the module's zio_slow_io_ms. */
  slowIos: bigint
  /** Of a group at the top of the pool, or a cache device: its size, and what of it is in use. 0 for the devices in a group. */
  size: bigint
  allocated: bigint
  /** In percent; absent where ZFS doesn't know. */
  fragmentation?: bigint
  /** The device's own size; absent for groups, and where the kernel doesn't tell. */
  physicalSize?: bigint
  /** What a scrub or resilver has mended on it. */
  repaired: bigint
  /** The logarithm of its block size; absent for the devices that have none. */
  ashift?: number
  children: Vdev[]
}

/**
 * vdev_stat_t (include/sys/fs/zfs.h): an array of uint64, to whose end releases add. Index by member; those of the last
 * ones, vs_pspace and behind it, are not the same everywhere.
 */
const stat = {
  state: 1,
  aux: 2,
  allocated: 3,
  space: 4,
  readErrors: 20,
  writeErrors: 21,
  checksumErrors: 22,
  scanProcessed: 26,
  fragmentation: 27,
  slowIos: 34,
  rebuildProcessed: 41,
} as const

/** OpenZFS 2.1 and 2.2 have no vs_noalloc before vs_pspace. */
const physicalSizeIndex = (length: number): number => (length <= 46 ? 45 : 46)

const states = { closed: 1, offline: 2, removed: 3, cantOpen: 4, faulted: 5, degraded: 6, healthy: 7 }

const aux = { corruptData: 2, spared: 10, badLog: 13, splitPool: 15 }

/** Of vdev_aux_t, by number; in the words of zpool status. */
const reasons: readonly string[] = [
  '',
  'cannot open',
  'corrupted data',
  'insufficient replicas',
  'missing device',
  'invalid label (too small)',
  'invalid label',
  'newer version',
  'older version',
  'unsupported feature(s)',
  'currently in use',
  'too many errors',
  'experienced I/O failures',
  'bad intent log',
  'external device fault',
  'split into new pool',
  'unsupported minimum blocksize',
  'external device fault',
  'currently in use',
  'all children offline',
  'too large minimum blocksize',
]

/** UINT64_MAX where ZFS has not found out (ZFS_FRAG_INVALID). */
export const unknown = 2n ** 64n - 1n

/** Makes a vdev's configuration, with the vdevs below it, readable. */
export function readVdev(vdev: NvList, role: VdevRole = roleOf(vdev)): Vdev {
  const stats = vdev.vdev_stats instanceof BigUint64Array ? vdev.vdev_stats : new BigUint64Array()
  const at = (index: number): bigint => stats[index] ?? 0n
  const type = String(vdev.type)
  const children = lists(vdev.children)
  const reason = reasons[Number(at(stat.aux))]
  const state = stateOf(Number(at(stat.state)), Number(at(stat.aux)), role, type)
  const physicalSize = children.length > 0 ? undefined : stats[physicalSizeIndex(stats.length)]
  return {
    name: nameOf(vdev, type),
    type,
    role,
    guid: bigint(vdev.guid),
    state,
    ...(reason !== undefined && reason !== '' ? { reason } : {}),
    ...(typeof vdev.path === 'string' ? { path: vdev.path } : {}),
    errors: { read: at(stat.readErrors), write: at(stat.writeErrors), checksum: at(stat.checksumErrors) },
    slowIos: at(stat.slowIos),
    size: at(stat.space),
    allocated: at(stat.allocated),
    ...(at(stat.fragmentation) === unknown ? {} : { fragmentation: at(stat.fragmentation) }),
    ...(physicalSize === undefined ? {} : { physicalSize }),
    repaired: at(stat.scanProcessed) + at(stat.rebuildProcessed),
    ...(typeof vdev.ashift === 'bigint' ? { ashift: Number(vdev.ashift) } : {}),
    // Only what is at the top of the pool says what it is for.
    children: children.map((child) => readVdev(child, type === 'root' ? roleOf(child) : role)),
  }
}

/** As zpool_state_to_name has it; spares have words of their own. */
function stateOf(state: number, why: number, role: VdevRole, type: string): VdevState {
  if (role === 'spare' && type !== 'spare' && state === states.healthy) return why === aux.spared ? 'INUSE' : 'AVAIL'
  switch (state) {
    case states.closed:
    case states.offline:
      return 'OFFLINE'
    case states.removed:
      return 'REMOVED'
    case states.faulted:
      return 'FAULTED'
    case states.degraded:
      return 'DEGRADED'
    case states.healthy:
      return 'ONLINE'
    default:
      if (why === aux.corruptData || why === aux.badLog) return 'FAULTED'
      return why === aux.splitPool ? 'SPLIT' : 'UNAVAIL'
  }
}

function roleOf(vdev: NvList): VdevRole {
  if (vdev.is_log === 1n) return 'log'
  return vdev.alloc_bias === 'special' || vdev.alloc_bias === 'dedup' ? vdev.alloc_bias : 'data'
}

function nameOf(vdev: NvList, type: string): string {
  if (typeof vdev.path === 'string') return vdev.path
  if (vdev.id === undefined || type === 'root') return type
  const parity = type === 'raidz' || type === 'draid' ? String(vdev.nparity ?? '') : ''
  return `${type}${parity}${type === 'draid' ? draidShape(vdev) : ''}-${vdev.id}`
}

/** As zpool_draid_name has it: data drives of a group, children, spares. */
function draidShape(vdev: NvList): string {
  return `:${vdev.draid_ndata}d:${lists(vdev.children).length}c:${vdev.draid_nspares}s`
}

/** A list of lists; none where it is absent. */
export function lists(value: NvPlain | undefined): NvList[] {
  return Array.isArray(value) ? value.filter((each): each is NvList => typeof each === 'object') : []
}

export const bigint = (value: NvPlain | undefined): bigint => (typeof value === 'bigint' ? value : 0n)
