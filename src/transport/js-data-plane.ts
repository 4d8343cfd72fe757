/** The data plane in JavaScript: Node's own TLS sockets and streams. */
import type { Readable, Writable } from 'node:stream'
import { ArgumentError, TransportError } from '../errors.js'
import type { DataLink, DataPlane, TransferOptions } from './data-plane.js'
import { countFrame, type FramePiece, FrameType, frameHeader, MAX_DATA_BYTES } from './frames.js'
import { endWith } from './socket.js'
import { Transfer } from './transfer.js'

/** Bytes that may wait in a stream before its source is paused: enough to keep it busy, small beside the memory budget. */
const HIGH_WATER = 512 * 1024
const LOW_WATER = 128 * 1024
const NO_BYTES = Buffer.alloc(0)

class Sender extends Transfer {
  #ended = false

  constructor(
    link: DataLink,
    readonly source: Readable,
    options: TransferOptions,
  ) {
    super(link, options)
    source.on('data', this.#data)
    source.on('end', this.#end)
    source.on('error', this.#sourceFailed)
    source.on('close', this.#sourceClosed)
    this.begin()
    if (source.destroyed && !source.readableEnded) this.#sourceFailed(source.errored ?? undefined)
  }

  protected take(piece: FramePiece): void {
    if (piece.type !== FrameType.ACK || !this.#ended) {
      this.unexpected(piece)
      return
    }
    const confirmed = piece.bytes.readBigUInt64BE()
    if (confirmed !== this.total) {
      const { peer } = this.link
      this.fail(new TransportError('PROTOCOL', `${peer} confirmed ${confirmed} of ${this.total} bytes`, { peer }), true)
      return
    }
    this.succeed()
    endWith(this.link.socket)
  }

  protected release(error: unknown): void {
    this.source.off('data', this.#data)
    this.source.off('end', this.#end)
    this.source.off('close', this.#sourceClosed)
    if (!this.source.destroyed) this.source.destroy(error instanceof Error ? error : undefined)
  }

  readonly #data = (chunk: unknown): void => {
    if (this.settled) return
    if (!(chunk instanceof Uint8Array)) {
      this.fail(new ArgumentError('The source of a transfer must yield bytes, not strings or objects'), true)
      return
    }
    const { socket } = this.link
    for (let at = 0; at < chunk.length; at += MAX_DATA_BYTES) {
      const part = chunk.length <= MAX_DATA_BYTES ? chunk : chunk.subarray(at, at + MAX_DATA_BYTES)
      socket.cork()
      socket.write(frameHeader(FrameType.DATA, part.length))
      socket.write(part, this.#written)
      socket.uncork()
    }
    if (socket.writableLength > HIGH_WATER) this.source.pause()
    this.count(chunk.length)
  }

  readonly #written = (): void => {
    if (!this.settled && this.source.isPaused() && this.link.socket.writableLength <= LOW_WATER) this.source.resume()
  }

  readonly #end = (): void => {
    if (this.settled) return
    this.#ended = true
    this.link.socket.write(countFrame(FrameType.END, this.total))
  }

  readonly #sourceFailed = (error: unknown): void => {
    this.fail(error ?? new ArgumentError('The source of the transfer was closed before its end'), true)
  }

  readonly #sourceClosed = (): void => {
    if (!this.#ended) this.#sourceFailed(this.source.errored ?? undefined)
  }
}

class Receiver extends Transfer {
  #ended = false

  constructor(
    link: DataLink,
    readonly sink: Writable,
    options: TransferOptions,
  ) {
    super(link, options)
    sink.on('error', this.#sinkFailed)
    sink.on('close', this.#sinkClosed)
    sink.on('drain', this.#drained)
    this.begin()
    if (sink.destroyed || !sink.writable) this.#sinkFailed(sink.errored ?? undefined)
  }

  protected take(piece: FramePiece): void {
    if (this.#ended) {
      this.unexpected(piece)
      return
    }
    if (piece.type === FrameType.DATA) {
      this.#data(piece.bytes)
      return
    }
    if (piece.type !== FrameType.END) {
      this.unexpected(piece)
      return
    }
    this.#ended = true
    const sent = piece.bytes.readBigUInt64BE()
    if (sent === this.total) return void this.sink.end(this.#finished)
    const { peer } = this.link
    this.fail(new TransportError('PROTOCOL', `${peer} sent ${sent} bytes and ${this.total} arrived`, { peer }), true)
  }

  protected release(error: unknown): void {
    this.sink.off('close', this.#sinkClosed)
    this.sink.off('drain', this.#drained)
    if (!this.sink.destroyed) this.sink.destroy(error instanceof Error ? error : undefined)
  }

  #data(bytes: Buffer): void {
    const full = !this.sink.write(bytes)
    if (full && this.sink.writableLength >= LOW_WATER) {
      this.link.socket.pause()
      // What is not read can't prove that the peer lives; the control connection watches meanwhile.
      this.silence.pause()
    }
    this.count(bytes.length)
  }

  readonly #drained = (): void => {
    if (this.settled || !this.link.socket.isPaused()) return
    this.link.socket.resume()
    this.silence.heard()
  }

  readonly #finished = (error?: Error | null): void => {
    if (this.settled) return
    if (error) {
      this.#sinkFailed(error)
      return
    }
    this.sink.off('close', this.#sinkClosed)
    this.link.socket.write(countFrame(FrameType.ACK, this.total), () => {
      this.succeed()
      endWith(this.link.socket, NO_BYTES)
    })
  }

  readonly #sinkFailed = (error: unknown): void => {
    this.fail(error ?? new ArgumentError('The sink of the transfer was closed before its end'), true)
  }

  readonly #sinkClosed = (): void => {
    if (!this.sink.writableFinished) this.#sinkFailed(this.sink.errored ?? undefined)
  }
}

export const jsDataPlane: DataPlane = {
  name: 'javascript',
  send: (link, source, options) => new Sender(link, source, options).promise,
  receive: (link, sink, options) => new Receiver(link, sink, options).promise,
}
