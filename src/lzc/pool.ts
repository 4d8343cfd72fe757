import { ArgumentError } from '../errors.js'
import { choose } from './choice.js'
import { zfsError } from './errors.js'
import { addonWith } from './functions.js'
import { checkPool } from './names.js'
import { decodeNvlist, encodeNvlist, type NvInput, type NvList } from './nvlist.js'
import { type PoolPropertyValue, readPoolProperties } from './pool-properties.js'

/** zpool_prefetch_type_t. */
const prefetchKinds = { ddt: 1, brt: 2 } as const
/** zpool_ddt_prune_unit_t. */
const pruneBySeconds = 1
const pruneByPercentage = 2

/** What sys/fs/zfs.h calls VB_RAW and VB_NVLIST. */
const bootenvVersions = [0n, 1n]
const grubEnvironment = 'grub:envmap'

/**
 * Writes what is in memory: resolves once everything that was written to the pool before is on disk, however long that takes. lzc_sync.
 *
 * @param options.force also where there is nothing to write
 * @throws ZfsError `NOT_FOUND`, `POOL_SUSPENDED`, `READ_ONLY`; NotSupportedError; ArgumentError
 */
export async function sync(pool: string, options: { force?: boolean } = {}): Promise<void> {
  checkPool(pool)
  const { errno } = await addonWith('lzc_sync').sync(pool, encodeNvlist({ force: options.force ?? false }))
  if (errno !== 0) throw zfsError('be synced', errno, pool)
}

/**
 * Opens a pool's devices anew, as after a change of their size or path. lzc_reopen.
 *
 * @param options.restartScrub start a scrub or resilver that is under way from its beginning. Default true, as zpool-reopen(8)
 * @throws ZfsError `NOT_FOUND`, `PERMISSION_DENIED`; NotSupportedError; ArgumentError
 */
export async function reopen(pool: string, options: { restartScrub?: boolean } = {}): Promise<void> {
  checkPool(pool)
  const { errno } = await addonWith('lzc_reopen').reopen(pool, options.restartScrub ?? true)
  if (errno !== 0) throw zfsError('be reopened', errno, pool)
}

/**
 * Takes a checkpoint: the state that the whole pool can be rewound to, at its next import. A pool has one at most. While it has
 * one, devices can't be removed, and freed space isn't. lzc_pool_checkpoint.
 * @throws ZfsError `EXISTS`, `BUSY` (the last one is being discarded, a device is being removed), `NOT_FOUND`,
 *   `PERMISSION_DENIED`, `NO_SPACE`; NotSupportedError (also where the pool lacks the feature); ArgumentError
 */
export async function poolCheckpoint(pool: string): Promise<void> {
  checkPool(pool)
  const { errno } = await addonWith('lzc_pool_checkpoint').poolCheckpoint(pool)
  if (errno !== 0) throw zfsError('be checkpointed', errno, pool)
}

/**
 * Discards a pool's checkpoint. Its space is freed later: wait(pool, 'discard'). lzc_pool_checkpoint_discard.
 * @throws ZfsError `NOT_FOUND` (no checkpoint, or no pool), `BUSY` (it is being discarded), `PERMISSION_DENIED`; NotSupportedError
 */
export async function poolCheckpointDiscard(pool: string): Promise<void> {
  checkPool(pool)
  const { errno } = await addonWith('lzc_pool_checkpoint_discard').poolCheckpointDiscard(pool)
  if (errno !== 0) throw zfsError('have its checkpoint discarded', errno, pool)
}

/**
 * A pool's properties (zpoolprops(7)) by name: statistics, and what is set. Those at their defaults are mostly left out. lzc_get_props, OpenZFS 2.3.
 * @throws ZfsError `NOT_FOUND`; NotSupportedError; ArgumentError
 */
export async function getPoolProps(pool: string): Promise<Record<string, PoolPropertyValue>> {
  checkPool(pool)
  const { errno, list } = await addonWith('lzc_get_props').getPoolProps(pool)
  if (errno !== 0) throw zfsError('have its properties read', errno, pool)
  return list === undefined ? {} : readPoolProperties(decodeNvlist(list))
}

