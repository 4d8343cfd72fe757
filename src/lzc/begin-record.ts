import { StreamError } from '../errors.js'

/** The size of every record of a send stream (dmu_replay_record_t), in bytes. */
export const beginRecordBytes = 312

const magic = 0x2f5bacbacn
const typeBegin = 0
const headerSubstream = 1
const headerCompound = 2

/** The bits of DMU_BACKUP_FEATURE_* (include/sys/zfs_ioctl.h), by the lower-case names that they have there. */
const featureBits: Readonly<Record<string, number>> = {
  dedup: 0,
  dedupprops: 1,
  sa_spill: 2,
  embed_data: 16,
  lz4: 17,
  large_blocks: 19,
  resuming: 20,
  redacted: 21,
  compressed: 22,
  large_dnode: 23,
  raw: 24,
  zstd: 25,
  holds: 26,
  switch_to_large_blocks: 27,
  longname: 28,
  large_microzap: 29,
}
const featureNames = new Map(Object.entries(featureBits).map(([name, bit]) => [bit, name]))

/** DRR_FLAG_*. */
const flagNames = ['clone', 'ci_data', 'freerecords', 'spill_block'] as const

/** What a send stream says of itself in its first record. */
export interface BeginRecord {
  /** The stream's byte order is not this machine's; the kernel can receive it all the same. */
  byteswapped: boolean
  /** `other` for an object set type that can't be received. */
  type: 'filesystem' | 'volume' | 'other'
  /** What a receiver needs to be capable of: `large_blocks`, `raw`, ...; `bit_N` for a feature not known here. */
  features: string[]
  flags: (typeof flagNames)[number][]
  /** When the snapshot was taken, in Unix seconds. */
  creation: bigint
  /** The GUID of the snapshot that is sent. */
  toguid: bigint
  /** The GUID of the snapshot that it is an increment from; 0n for a full stream. */
  fromguid: bigint
  /** The snapshot's full name on the sending host. */
  toname: string
  /** Bytes of the nvlist that follows the record. */
  payloadlen: number
}

/** A bound on what the kernel would be asked to read as an nvlist. */
const maxPayload = 1024 * 1024

/**
 * Parses and checks the BEGIN record of a stream that one snapshot is sent by.
 *
 * @param record the stream's first 312 bytes
 * @throws StreamError `STREAM_TRUNCATED` for fewer bytes, `STREAM_INVALID` for what is no stream, or a compound one (`zfs
 *   send -R`, `-p` or `-I`), which only the zfs command can take apart
 */
export function parseBeginRecord(record: Uint8Array): BeginRecord {
  const { begin, compound } = readBeginRecord(record)
  if (!compound) return begin
  throw new StreamError(
    'STREAM_INVALID',
    'This is a compound stream (zfs send -R, -p or -I), which the kernel does not take',
    {
      next: 'Send one snapshot at a time, or give the stream to zfs receive.',
    },
  )
}

/**
 * Parses and checks a BEGIN record, also one that begins a compound stream.
 *
 * @param record the record's 312 bytes
 * @throws StreamError `STREAM_TRUNCATED` for fewer bytes, `STREAM_INVALID`
 */
export function readBeginRecord(record: Uint8Array): { begin: BeginRecord; compound: boolean } {
  if (record.length < beginRecordBytes) {
    throw new StreamError(
      'STREAM_TRUNCATED',
      `A send stream begins with ${beginRecordBytes} bytes; there are ${record.length}`,
    )
  }
  const view = new DataView(record.buffer, record.byteOffset, beginRecordBytes)
  const little = byteOrder(view)
  const compound = checkHeader(view, little)
  const versionInfo = view.getBigUint64(16, little)
  const begin: BeginRecord = {
    byteswapped: !little,
    type: objectSetType(view.getUint32(32, little)),
    features: bitNames((versionInfo >> 2n) & ((1n << 56n) - 1n), (bit) => featureNames.get(bit) ?? `bit_${bit}`),
    flags: bitNames(BigInt(view.getUint32(36, little)), (bit) => flagNames[bit]),
    creation: view.getBigUint64(24, little),
    toguid: view.getBigUint64(40, little),
    fromguid: view.getBigUint64(48, little),
    toname: toName(record),
    payloadlen: view.getUint32(4, little),
  }
  return { begin, compound }
}

/** Whether the stream is little-endian, told by its magic number. */
function byteOrder(view: DataView): boolean {
  if (view.getBigUint64(8, true) === magic) return true
  if (view.getBigUint64(8, false) === magic) return false
  throw new StreamError('STREAM_INVALID', 'This is not a ZFS send stream: its first record has no magic number')
}

/** Whether the header is a compound stream's, whose payload lists every snapshot and is zfs receive's to read. */
function checkHeader(view: DataView, little: boolean): boolean {
  const type = view.getUint32(0, little)
  if (type !== typeBegin)
    throw new StreamError('STREAM_INVALID', `A send stream does not begin with a record of type ${type}`)
  const header = Number(view.getBigUint64(16, little) & 3n)
  if (header === headerCompound) return true
  if (header !== headerSubstream) throw new StreamError('STREAM_INVALID', `The stream's header type is ${header}`)
  const payload = view.getUint32(4, little)
  if (payload > maxPayload)
    throw new StreamError('STREAM_INVALID', `The BEGIN record announces ${payload} bytes of properties`)
  return false
}

function objectSetType(type: number): BeginRecord['type'] {
  if (type === 2) return 'filesystem'
  return type === 3 ? 'volume' : 'other'
}

function bitNames<Name>(bits: bigint, nameOf: (bit: number) => Name | undefined): Name[] {
  const names: Name[] = []
  for (let bit = 0; bits >> BigInt(bit) > 0n; bit++) {
    const name = (bits >> BigInt(bit)) & 1n ? nameOf(bit) : undefined
    if (name !== undefined) names.push(name)
  }
  return names
}

function toName(record: Uint8Array): string {
  const field = Buffer.from(record.buffer, record.byteOffset + 56, 256)
  const end = field.indexOf(0)
  if (end < 0) throw new StreamError('STREAM_INVALID', "The snapshot's name in the BEGIN record has no end")
  return field.toString('utf8', 0, end)
}
