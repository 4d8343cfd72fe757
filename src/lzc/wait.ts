import { NotSupportedError } from '../errors.js'
import { choose } from './choice.js'
import { zfsError } from './errors.js'
import { addonWith } from './functions.js'
import { interruptibly } from './interruptible.js'
import { checkDataset, checkPool } from './names.js'
import type { Addon, Interruptible } from './native.js'
import { resolveVdev, type VdevName } from './vdev-tree.js'

/** zpool_wait_activity_t, by the names of zpool-wait(8). */
const activities = {
  discard: 0,
  free: 1,
  initialize: 2,
  replace: 3,
  remove: 4,
  resilver: 5,
  scrub: 6,
  trim: 7,
  raidz_expand: 8,
} as const

/** ZFS_WAIT_DELETEQ. */
const deleteQueue = 0

const EINVAL = 22

/** `discard`: of a checkpoint. `free`: of destroyed datasets' space. `raidz_expand` needs OpenZFS 2.3. */
export type PoolActivity = keyof typeof activities

/** How long to wait. */
export interface WaitOptions {
  /**
   * Ends the waiting, not what is waited for. It rejects once the waiting thread is gone, which is at once; only where the pool is
   * suspended after failed I/O can the thread not be woken, and ends when the pool answers.
   */
  signal?: AbortSignal
}

/**
 * Waits until an activity of a pool is over. Blocks a thread of its own. lzc_wait.
 *
 * @returns whether there was anything to wait for
 * @throws ZfsError `NOT_FOUND`, `POOL_SUSPENDED`; AbortError, TimeoutError by the signal; NotSupportedError; ArgumentError
 */
export async function wait(pool: string, activity: PoolActivity, options: WaitOptions = {}): Promise<boolean> {
  checkPool(pool)
  const number = choose(activities, activity, 'What is waited for')
  const native = addonWith('lzc_wait')
  return finish(native, () => native.wait(pool, number, null), pool, activity, options)
}

/**
 * Waits until one device of a pool is initialized or trimmed. lzc_wait_tag.
 *
 * @param vdev its GUID, path or name
 * @returns whether there was anything to wait for
 * @throws as {@link wait}; for the device, ZfsError `NOT_FOUND`, or `INVALID_ARGUMENT` where it was given by a GUID
 */
export async function waitTag(
  pool: string,
  activity: 'initialize' | 'trim',
  vdev: VdevName,
  options: WaitOptions = {},
): Promise<boolean> {
  checkPool(pool)
  const number = choose({ initialize: activities.initialize, trim: activities.trim }, activity, 'What is waited for')
  const native = addonWith('lzc_wait_tag')
  const { guid } = await resolveVdev(pool, vdev)
  return finish(native, () => native.wait(pool, number, guid), pool, activity, options)
}

/**
 * Waits until the files that were deleted in a mounted filesystem are freed. lzc_wait_fs.
 *
 * @returns whether there was anything to wait for; there is nothing where it is not mounted
 * @throws as {@link wait}
 */
export async function waitFs(dataset: string, activity: 'deleteq', options: WaitOptions = {}): Promise<boolean> {
  checkDataset(dataset)
  const number = choose({ deleteq: deleteQueue }, activity, 'What is waited for')
  const native = addonWith('lzc_wait_fs')
  return finish(native, () => native.waitFs(dataset, number), dataset, activity, options)
}

async function finish(
  native: Addon,
  begin: () => Interruptible,
  name: string,
  activity: PoolActivity | 'deleteq',
  { signal }: WaitOptions,
): Promise<boolean> {
  const { errno, number } = await interruptibly(native, begin, signal, `The wait for ${name} (${activity})`)
  if (errno === EINVAL && activity === 'raidz_expand') {
    throw new NotSupportedError(`${name} can't be waited for: OpenZFS 2.3 or newer expands a raidz`, {
      errno,
      dataset: name,
    })
  }
  if (errno !== 0) throw zfsError('be waited for', errno, name)
  return number === 1n
}
