import { getProperties } from '../datasets/index.js'
import type { SendFlags } from '../lzc/index.js'

/** Whether streams of a dataset are raw: an encrypted one's blocks go as they are on disk. */
export async function sendsRaw(dataset: string): Promise<boolean> {
  const { encryption } = await getProperties(dataset)
  return encryption !== undefined && encryption.value !== 'off'
}

/**
 * Blocks go as they are on disk (`-c`), in their own size (`-L`) and embedded (`-e`), always the same way, for a replica must
 * not see a change of block size between increments (zfs-send(8)); an encrypted dataset goes raw (`-w`).
 */
export async function sendFlags(dataset: string): Promise<SendFlags> {
  return { largeBlocks: true, embedded: true, compressed: true, raw: await sendsRaw(dataset) }
}
