/** Writes a volume's stream again as a machine of the other byte order would have sent it, so that the kernel can judge. */
import { type Made, makeStream } from '../unit/stream-fixtures.js'

const recordBytes = 312
const [begin, object, freeObjects, write, free, end] = [0, 1, 2, 3, 4, 5]
/** DMU_OT_ZVOL, whose blocks are bytes. A volume's other object is a ZAP (DMU_OT_ZVOL_PROP). */
const volumeData = 23

/** Where each type's numbers are (sys/zfs_ioctl.h). */
const numbers: Readonly<Record<number, { u32: readonly number[]; u64: readonly number[] }>> = {
  [begin]: { u32: [32, 36], u64: [8, 16, 24, 40, 48] },
  [object]: { u32: [16, 20, 24, 28, 36], u64: [8, 40, 56] },
  [freeObjects]: { u32: [], u64: [8, 16, 24] },
  [write]: { u32: [16], u64: [8, 24, 32, 40, 88, 96] },
  [free]: { u32: [], u64: [8, 16, 24, 32] },
  [end]: { u32: [], u64: [40] },
}

/** @param stream of a volume, sent without flags by a little-endian machine */
export function byteswapped(stream: Buffer): Buffer {
  const records: Made[] = []
  for (let at = 0; at < stream.length; ) {
    const record = stream.subarray(at, at + recordBytes)
    const type = record.readUInt32LE(0)
    const size = type === write ? Number(record.readBigUInt64LE(32)) : 0
    at += recordBytes + size
    const payload = Buffer.from(stream.subarray(at - size, at))
    if (type === write && record.readUInt32LE(16) !== volumeData) swapMicroZap(payload)
    records.push({ type, payload, payloadlen: record.readUInt32LE(4), fill: (view) => swapInto(view, record, type) })
  }
  return makeStream(records, false)
}

function swapInto(view: DataView, record: Buffer, type: number): void {
  // What stands before END's numbers is its checksum, which is another one now; where others have theirs, BEGIN's name goes on.
  const copied = record.subarray(type === end ? 40 : 8, type === begin ? recordBytes : 280)
  Buffer.from(view.buffer, view.byteOffset).set(copied, copied.byteOffset - record.byteOffset)
  for (const offset of numbers[type]?.u32 ?? []) view.setUint32(offset, record.readUInt32LE(offset))
  for (const offset of numbers[type]?.u64 ?? []) view.setBigUint64(offset, record.readBigUInt64LE(offset))
}

/** mzap_phys_t: a header of uint64s, then entries of a uint64, a uint32, a uint16 and a name, 64 bytes each. */
function swapMicroZap(block: Buffer): void {
  block.subarray(0, 64).swap64()
  for (let at = 64; at < block.length; at += 64) {
    block.subarray(at, at + 8).swap64()
    block.subarray(at + 8, at + 12).swap32()
    block.subarray(at + 12, at + 14).swap16()
  }
}
