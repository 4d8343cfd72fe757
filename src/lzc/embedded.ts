import { resolve } from 'node:path'
import { ArgumentError } from '../errors.js'
import { zfsError } from './errors.js'
import { checkAny, checkDataset } from './names.js'
import { openAddon } from './native.js'

/**
 * Opens the pool in the file `DIRECTORY/POOL.zpool`, or creates both. With the embedded engine only. A pool that is opened
 * twice must be closed twice.
 *
 * @param options.size a new pool's size in bytes, at least 128 MiB. Its file is sparse, and grows with the pool.
 *   Default: 8 GiB
 * @throws ZfsError `POOL_IN_USE` (by another process), `EXISTS` (that name, from another directory), `NOT_A_POOL`,
 *   `INVALID_ARGUMENT` (its file holds another pool), `NOT_FOUND` (no directory above), `PERMISSION_DENIED`; ArgumentError; NotSupportedError with the kernel's OpenZFS
 */
export async function openPool(directory: string, pool: string, options: { size?: bigint } = {}): Promise<void> {
  if (checkDataset(pool).includes('/')) throw new ArgumentError(`${pool} is not a pool's name`)
  if (directory === '' || directory.includes('\0')) throw new ArgumentError('A pool needs a directory')
  const { errno } = await openAddon().poolOpen(resolve(directory), pool, options.size ?? 0n)
  if (errno !== 0) throw zfsError('be opened', errno, pool)
}

/**
 * Writes everything and closes a pool, once it was closed as often as opened.
 * @throws ZfsError `BUSY`, `NOT_FOUND`
 */
export async function closePool(pool: string): Promise<void> {
  const { errno } = await openAddon().poolClose(pool)
  if (errno !== 0) throw zfsError('be closed', errno, pool)
}

/**
 * Reads from a volume, or a volume's snapshot. Embedded engine only.
 * @param offset in bytes; the range must be within the volume
 * @param length in bytes, at most 1 GiB
 * @throws ZfsError `INVALID_ARGUMENT` (no volume, or outside of it), `NOT_FOUND`; NotSupportedError
 */
export async function readVolume(dataset: string, offset: bigint, length: number): Promise<Buffer> {
  checkAny(dataset)
  const { errno, list } = await openAddon().volumeRead(dataset, offset, BigInt(length))
  if (errno !== 0) throw zfsError('be read', errno, dataset)
  return list ?? Buffer.alloc(0)
}

/**
 * Writes to a volume. On disk after some seconds, or a flush, or a snapshot. Embedded engine only.
 * @throws ZfsError `INVALID_ARGUMENT` (no volume, or outside of it), `READ_ONLY`, `NO_SPACE`, `QUOTA`, `NOT_FOUND`; NotSupportedError
 */
export async function writeVolume(dataset: string, offset: bigint, bytes: Buffer): Promise<void> {
  checkDataset(dataset)
  const { errno } = await openAddon().volumeWrite(dataset, offset, bytes)
  if (errno !== 0) throw zfsError('be written', errno, dataset)
}

/** Frees a range of a volume, which then reads as zeros. Embedded engine only. Errors as {@link writeVolume}. */
export async function discardVolume(dataset: string, offset: bigint, length: bigint): Promise<void> {
  checkDataset(dataset)
  const { errno } = await openAddon().volumeDiscard(dataset, offset, length)
  if (errno !== 0) throw zfsError('be written', errno, dataset)
}

/**
 * Resolves when everything written to a volume's pool before is on disk. Embedded engine only.
 * @throws ZfsError `NOT_FOUND` (no pool); NotSupportedError
 */
export async function flushVolume(dataset: string): Promise<void> {
  checkDataset(dataset)
  const { errno } = await openAddon().volumeFlush(dataset)
  if (errno !== 0) throw zfsError('be flushed', errno, dataset)
}
