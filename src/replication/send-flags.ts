import { getProperties } from '../datasets/index.js'
import type { SendFlags } from '../lzc/index.js'

/** Whether streams of a dataset are raw: an encrypted one's blocks go as they are on disk. */
export async function sendsRaw(dataset: string): Promise<boolean> {
  const { encryption } = await getProperties(dataset)
  return encryption !== undefined && encryption.value !== 'off'
}

/**
 * Blocks go as they are on disk (`-c`) and in their own size (`-L`), always the same way, for a replica must not see a change of
 * block size between increments (zfs-send(8)); an encrypted dataset goes raw (`-w`). Embedded blocks of volumes stay so (`-e`).
 * Those of filesystems don't: OpenZFS since 2.2.7 leaves out of such a stream what it has embedded of extended attributes and
 * access control lists that don't fit into a dnode (dmu_send.c, do_dump(); openzfs/zfs pull request 19091).
 */
export async function sendFlags(dataset: string): Promise<SendFlags> {
  const { volsize } = await getProperties(dataset)
  return { largeBlocks: true, embedded: volsize !== undefined, compressed: true, raw: await sendsRaw(dataset) }
}
