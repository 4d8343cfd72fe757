/** The records of a send stream (sys/zfs_ioctl.h, dmu_replay_record_t), by their number. All have 312 bytes before their payload. */
export const recordTypes = [
  'BEGIN',
  'OBJECT',
  'FREEOBJECTS',
  'WRITE',
  'FREE',
  'END',
  'WRITE_BYREF',
  'SPILL',
  'WRITE_EMBEDDED',
  'OBJECT_RANGE',
  'REDACT',
] as const

/** The name of a record's type, without the DRR_ that it has in C. */
export type RecordType = (typeof recordTypes)[number]

/** SPA_MAXBLOCKSIZE, the bonus of the largest dnode (DNODE_MAX_SIZE), and BPE_PAYLOAD_SIZE, in bytes. */
const maxBlock = 16 * 1024 * 1024
const maxBonus = 16 * 1024
const maxEmbedded = 112

const roundUp8 = (size: number): number => Math.ceil(size / 8) * 8

/** A uint64 that is a size: exact below 2^53, which is far beyond what any size may be. */
function size64(view: DataView, offset: number, little: boolean): number {
  const first = view.getUint32(offset, little)
  const second = view.getUint32(offset + 4, little)
  return little ? second * 2 ** 32 + first : first * 2 ** 32 + second
}

/**
 * How many bytes follow a record that is not BEGIN (the DRR_*_PAYLOAD_SIZE macros), or undefined if the kernel takes no
 * such size.
 */
export function payloadSize(type: RecordType, view: DataView, little: boolean): number | undefined {
  switch (type) {
    case 'OBJECT':
      return within(view.getUint32(36, little) || roundUp8(view.getUint32(28, little)), maxBonus)
    case 'WRITE':
      return within(size64(view, view.getUint8(50) === 0 ? 32 : 96, little), maxBlock)
    case 'SPILL':
      return within(size64(view, 40, little) || size64(view, 16, little), maxBlock)
    case 'WRITE_EMBEDDED':
      return within(roundUp8(view.getUint32(52, little)), maxEmbedded)
    default:
      return 0
  }
}

/** Sizes are whole checksum words. */
const within = (size: number, most: number): number | undefined => (size <= most && size % 4 === 0 ? size : undefined)

type Field = readonly [name: string, offset: number, bits: 8 | 32 | 64]

/** The fields of each type that say what a record is about, by their C names. */
const fields: Readonly<Record<RecordType, readonly Field[]>> = {
  BEGIN: [],
  END: [],
  OBJECT: [
    ['object', 8, 64],
    ['type', 16, 32],
    ['bonustype', 20, 32],
    ['blksz', 24, 32],
    ['bonuslen', 28, 32],
    ['dn_slots', 34, 8],
    ['flags', 35, 8],
    ['raw_bonuslen', 36, 32],
    ['maxblkid', 56, 64],
    ['indblkshift', 48, 8],
    ['nlevels', 49, 8],
    ['nblkptr', 50, 8],
  ],
  FREEOBJECTS: [
    ['firstobj', 8, 64],
    ['numobjs', 16, 64],
  ],
  WRITE: [
    ['object', 8, 64],
    ['type', 16, 32],
    ['checksumtype', 48, 8],
    ['compressiontype', 50, 8],
    ['flags', 49, 8],
    ['offset', 24, 64],
    ['logical_size', 32, 64],
    ['compressed_size', 96, 64],
  ],
  FREE: [
    ['object', 8, 64],
    ['offset', 16, 64],
    ['length', 24, 64],
  ],
  WRITE_BYREF: [
    ['object', 8, 64],
    ['offset', 16, 64],
    ['length', 24, 64],
    ['refguid', 40, 64],
    ['refobject', 48, 64],
    ['refoffset', 56, 64],
  ],
  SPILL: [
    ['object', 8, 64],
    ['length', 16, 64],
    ['flags', 32, 8],
    ['compressiontype', 33, 8],
    ['compressed_size', 40, 64],
  ],
  WRITE_EMBEDDED: [
    ['object', 8, 64],
    ['offset', 16, 64],
    ['length', 24, 64],
    ['compression', 40, 8],
    ['etype', 41, 8],
    ['lsize', 48, 32],
    ['psize', 52, 32],
  ],
  OBJECT_RANGE: [
    ['firstobj', 8, 64],
    ['numslots', 16, 64],
    ['flags', 68, 8],
  ],
  REDACT: [
    ['object', 8, 64],
    ['offset', 16, 64],
    ['length', 24, 64],
  ],
}

/** What a record is about: numbers by their C names, uint64 as bigint. */
export function recordFields(type: RecordType, view: DataView, little: boolean): Record<string, number | bigint> {
  return Object.fromEntries(fields[type].map(([name, offset, bits]) => [name, read(view, offset, bits, little)]))
}

function read(view: DataView, offset: number, bits: 8 | 32 | 64, little: boolean): number | bigint {
  if (bits === 64) return view.getBigUint64(offset, little)
  return bits === 32 ? view.getUint32(offset, little) : view.getUint8(offset)
}
