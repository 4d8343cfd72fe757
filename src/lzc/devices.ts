import { ArgumentError, type FlockerError, NotSupportedError } from '../errors.js'
import { choose } from './choice.js'
import { ManyError, zfsError } from './errors.js'
import { addonWith } from './functions.js'
import { checkPool } from './names.js'
import type { Outcome } from './native.js'
import { decodeNvlist, encodeNvlist, type NvList } from './nvlist.js'
import { resolveVdevs, type Vdev, type VdevName } from './vdev-tree.js'

/** pool_initialize_func_t. */
const initializeCommands = { start: 0, cancel: 1, suspend: 2, uninit: 3 } as const
/** pool_trim_func_t. */
const trimCommands = { start: 0, cancel: 1, suspend: 2 } as const

const EINVAL = 22

/** `suspend`: `start` goes on later. `uninit` forgets how far it came, and needs OpenZFS 2.2. */
export type InitializeCommand = keyof typeof initializeCommands
/** `suspend`: `start` goes on later. */
export type TrimCommand = keyof typeof trimCommands

/** Which of a pool's devices. */
export interface DevicesOptions {
  /** Which devices; all disks and files of the pool unless said otherwise. */
  vdevs?: readonly VdevName[]
}

/**
 * Starts (or cancels, or suspends) writing to a pool's unallocated space, as zpool-initialize(8) does. {@link wait} waits for its
 * end. lzc_initialize.
 *
 * @throws ManyError with each device's own error in `failures`, by its name: `NOT_FOUND`, `BUSY`, `NOT_ACTIVE` (nothing to cancel or
 *   suspend), `INVALID_ARGUMENT` (not a leaf), `READ_ONLY`; ZfsError `NOT_FOUND` (no pool, no device), `PERMISSION_DENIED`;
 *   NotSupportedError; ArgumentError
 */
export async function initialize(
  pool: string,
  command: InitializeCommand,
  options: DevicesOptions = {},
): Promise<void> {
  checkPool(pool)
  const native = addonWith('lzc_initialize')
  const vdevs = await resolveVdevs(pool, options.vdevs)
  const outcome = await native.initialize(pool, choose(initializeCommands, command, 'An initialization'), guids(vdevs))
  const failures = deviceFailures('be initialized', outcome, 'initialize_vdevs', vdevs)
  if (failures.size === 0 && outcome.errno === EINVAL && command === 'uninit') {
    throw new NotSupportedError(`${pool} can't be initialized: OpenZFS 2.2 or newer has the command uninit`, {
      errno: EINVAL,
      dataset: pool,
    })
  }
  throwDevices('be initialized', outcome, failures, pool)
}

/** How devices are trimmed, and which. */
export interface TrimOptions extends DevicesOptions {
  /** At most so many bytes a second, each device; 0 (the default) is no limit. */
  rate?: bigint
  /** The device shall erase what it trims. Many can't. */
  secure?: boolean
}

/**
 * Starts (or cancels, or suspends) telling a pool's devices which blocks are unused, as zpool-trim(8) does. {@link wait} waits for its
 * end. lzc_trim.
 *
 * @throws ManyError as {@link initialize}, and `NOT_SUPPORTED` for a device that can't trim, or not securely; the others too
 */
export async function trim(pool: string, command: TrimCommand, options: TrimOptions = {}): Promise<void> {
  checkPool(pool)
  const { rate = 0n, secure = false } = options
  if (typeof rate !== 'bigint' || rate < 0n || rate >= 2n ** 64n) {
    throw new ArgumentError(`A rate is a bigint of bytes a second, not ${rate}`)
  }
  const native = addonWith('lzc_trim')
  const vdevs = await resolveVdevs(pool, options.vdevs)
  const outcome = await native.trim(pool, choose(trimCommands, command, 'A trim'), rate, secure, guids(vdevs))
  throwDevices('be trimmed', outcome, deviceFailures('be trimmed', outcome, 'trim_vdevs', vdevs), pool)
}

type DeviceOperation = 'be initialized' | 'be trimmed'
type Named = Pick<Vdev, 'guid' | 'name'>

/** The kernel takes GUIDs by any names. */
function guids(vdevs: readonly Named[]): Buffer {
  return encodeNvlist(Object.fromEntries(vdevs.map(({ guid }) => [String(guid), guid])))
}

/** Each failed device's errno comes by its GUID, in a list of that name. */
function deviceFailures(
  operation: DeviceOperation,
  { list }: Outcome,
  key: string,
  vdevs: readonly Named[],
): Map<string, FlockerError> {
  const failed = list === undefined ? undefined : (decodeNvlist(list)[key] as NvList | undefined)
  const failures = new Map<string, FlockerError>()
  for (const [guid, code] of Object.entries(failed ?? {})) {
    const name = vdevs.find((vdev) => String(vdev.guid) === guid)?.name ?? guid
    failures.set(name, zfsError(operation, Number(code), name))
  }
  return failures
}

function throwDevices(
  operation: DeviceOperation,
  { errno }: Outcome,
  failures: ReadonlyMap<string, FlockerError>,
  pool: string,
): void {
  if (failures.size > 0) throw new ManyError(failures)
  if (errno !== 0) throw zfsError(operation, errno, pool)
}
