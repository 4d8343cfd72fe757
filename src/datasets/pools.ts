import { ArgumentError } from '../errors.js'
import { zfsError } from '../lzc/errors.js'
import { checkDataset, poolOf } from '../lzc/names.js'
import { openAddon } from '../lzc/native.js'
import { decodeNvlist, type NvList } from '../lzc/nvlist.js'
import { poolPropertyValue, readPoolProperties } from './pool-properties.js'
import { bigint, lists, readVdev, unknown, type Vdev, type VdevState } from './vdev.js'

/** The state of a pool as `zpool list` has it. `SUSPENDED`: I/O waits until its devices are back. */
export type PoolHealth = Exclude<VdevState, 'AVAIL' | 'INUSE'> | 'SUSPENDED'

/** A pool's space, as `zpool list` has it: in bytes of its devices, parity included. */
export interface PoolSpace {
  size: bigint
  allocated: bigint
  free: bigint
  /** What of `size` is allocated, in percent. */
  capacity: bigint
  /** Of the free space, in percent; absent where ZFS doesn't know. */
  fragmentation?: bigint
  /** Still to be freed, of what was destroyed. */
  freeing: bigint
  /** Lost to a bug of earlier releases. */
  leaked: bigint
  /** What the pool's checkpoint keeps. */
  checkpoint: bigint
  /** What its devices have more since they grew. */
  expandable: bigint
  /** The ratio by which deduplication makes data smaller, in hundredths. */
  dedupRatio: bigint
  /** Of cloned blocks, from 2.2 on: what they use, what that saves, and the ratio in hundredths. */
  cloned?: { used: bigint; saved: bigint; ratio: bigint }
}

/** The last scrub or resilver. Sizes are in bytes. */
export interface PoolScan {
  kind: 'scrub' | 'resilver'
  state: 'scanning' | 'finished' | 'canceled'
  paused: boolean
  /** In Unix seconds; the end is 0 while it goes on. */
  startTime: bigint
  endTime: bigint
  toExamine: bigint
  /** Found to be read, and read, of that. */
  examined: bigint
  issued: bigint
  /** What it has mended. */
  repaired: bigint
  errors: bigint
}

/** A pool's state, space and devices. */
export interface Pool {
  name: string
  guid: bigint
  health: PoolHealth
  /** Why ZFS can't open it, as an errno; absent where it is open. */
  openErrno?: number
  space: PoolSpace
  /** The data, log, special and dedup vdevs. */
  vdevs: Vdev[]
  spares: Vdev[]
  cache: Vdev[]
  /** Absent where there was none. */
  scan?: PoolScan
  /** Blocks with errors that could not be mended. */
  errorCount: bigint
  /** Its features by name (`large_blocks`); one that is disabled is absent. */
  features: Record<string, 'enabled' | 'active'>
}

/**
 * The names of the pools that are imported, or that the embedded engine has open. ZFS_IOC_POOL_CONFIGS.
 * @throws AddonError where ZFS can't be used on this machine
 */
export async function listPools(): Promise<string[]> {
  const { errno, list } = await openAddon().poolConfigurations('')
  if (errno !== 0) throw zfsError('be listed', errno, 'The pools')
  return list === undefined ? [] : Object.keys(decodeNvlist(list)).sort()
}

/**
 * A pool's state, space, devices and features. ZFS_IOC_POOL_STATS, ZFS_IOC_POOL_GET_PROPS.
 * @throws ZfsError `NOT_FOUND`; ArgumentError
 */
export async function getPool(name: string): Promise<Pool> {
  if (checkDataset(name).includes('/')) throw new ArgumentError(`${name} is not a pool's name`)
  const { errno, list, number = 0n } = await openAddon().poolStatus(name)
  if (errno !== 0 || list === undefined) throw zfsError('have its properties read', errno, name)
  return readPool(decodeNvlist(list), await readPoolProperties(name), Number(number))
}

/**
 * Names the import of a dataset's pool by its moment (ZPOOL_CONFIG_LOADED_TIME): another one after each start of the machine, and each
 * move of the pool.
 * @throws ZfsError `NOT_FOUND`
 */
