import { decodeNvlist, type NvList } from '../lzc/nvlist.js'

/** A dataset or snapshot as the kernel lists it. */
export interface Entry {
  name: string
  /** The snapshot that a clone comes from; empty for others. */
  origin: string
  /** DMU_OST_*: 2 filesystem, 3 volume. */
  objectSet: number
  isSnapshot: boolean
  /** A receive into it was interrupted, or is under way. */
  inconsistent: boolean
  createtxg: bigint
  guid: bigint
  /** Property to `{ value, source }`, of those that were asked for. */
  properties: NvList
}

/** Five u32 and three u64; then name, origin, and the packed properties (AppendEntry in native/zfs_ioctl.cc). */
const headerBytes = 44

/**
 * Decodes a batch of the addon's.
 * @param only the properties to decode; all where it is undefined
 */
export function* decodeBatch(batch: Buffer, only: ReadonlySet<string> | undefined): Generator<Entry> {
  for (let at = 0; at < batch.length; ) {
    const originAt = at + headerBytes + batch.readUInt32LE(at)
    const listAt = originAt + batch.readUInt32LE(at + 4)
    const end = listAt + batch.readUInt32LE(at + 8)
    const flags = batch.readUInt32LE(at + 16)
    const list = batch.subarray(listAt, end)
    yield {
      name: batch.toString('utf8', at + headerBytes, originAt),
      origin: batch.toString('utf8', originAt, listAt),
      objectSet: batch.readUInt32LE(at + 12),
      isSnapshot: (flags & 1) !== 0,
      inconsistent: (flags & 2) !== 0,
      createtxg: batch.readBigUInt64LE(at + 28),
      guid: batch.readBigUInt64LE(at + 36),
      properties: list.length === 0 ? {} : decodeNvlist(list, only),
    }
    at = end
  }
}
