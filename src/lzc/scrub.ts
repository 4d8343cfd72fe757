import { type FlockerError, ZfsError } from '../errors.js'
import { choose } from './choice.js'
import { zfsError } from './errors.js'
import { addonWith } from './functions.js'
import { checkPool } from './names.js'
import type { Addon } from './native.js'
import { encodeNvlist, nv } from './nvlist.js'

/** pool_scan_func_t. */
const kinds = { scrub: 1, errors: 3 } as const
const noScan = 0
/** pool_scrub_cmd_t. */
const commands = { start: 0, stop: 0, pause: 1, 'from-last': 2 } as const

const ENOENT = 2
const ECANCELED = 125

/** What a scrub reads. */
export interface ScrubOptions {
  /** `scrub` (the default) reads everything; `errors` only what is known to be damaged (zpool-scrub(8), -e). */
  kind?: 'scrub' | 'errors'
  /** Unix seconds: only blocks that were written since then, or until then (-S, -E). OpenZFS 2.4. */
  start?: bigint
  end?: bigint
}

/**
 * Starts, pauses or stops a scrub. {@link wait} waits for its end. lzc_scrub, OpenZFS 2.2.
 *
 * @param command `start` also goes on with a paused one; `from-last` (OpenZFS 2.3) starts where the last one ended
 * @throws ZfsError `BUSY`, `NOT_ACTIVE` (nothing to pause or stop), `NOT_FOUND` (no pool), `PERMISSION_DENIED`; NotSupportedError
 */
export async function scrub(
  pool: string,
  command: 'start' | 'pause' | 'stop' | 'from-last',
  options: ScrubOptions = {},
): Promise<void> {
  checkPool(pool)
  const { kind = 'scrub', start, end } = options
  const scan = command === 'stop' ? noScan : choose(kinds, kind, 'A scrub')
  const question = {
    scan_type: BigInt(scan),
    scan_command: BigInt(choose(commands, command, 'A scrub')),
    ...(start === undefined ? {} : { scan_date_start: nv.uint64(start) }),
    ...(end === undefined ? {} : { scan_date_end: nv.uint64(end) }),
  }
  const native = addonWith('lzc_scrub')
  const { errno } = await native.scrub(pool, encodeNvlist(question))
  // So it says of a paused one that now goes on.
  if (errno === 0 || (errno === ECANCELED && (command === 'start' || command === 'from-last'))) return
  throw await scrubError(native, pool, errno, command)
}

/** Where nothing is being scrubbed it says ENOENT, as for a pool that isn't there. */
async function scrubError(native: Addon, pool: string, errno: number, command: string): Promise<FlockerError> {
  const error = zfsError('be scrubbed', errno, pool)
  if (errno !== ENOENT || (await native.poolStatus(pool)).errno !== 0) return error
  return new ZfsError('NOT_ACTIVE', `${pool} has no scrub to ${command}`, { errno, dataset: pool })
}