/**
 * What a boot loader has left in a pool's labels; `version` is 1n for a list of pairs, 0n for GRUB's block of text. lzc_get_bootenv.
 * @throws ZfsError `NOT_FOUND`, `CHECKSUM` (every copy of it is damaged); NotSupportedError; ArgumentError
 */
export async function getBootenv(pool: string): Promise<NvList> {
  checkPool(pool)
  const { errno, list } = await addonWith('lzc_get_bootenv').getBootenv(pool)
  if (errno !== 0) throw zfsError('have its boot environment read', errno, pool)
  return list === undefined ? {} : decodeNvlist(list)
}

/**
 * Replaces what boot loaders find in a pool's labels. lzc_set_bootenv.
 *
 * @param environment pairs such as `{ 'freebsd:bootonce': 'zfs:tank/root:' }`; or `{ version: 0n, 'grub:envmap': text }`. `version` is
 *   1n unless it is given
 * @throws ZfsError `NOT_FOUND`, `PERMISSION_DENIED`, `TOO_LARGE` (8 KiB); NotSupportedError; ArgumentError
 */
export async function setBootenv(pool: string, environment: NvInput): Promise<void> {
  checkPool(pool)
  // A kernel that is given no version, or no text for version 0, panics.
  const version = environment.version ?? 1n
  if (typeof version !== 'bigint' || !bootenvVersions.includes(version)) {
    throw new ArgumentError(`A boot environment's version is 0n or 1n, not ${String(version)}`)
  }
  if (version === 0n && typeof environment[grubEnvironment] !== 'string') {
    throw new ArgumentError(`A boot environment of version 0n has a text ${grubEnvironment}`)
  }
  const { errno } = await addonWith('lzc_set_bootenv').setBootenv(pool, encodeNvlist({ ...environment, version }))
  if (errno !== 0) throw zfsError('have its boot environment set', errno, pool)
}

/**
 * Reads a pool's dedup table (`ddt`) or block reference table (`brt`, OpenZFS 2.4) into memory. lzc_pool_prefetch, OpenZFS 2.3.
 * @throws ZfsError `NOT_FOUND`, `PERMISSION_DENIED`; NotSupportedError; ArgumentError
 */
export async function poolPrefetch(pool: string, kind: keyof typeof prefetchKinds): Promise<void> {
  checkPool(pool)
  const number = choose(prefetchKinds, kind, 'What is prefetched')
  const { errno } = await addonWith('lzc_pool_prefetch').poolPrefetch(pool, number)
  if (errno !== 0) throw zfsError('be prefetched', errno, pool)
}

/**
 * Removes entries of blocks that occur once from a pool's dedup table. lzc_ddt_prune, OpenZFS 2.3.
 *
 * @param what those older than so many seconds; or the oldest so many percent of them, 1 to 100
 * @throws ZfsError `NOT_FOUND`, `BUSY`, `PERMISSION_DENIED`; NotSupportedError; ArgumentError
 */
export async function ddtPrune(pool: string, what: { seconds: bigint } | { percentage: number }): Promise<void> {
  checkPool(pool)
  const [unit, amount] = pruneAmount(what)
  const { errno } = await addonWith('lzc_ddt_prune').ddtPrune(pool, unit, amount)
  if (errno !== 0) throw zfsError('have its dedup table pruned', errno, pool)
}

function pruneAmount(what: { seconds: bigint } | { percentage: number }): [number, bigint] {
  if ('percentage' in what) {
    const { percentage } = what
    if (!Number.isInteger(percentage) || percentage < 1 || percentage > 100) {
      throw new ArgumentError(`A percentage is a whole number from 1 to 100, not ${percentage}`)
    }
    return [pruneByPercentage, BigInt(percentage)]
  }
  const { seconds } = what
  if (typeof seconds !== 'bigint' || seconds < 1n || seconds >= 2n ** 64n) {
    throw new ArgumentError(`An age is a bigint of seconds, at least 1n, not ${seconds}`)
  }
  return [pruneBySeconds, seconds]
}
