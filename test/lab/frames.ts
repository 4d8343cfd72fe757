// The framed protocol between the harness and the agent in a guest: see guest/protocol.h, whose numbers these are.
import { FlockerError } from '../../src/errors.js'

export const PROTOCOL_VERSION = 2
export const WINDOW = 512 * 1024
/** Bytes under way to the guest, of all that is sent. See guest/protocol.h for why. */
export const LINE_WINDOW = 2048
const HEADER_BYTES = 9
const MAX_FRAME_BYTES = 256 * 1024

export const FrameType = {
  SETUP: 1,
  SPAWN: 2,
  STDIN: 3,
  STDIN_END: 4,
  KILL: 5,
  ACK_STDOUT: 6,
  ACK_STDERR: 7,
  RESIZE: 8,
  HELLO: 64,
  READY: 65,
  FAILED: 66,
  STARTED: 67,
  REFUSED: 68,
  STDOUT: 69,
  STDERR: 70,
  STDOUT_END: 71,
  STDERR_END: 72,
  EXIT: 73,
  CREDIT: 74,
  LINE_ACK: 75,
} as const

export interface Frame {
  type: number
  /** The harness's number for a command; 0 for the host itself. */
  id: number
  payload: Buffer
}

export function encodeFrame(type: number, id: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length)
  frame.writeUInt32LE(HEADER_BYTES - 4 + payload.length, 0)
  frame.writeUInt8(type, 4)
  frame.writeUInt32LE(id, 5)
  frame.set(payload, HEADER_BYTES)
  return frame
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

export function encodeSize(rows: number, columns: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt16LE(rows, 0)
  bytes.writeUInt16LE(columns, 2)
  return bytes
}

/** NUL-terminated strings, one after the other. */
export function encodeStrings(strings: readonly string[]): Buffer {
  return Buffer.from(strings.map((text) => `${text}\0`).join(''))
}

export interface SpawnRequest {
  argv: readonly string[]
  env: Record<string, string>
  cwd: string
  /** Standard input: empty for STDIN frames, an absolute path in the guest, or a name in the inbox. */
  input: string
  user: number
  terminal: { rows: number; columns: number } | undefined
}

const SPAWN_PTY = 1

export function encodeSpawn(request: SpawnRequest): Buffer {
  const env = Object.entries(request.env).map(([name, value]) => `${name}=${value}`)
  const head = Buffer.alloc(13)
  head.writeUInt8(request.terminal === undefined ? 0 : SPAWN_PTY, 0)
  head.writeUInt32LE(request.user, 1)
  head.writeUInt16LE(request.terminal?.rows ?? 0, 5)
  head.writeUInt16LE(request.terminal?.columns ?? 0, 7)
  head.writeUInt16LE(request.argv.length, 9)
  head.writeUInt16LE(env.length, 11)
  return Buffer.concat([head, encodeStrings([request.cwd, request.input, ...request.argv, ...env])])
}

/** Cuts a byte stream into frames. */
export class FrameReader {
  #pending: Buffer = Buffer.alloc(0)

  /** The frames that are complete with these bytes. */
  push(bytes: Buffer): Frame[] {
    const frames: Frame[] = []
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes])
    while (this.#pending.length >= HEADER_BYTES) {
      const size = this.#pending.readUInt32LE(0)
      if (size < HEADER_BYTES - 4 || size > MAX_FRAME_BYTES) {
        throw new FlockerError('PROTOCOL', `the guest sent a frame of impossible length: ${size}`)
      }
      if (this.#pending.length < size + 4) break
      const frame = this.#pending.subarray(0, size + 4)
      this.#pending = this.#pending.subarray(size + 4)
      frames.push({ type: frame.readUInt8(4), id: frame.readUInt32LE(5), payload: frame.subarray(HEADER_BYTES) })
    }
    return frames
  }
}
