/** Send streams made by hand, with a fletcher-4 of the test's own, as a machine of either byte order writes them. */
import { deflateSync } from 'node:zlib'
import { type NvInput, nv } from '../../src/lzc/index.js'

const recordBytes = 312
const mask = (1n << 64n) - 1n

export interface Made {
  type: number
  payload?: Buffer
  payloadlen?: number
  /** Sets the record's fields. */
  fill?: (view: DataView, little: boolean) => void
  /** Leave the record's own checksum at zero, as libzfs does in the records that it adds. */
  unsummed?: boolean
}

/** The plainest fletcher-4: one bigint a word. */
export class PlainFletcher {
  a = 0n
  b = 0n
  c = 0n
  d = 0n

  add(bytes: Uint8Array, little: boolean): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    for (let at = 0; at + 4 <= bytes.length; at += 4) {
      this.a = (this.a + BigInt(view.getUint32(at, little))) & mask
      this.b = (this.b + this.a) & mask
      this.c = (this.c + this.b) & mask
      this.d = (this.d + this.c) & mask
    }
  }

  write(view: DataView, offset: number, little: boolean): void {
    for (const [i, word] of [this.a, this.b, this.c, this.d].entries()) view.setBigUint64(offset + i * 8, word, little)
  }
}

/** Lays records out one after the other and seals them: every checksum is right unless `fill` is there to break it later. */
export function makeStream(records: readonly Made[], little = true): Buffer {
  const parts: Buffer[] = []
  let sum = new PlainFletcher()
  for (const { type, payload = Buffer.alloc(0), payloadlen = payload.length, fill, unsummed = false } of records) {
    const record = Buffer.alloc(recordBytes)
    const view = new DataView(record.buffer, record.byteOffset, recordBytes)
    view.setUint32(0, type, little)
    view.setUint32(4, payloadlen, little)
    if (type === END) sum.write(view, 8, little)
    fill?.(view, little)
    sum.add(record.subarray(0, 280), little)
    if (type !== BEGIN && !unsummed) sum.write(view, 280, little)
    sum.add(record.subarray(280), little)
    sum.add(payload, little)
    if (type === END) sum = new PlainFletcher()
    parts.push(record, payload)
  }
  return Buffer.concat(parts)
}

const [BEGIN, END] = [0, 5]

export const guid = 0xfedcba9876543210n

export interface BeginFields {
  compound?: boolean
  features?: readonly number[]
  fromguid?: bigint
  toname?: string
  payload?: Buffer
}

export function begin(fields: BeginFields = {}): Made {
  const { compound = false, features = [], fromguid = 0n, toname = 'tank/a@1', payload } = fields
  return {
    type: BEGIN,
    ...(payload === undefined ? {} : { payload }),
    fill: (view, little) => {
      view.setBigUint64(8, 0x2f5bacbacn, little)
      const bits = features.reduce((all, bit) => all | (1n << BigInt(bit)), 0n)
      view.setBigUint64(16, (compound ? 2n : 1n) | (bits << 2n), little)
      view.setBigUint64(24, 1_700_000_000n, little)
      view.setUint32(32, 2, little)
      view.setBigUint64(40, guid, little)
      view.setBigUint64(48, fromguid, little)
      Buffer.from(view.buffer, view.byteOffset).write(toname, 56)
    },
  }
}

export const end = (): Made => ({ type: END, fill: (view, little) => view.setBigUint64(40, guid, little) })

/** The END that closes a compound stream, or its contents: without a checksum of its own. */
export const bareEnd = (): Made => ({ type: END, unsummed: true })

export const object = (bonus: number, raw = 0): Made => ({
  type: 1,
  payload: Buffer.alloc(raw || Math.ceil(bonus / 8) * 8, 0xb0),
  fill: (view, little) => {
    view.setBigUint64(8, 2n, little)
    view.setUint32(28, bonus, little)
    view.setUint32(36, raw, little)
  },
})

export const freeObjects = (): Made => ({
  type: 2,
  fill: (view, little) => {
    view.setBigUint64(8, 3n, little)
    view.setBigUint64(16, 29n, little)
  },
})

export const write = (payload: Buffer, compressedFrom?: number): Made => ({
  type: 3,
  payload,
  fill: (view, little) => {
    view.setBigUint64(8, 2n, little)
    view.setBigUint64(24, 131072n, little)
    view.setBigUint64(32, BigInt(compressedFrom ?? payload.length), little)
    if (compressedFrom === undefined) return
    view.setUint8(50, 15)
    view.setBigUint64(96, BigInt(payload.length), little)
  },
})

/** FREE, WRITE_BYREF or REDACT, which have an object, an offset and a length. */
export const range = (type: 4 | 6 | 10): Made => ({
  type,
  fill: (view, little) => {
    view.setBigUint64(8, 2n, little)
    view.setBigUint64(16, 4096n, little)
    view.setBigUint64(24, mask, little)
  },
})

export const spill = (payload: Buffer, compressed: boolean): Made => ({
  type: 7,
  payload,
  fill: (view, little) => {
    view.setBigUint64(16, BigInt(compressed ? payload.length * 4 : payload.length), little)
    if (compressed) view.setBigUint64(40, BigInt(payload.length), little)
  },
})

export const embedded = (size: number): Made => ({
  type: 8,
  payload: Buffer.alloc(Math.ceil(size / 8) * 8, 0xe0),
  fill: (view, little) => view.setUint32(52, size, little),
})

export const objectRange = (): Made => ({
  type: 9,
  fill: (view, little) => {
    view.setBigUint64(8, 32n, little)
    view.setBigUint64(16, 32n, little)
    view.setUint8(68, 2)
  },
})

/** One record of each type. */
export const everyType = (): Made[] => [
  begin({ features: [19, 22], fromguid: 7n }),
  object(17),
  object(176, 192),
  objectRange(),
  freeObjects(),
  write(Buffer.alloc(8192, 0xff)),
  write(Buffer.alloc(1024, 0x5a), 131072),
  range(4),
  range(6),
  spill(Buffer.alloc(512, 1), false),
  spill(Buffer.alloc(512, 2), true),
  embedded(29),
  range(10),
  end(),
]

/** A package: contents, two single streams, the last END. */
export const compound = (): Made[] => [
  begin({ compound: true, toname: 'tank@2', payload: Buffer.alloc(5000, 0xcc) }),
  bareEnd(),
  begin({ toname: 'tank@1' }),
  write(Buffer.alloc(4096, 3)),
  end(),
  begin({ toname: 'tank@2', fromguid: guid }),
  freeObjects(),
  end(),
  bareEnd(),
]

/** What a resume token's list holds, in the kernel's order. */
export const tokenList: NvInput = {
  object: 2n,
  offset: 0xc0000n,
  bytes: 0xe1488n,
  toguid: guid,
  toname: 'tank/a@1',
  compressok: nv.flag(),
}

/** A resume token around any bytes, with the checksum that they need. */
export function sealToken(list: Buffer, packed = deflateSync(list)): string {
  const sum = new PlainFletcher()
  sum.add(packed, true)
  return `1-${sum.a.toString(16)}-${list.length.toString(16)}-${packed.toString('hex')}`
}
