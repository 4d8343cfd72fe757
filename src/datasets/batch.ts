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

/** Decodes a batch of the addon's; properties when they are first looked at, so that a long list is no burden at once. */
export function decodeBatch(batch: Buffer): Entry[] {
  const entries: Entry[] = []
  for (let at = 0; at < batch.length; ) {
    const entry = new BatchEntry(batch, at)
    entries.push(entry)
    at = entry.end
  }
  return entries
}

class BatchEntry implements Entry {
  readonly name: string
  readonly origin: string
  readonly objectSet: number
  readonly isSnapshot: boolean
  readonly inconsistent: boolean
  readonly createtxg: bigint
  readonly guid: bigint
  readonly end: number
  readonly #list: Buffer
  #properties: NvList | undefined

  constructor(batch: Buffer, at: number) {
    const originAt = at + headerBytes + batch.readUInt32LE(at)
    const listAt = originAt + batch.readUInt32LE(at + 4)
    const flags = batch.readUInt32LE(at + 16)
    this.name = batch.toString('utf8', at + headerBytes, originAt)
    this.origin = batch.toString('utf8', originAt, listAt)
    this.objectSet = batch.readUInt32LE(at + 12)
    this.isSnapshot = (flags & 1) !== 0
    this.inconsistent = (flags & 2) !== 0
    this.createtxg = batch.readBigUInt64LE(at + 28)
    this.guid = batch.readBigUInt64LE(at + 36)
    this.end = listAt + batch.readUInt32LE(at + 8)
    this.#list = batch.subarray(listAt, this.end)
  }

  get properties(): NvList {
    this.#properties ??= this.#list.length === 0 ? {} : decodeNvlist(this.#list)
    return this.#properties
  }
}
