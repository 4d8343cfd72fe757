/** The frames of a data connection: u32 type, u32 length (both big-endian), then that many bytes. See docs/protocol.md. */
import { TransportError } from '../errors.js'

export const FrameType = {
  /** A part of the stream. */
  DATA: 1,
  /** The stream is complete; u64 total of its bytes. */
  END: 2,
  /** The receiver has everything, and its sink has taken it; u64 total. */
  ACK: 3,
  /** Whoever says this gave up; a JSON error. */
  ERROR: 4,
  /** Nothing but a sign of life. */
  ALIVE: 5,
  /** The receiver's sink has taken so much of the stream; u64 total. A sign of life too. */
  TAKEN: 6,
  /** A sending client wants a ticket for a successor of this connection. */
  WANT: 7,
  /** That ticket, or one from a sending server; 43 characters. */
  TICKET: 8,
  /** The stream goes on over the successor; u64 total so far. The sender says nothing more on this connection. */
  NEXT: 9,
} as const

export type FrameType = (typeof FrameType)[keyof typeof FrameType]

export const HEADER_BYTES = 8
/** 256 bits, base64url. */
const TICKET_BYTES = 43

/** The length that each type may have, in bytes: minimum and maximum. */
const LENGTHS: Readonly<Record<number, readonly [number, number]>> = {
  [FrameType.DATA]: [1, 1024 * 1024],
  [FrameType.END]: [8, 8],
  [FrameType.ACK]: [8, 8],
  [FrameType.ERROR]: [2, 64 * 1024],
  [FrameType.ALIVE]: [0, 0],
  [FrameType.TAKEN]: [8, 8],
  [FrameType.WANT]: [0, 0],
  [FrameType.TICKET]: [TICKET_BYTES, TICKET_BYTES],
  [FrameType.NEXT]: [8, 8],
}

export const MAX_DATA_BYTES = 1024 * 1024

export function frameHeader(type: FrameType, length: number): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES)
  header.writeUInt32BE(type, 0)
  header.writeUInt32BE(length, 4)
  return header
}

export function frame(type: FrameType, body: Uint8Array): Buffer {
  return Buffer.concat([frameHeader(type, body.length), body])
}

type CountType = typeof FrameType.END | typeof FrameType.ACK | typeof FrameType.TAKEN | typeof FrameType.NEXT

export function countFrame(type: CountType, total: bigint): Buffer {
  const body = Buffer.allocUnsafe(8)
  body.writeBigUInt64BE(total)
  return frame(type, body)
}

/** What arrives: a piece of a DATA frame, which need not be whole, or another frame with its whole body. */
export type FramePiece =
  | { type: typeof FrameType.DATA; bytes: Buffer }
  | { type: Exclude<FrameType, typeof FrameType.DATA>; bytes: Buffer }

/**
 * Cuts chunks of a data connection into pieces. DATA passes through as slices of what arrived, never copied or gathered; the
 * rest is short and gathered.
 */
export class FrameDecoder {
  readonly #header = Buffer.alloc(HEADER_BYTES)
  #headerBytes = 0
  #type: FrameType | undefined
  #left = 0
  #body: Buffer | undefined

  constructor(readonly peer?: string) {}

  /** How much of a DATA frame is still to come, 0 at a frame's beginning; undefined within a header or another frame. */
  get left(): number | undefined {
    if (this.#type === FrameType.DATA) return this.#left
    return this.#type === undefined && this.#headerBytes === 0 ? 0 : undefined
  }

  /** Begins anew with a frame: somebody else has taken the rest of the one before. */
  begin(): void {
    this.#type = undefined
  }

  /** @throws {TransportError} `PROTOCOL` for an unknown type or a length that it can't have, before anything is allocated */
  *push(chunk: Buffer): Generator<FramePiece, void, undefined> {
    let at = 0
    for (;;) {
      if (this.#type === undefined) {
        at = this.#readHeader(chunk, at)
        if (this.#type === undefined) return
      }
      const take = Math.min(this.#left, chunk.length - at)
      if (take === 0 && this.#left > 0) return
      const bytes = chunk.subarray(at, at + take)
      at += take
      this.#left -= take
      const type: FrameType = this.#type
      if (this.#left === 0) this.#type = undefined
      if (type === FrameType.DATA) yield { type, bytes }
      else {
        this.#body?.set(bytes, this.#body.length - this.#left - take)
        if (this.#left === 0) yield { type, bytes: this.#body ?? bytes }
      }
    }
  }

  #readHeader(chunk: Buffer, start: number): number {
    const take = Math.min(HEADER_BYTES - this.#headerBytes, chunk.length - start)
    chunk.copy(this.#header, this.#headerBytes, start, start + take)
    this.#headerBytes += take
    if (this.#headerBytes < HEADER_BYTES) return start + take
    this.#headerBytes = 0
    const type = this.#header.readUInt32BE(0)
    const length = this.#header.readUInt32BE(4)
    const bounds = LENGTHS[type]
    if (bounds === undefined || length < bounds[0] || length > bounds[1]) {
      const what =
        bounds === undefined ? `of the unknown type ${type}` : `of type ${type} with an impossible length, ${length}`
      throw new TransportError('PROTOCOL', `The peer sent a data frame ${what}`, { peer: this.peer })
    }
    this.#type = type as FrameType
    this.#left = length
    this.#body = type === FrameType.DATA ? undefined : Buffer.allocUnsafe(length)
    return start + take
  }
}
