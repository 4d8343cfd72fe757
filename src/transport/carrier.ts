/** One connection of a stream: its frames, and how much its keys have carried. */
import type { TLSSocket } from 'node:tls'
import { FrameDecoder, type FramePiece, FrameType, frameHeader, HEADER_BYTES } from './frames.js'

export interface CarrierEvents {
  data(carrier: Carrier, pieces: Iterable<FramePiece>): void
  /** The peer says nothing more on it. */
  ended(carrier: Carrier): void
  /** The connection has failed or, without an error, closed. */
  lost(error?: unknown): void
}

export class Carrier {
  readonly #decoder: FrameDecoder
  readonly #events: CarrierEvents
  #sent = 0
  #received = 0

  constructor(
    readonly socket: TLSSocket,
    peer: string,
    events: CarrierEvents,
  ) {
    this.#decoder = new FrameDecoder(peer)
    this.#events = events
  }

  /** Bytes that went over the more used of its two keys. TLS adds about 0.2 % to them. */
  get carried(): number {
    return Math.max(this.#sent, this.#received)
  }

  /** Bytes that wait to be sent. */
  get waiting(): number {
    return this.socket.writableLength
  }

  listen(): void {
    this.socket.on('error', this.#lost)
    this.socket.on('end', this.#ended)
    this.socket.on('close', this.#closed)
    this.socket.on('data', this.#data)
  }

  unlisten(): void {
    this.socket.off('error', this.#lost)
    this.socket.off('end', this.#ended)
    this.socket.off('close', this.#closed)
    this.socket.off('data', this.#data)
  }

  /** Sends a whole frame. */
  write(frame: Buffer, written?: () => void): void {
    this.#sent += frame.length
    this.socket.write(frame, written)
  }

  /** Sends a part of the stream, without copying it. */
  writeData(part: Uint8Array, written: () => void): void {
    this.#sent += HEADER_BYTES + part.length
    this.socket.cork()
    this.socket.write(frameHeader(FrameType.DATA, part.length))
    this.socket.write(part, written)
    this.socket.uncork()
  }

  readonly #data = (chunk: Buffer): void => {
    this.#received += chunk.length
    this.#events.data(this, this.#decoder.push(chunk))
  }

  readonly #ended = (): void => this.#events.ended(this)
  readonly #lost = (error: unknown): void => this.#events.lost(error)
  readonly #closed = (): void => this.#events.lost()
}
