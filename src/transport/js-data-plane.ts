/** The data plane in JavaScript: Node's own TLS sockets and streams. */
import type { Readable, Writable } from 'node:stream'
import { ArgumentError, abortReason, TransportError } from '../errors.js'
import type { DataLink, DataPlane, TransferOptions } from './data-plane.js'
import { countFrame, FrameDecoder, type FramePiece, FrameType, frame, frameHeader, MAX_DATA_BYTES } from './frames.js'
import { decodeMessage } from './messages.js'
import { Silence } from './silence.js'
import { endWith } from './socket.js'
import { lostError } from './tls.js'
import { fromWire, toWire, wireErrorSchema } from './wire-error.js'

/** Bytes that may wait in a stream before its source is paused: enough to keep it busy, small beside the memory budget. */
const HIGH_WATER = 512 * 1024
const LOW_WATER = 128 * 1024
/**
 * One key may carry 2^24.5 records, about 389 GB, before AES-GCM's margin is used up (RFC 8446, section 5.5), and neither Node.js
 * nor OpenSSL counts. Far below it, whoever drives transfers should open a new connection.
 */
export const KEY_BYTES = 64n * 1024n ** 3n

const ALIVE = frameHeader(FrameType.ALIVE, 0)
const NO_BYTES = Buffer.alloc(0)

/** What sending and receiving have in common: a link in use, its end, and how it is told to the peer. */
abstract class Transfer {
  readonly promise: Promise<bigint>
  protected total = 0n
  protected settled = false
  protected readonly silence: Silence
  readonly #decoder: FrameDecoder
  #resolve: (total: bigint) => void = () => undefined
  #reject: (error: unknown) => void = () => undefined
  #warned = false

  constructor(
    protected readonly link: DataLink,
    protected readonly options: TransferOptions,
  ) {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    const { socket, peer, heartbeat } = link
    this.#decoder = new FrameDecoder(peer)
    // The other end may not have begun; once it has, it speaks every interval.
    this.silence = new Silence(heartbeat, this.#alive, this.#silent, false)
    socket.on('error', this.#lost)
    socket.on('close', this.#lost)
    options.signal?.addEventListener('abort', this.#aborted)
  }

  /** Takes what the peer sent. */
  protected abstract take(piece: FramePiece): void
  /** Ends the local stream with this error. */
  protected abstract release(error: unknown): void

  /** To be called once the transfer can take what arrives. */
  protected begin(): void {
    const { socket } = this.link
    if (this.options.signal?.aborted) {
      this.#aborted()
      return
    }
    if (socket.destroyed) {
      this.#lost(socket.errored ?? undefined)
      return
    }
    this.#alive()
    socket.on('data', this.#read)
    socket.resume()
  }

  protected count(bytes: number): void {
    this.total += BigInt(bytes)
    if (!this.#warned && this.total > KEY_BYTES) {
      this.#warned = true
      this.link.logger.warn({ peer: this.link.peer }, 'more than 64 GiB went over one TLS key')
    }
    try {
      this.options.onBytes?.(this.total)
    } catch (error) {
      this.fail(error, true)
    }
  }

  protected succeed(): void {
    if (!this.#settle()) return
    this.#resolve(this.total)
  }

  /** Ends the transfer: the local stream, the promise, and the peer, which is told unless it is what failed. */
  protected fail(error: unknown, tellPeer: boolean): void {
    if (!this.#settle()) return
    const { socket, logger } = this.link
    if (tellPeer) endWith(socket, frame(FrameType.ERROR, Buffer.from(JSON.stringify(toWire(error, logger)))))
    else socket.destroy()
    this.#reject(error)
    this.release(error)
  }

  protected unexpected(piece: FramePiece): void {
    this.fail(
      new TransportError('PROTOCOL', `The peer sent a frame of type ${piece.type} out of turn`, {
        peer: this.link.peer,
      }),
      true,
    )
  }

  #settle(): boolean {
    if (this.settled) return false
    this.settled = true
    this.silence.stop()
    const { socket } = this.link
    socket.off('error', this.#lost)
    socket.off('close', this.#lost)
    socket.off('data', this.#read)
    this.options.signal?.removeEventListener('abort', this.#aborted)
    return true
  }

  readonly #read = (chunk: Buffer): void => {
    this.link.heard()
    this.silence.heard()
    try {
      for (const piece of this.#decoder.push(chunk)) {
        if (this.settled) return
        if (piece.type === FrameType.ERROR) {
          const error = fromWire(decodeMessage(piece.bytes, wireErrorSchema, this.link.peer), this.link.peer)
          this.fail(error, false)
          return
        }
        if (piece.type !== FrameType.ALIVE) this.take(piece)
      }
    } catch (error) {
      this.fail(error, true)
    }
  }

  readonly #alive = (): void => {
    // With bytes waiting, they are the sign of life.
    if (this.link.socket.writableLength === 0) this.link.socket.write(ALIVE)
  }

  readonly #silent = (): void => {
    const { peer, heartbeat } = this.link
    const seconds = heartbeat.timeoutMilliseconds / 1000
    this.fail(
      new TransportError('PEER_LOST', `The data connection with ${peer} was silent for ${seconds} s`, { peer }),
      false,
    )
  }

  readonly #lost = (error?: unknown): void => {
    this.fail(lostError(error instanceof Error ? error : undefined, this.link.peer, 'The data connection'), false)
  }

  readonly #aborted = (): void => {
    if (this.options.signal) this.fail(abortReason(this.options.signal, 'The transfer'), true)
  }
}

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