export async function readImport(dataset: string): Promise<string> {
  const pool = poolOf(dataset)
  const { errno, list } = await openAddon().poolStatus(pool)
  if (errno !== 0 || list === undefined) throw zfsError('have its properties read', errno, pool)
  const [seconds, nanoseconds] = decodeNvlist(list).initial_load_time as BigUint64Array
  return `${seconds}.${nanoseconds}`
}

/**
 * Makes a pool's configuration and properties readable.
 * @param openErrno why it could not be opened, or 0
 */
export function readPool(configuration: NvList, properties: NvList, openErrno: number): Pool {
  const tree = configuration.vdev_tree as NvList
  const root = readVdev(tree)
  const scan = readScan(tree.scan_stats)
  return {
    name: String(configuration.name),
    guid: bigint(configuration.pool_guid),
    health: healthOf(configuration, root, openErrno),
    ...(openErrno === 0 ? {} : { openErrno }),
    space: readSpace(properties),
    vdevs: root.children,
    spares: lists(tree.spares).map((spare) => readVdev(spare, 'spare')),
    cache: lists(tree.l2cache).map((cache) => readVdev(cache, 'cache')),
    ...(scan === undefined ? {} : { scan }),
    errorCount: bigint(configuration.error_count),
    features: readFeatures(configuration.feature_stats as NvList | undefined),
  }
}

/** As zpool_get_state_str has it. */
function healthOf(configuration: NvList, root: Vdev, openErrno: number): PoolHealth {
  if (openErrno !== 0) return 'FAULTED'
  return configuration.suspended === undefined ? (root.state as PoolHealth) : 'SUSPENDED'
}

function readSpace(properties: NvList): PoolSpace {
  const number = (name: string): bigint => bigint(poolPropertyValue(properties, name))
  const fragmentation = number('fragmentation')
  const cloned = { used: number('bcloneused'), saved: number('bclonesaved'), ratio: number('bcloneratio') }
  return {
    size: number('size'),
    allocated: number('allocated'),
    free: number('free'),
    capacity: number('capacity'),
    ...(fragmentation === unknown ? {} : { fragmentation }),
    freeing: number('freeing'),
    leaked: number('leaked'),
    checkpoint: number('checkpoint'),
    expandable: number('expandsize'),
    dedupRatio: number('dedupratio'),
    ...(properties.bcloneratio === undefined ? {} : { cloned }),
  }
}

/** pool_scan_stat_t (include/sys/fs/zfs.h): an array of uint64. Index by member. */
const scanStat = {
  func: 0,
  state: 1,
  startTime: 2,
  endTime: 3,
  toExamine: 4,
  examined: 5,
  processed: 7,
  errors: 8,
  passScrubPause: 11,
  issued: 14,
} as const

const scanKinds = [undefined, 'scrub', 'resilver'] as const
const scanStates = [undefined, 'scanning', 'finished', 'canceled'] as const

function readScan(stats: unknown): PoolScan | undefined {
  if (!(stats instanceof BigUint64Array)) return undefined
  const at = (index: number): bigint => stats[index] ?? 0n
  const kind = scanKinds[Number(at(scanStat.func))]
  const state = scanStates[Number(at(scanStat.state))]
  if (kind === undefined || state === undefined) return undefined
  return {
    kind,
    state,
    paused: state === 'scanning' && at(scanStat.passScrubPause) !== 0n,
    startTime: at(scanStat.startTime),
    endTime: at(scanStat.endTime),
    toExamine: at(scanStat.toExamine),
    examined: at(scanStat.examined),
    issued: at(scanStat.issued),
    repaired: at(scanStat.processed),
    errors: at(scanStat.errors),
  }
}

/** Each feature's GUID ends in its name; the number says how many things on disk use it. */
function readFeatures(stats: NvList = {}): Pool['features'] {
  const features: Pool['features'] = Object.create(null)
  for (const [guid, uses] of Object.entries(stats)) {
    features[guid.slice(guid.indexOf(':') + 1)] = uses === 0n ? 'enabled' : 'active'
  }
  return features
}
