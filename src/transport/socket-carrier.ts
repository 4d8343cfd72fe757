/** A connection that Node.js's own TLS carries. */
import type { TLSSocket } from 'node:tls'
import type { Carrier, CarrierEvents } from './carrier.js'
import { FrameDecoder, FrameType, frameHeader, HEADER_BYTES } from './frames.js'
import { endWith } from './socket.js'

export class SocketCarrier implements Carrier {
  readonly plane = 'javascript'
  readonly #decoder: FrameDecoder
  #events: CarrierEvents | undefined
  #sent = 0
  #received = 0

  constructor(
    readonly socket: TLSSocket,
    peer: string,
  ) {
    this.#decoder = new FrameDecoder(peer)
  }

  get carried(): number {
    return Math.max(this.#sent, this.#received)
  }

  get waiting(): number {
    return this.socket.writableLength
  }

  listen(events: CarrierEvents): void {
    const { socket } = this
    this.#events = events
    if (socket.destroyed) {
      this.#lost(socket.errored ?? undefined)
      return
    }
    socket.on('error', this.#lost)
    socket.on('end', this.#ended)
    socket.on('close', this.#closed)
    socket.on('data', this.#data)
    socket.resume()
  }

  unlisten(): void {
    this.#events = undefined
    this.socket.off('error', this.#lost)
    this.socket.off('end', this.#ended)
    this.socket.off('close', this.#closed)
    this.socket.off('data', this.#data)
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  write(frame: Buffer, written?: () => void): void {
    this.#sent += frame.length
    this.socket.write(frame, written)
  }

  writeData(part: Uint8Array, written: () => void): void {
    this.#sent += HEADER_BYTES + part.length
    this.socket.cork()
    this.socket.write(frameHeader(FrameType.DATA, part.length))
    this.socket.write(part, written)
    this.socket.uncork()
  }

  finish(last?: Buffer): void {
    endWith(this.socket, last)
  }

  destroy(): void {
    this.socket.destroy()
  }

  onClosed(listener: () => void): void {
    if (this.socket.closed) listener()
    else this.socket.once('close', listener)
  }

  readonly #data = (chunk: Buffer): void => {
    this.#received += chunk.length
    this.#events?.pieces(this, this.#decoder.push(chunk))
  }

  readonly #ended = (): void => this.#events?.ended(this)
  readonly #lost = (error: unknown): void => this.#events?.lost(error)
  readonly #closed = (): void => this.#events?.lost()
}
