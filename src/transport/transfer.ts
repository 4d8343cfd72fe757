/** What sending and receiving have in common in the JavaScript data plane. */
import { abortReason, TransportError } from '../errors.js'
import type { DataLink, TransferOptions } from './data-plane.js'
import { FrameDecoder, type FramePiece, FrameType, frame, frameHeader } from './frames.js'
import { decodeMessage } from './messages.js'
import { Silence } from './silence.js'
import { endWith } from './socket.js'
import { lostError } from './tls.js'
import { fromWire, toWire, wireErrorSchema } from './wire-error.js'

/**
 * One key may carry 2^24.5 records, about 389 GB, before AES-GCM's margin is used up (RFC 8446, section 5.5), and neither Node.js
 * nor OpenSSL counts. Far below it, whoever drives transfers should open a new connection.
 */
export const KEY_BYTES = 64n * 1024n ** 3n

const ALIVE = frameHeader(FrameType.ALIVE, 0)
/** A link in use, its end, and how it is told to the peer. */
export abstract class Transfer {
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
