/** What sending and receiving have in common. */
import { abortReason, TransportError } from '../errors.js'
import type { Carrier, CarrierEvents } from './carrier.js'
import type { DataLink, TransferOptions } from './data-plane.js'
import { type FramePiece, FrameType, frame } from './frames.js'
import { decodeMessage } from './messages.js'
import { Silence } from './silence.js'
import { Succession } from './succession.js'
import { lostError } from './tls.js'
import { fromWire, toWire, wireErrorSchema } from './wire-error.js'

/** A link in use, the connections that its stream goes over, its end, and how that is told to the peer. */
export abstract class Transfer {
  readonly promise: Promise<bigint>
  protected total = 0n
  protected settled = false
  protected readonly silence: Silence
  protected readonly succession: Succession
  /** The connection that the stream is at. */
  protected carrier: Carrier
  /** Of a sender: the connection before it, until the receiver has read that to its end. */
  protected previous: Carrier | undefined
  readonly #events: CarrierEvents = {
    pieces: (carrier, pieces) => this.#read(carrier, pieces),
    ended: (carrier) => this.ended(carrier),
    lost: (error) => this.#lost(error),
    moved: (carrier, total) => this.moved(carrier, total),
    full: (_, full) => this.full(full),
  }
  #resolve: (total: bigint) => void = () => undefined
  #reject: (error: unknown) => void = () => undefined

  constructor(
    protected readonly link: DataLink,
    protected readonly options: TransferOptions,
    sending: boolean,
  ) {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.carrier = link.carrier
    this.succession = new Succession(link.successors, sending, {
      say: (words) => this.carrier.write(words),
      ready: () => this.successorReady(),
      failed: (error) => this.fail(error, true),
    })
    // The other end may not have begun; once it has, it speaks every interval.
    const first = Math.max(link.readyMilliseconds, link.heartbeat.timeoutMilliseconds)
    this.silence = new Silence(link.heartbeat, first, this.speak, this.#silent)
    options.signal?.addEventListener('abort', this.#aborted)
  }

  /** Takes what the peer sent. */
  protected abstract take(piece: FramePiece): void
  /** Ends the local stream with this error. */
  protected abstract release(error: unknown): void
  /** The sign of life. */
  protected abstract alive(): Buffer
  protected abstract successorReady(): void
  /** So many bytes of the stream went from or to a pipe that the carrier was given. */
  protected abstract moved(carrier: Carrier, total: bigint): void
  /** A pipe that the carrier was given takes nothing for now, or does again. */
  protected abstract full(full: boolean): void

  /** To be called once the transfer can take what arrives. */
  protected begin(): void {
    if (this.options.signal?.aborted) {
      this.#aborted()
      return
    }
    this.carrier.listen(this.#events)
    if (!this.settled) this.speak()
  }

  /** Goes on over the successor, which must be there. Disposing of the connection that is left is the caller's. */
  protected moveOn(): void {
    this.carrier = this.succession.handOver()
    this.carrier.listen(this.#events)
  }

  /** Gives a sign of life, unless bytes wait to be sent: they are one. */
  protected readonly speak = (): void => {
    if (this.carrier.waiting === 0) this.carrier.write(this.alive())
  }

  protected count(bytes: number): void {
    this.total += BigInt(bytes)
    this.tell(this.options.onBytes, this.total)
  }

  /** Calls the caller's function, whose fault ends the transfer. */
  protected tell(listener: ((total: bigint) => void) | undefined, total: bigint): void {
    try {
      listener?.(total)
    } catch (error) {
      this.fail(error, true)
    }
  }

  protected succeed(): void {
    if (!this.#settle()) return
    this.#resolve(this.total)
    this.carrier.finish()
    this.succession.carrier?.destroy()
  }

  /** Ends the transfer: the local stream, the promise, and the peer, which is told unless it is what failed. */
  protected fail(error: unknown, tellPeer: boolean): void {
    if (!this.#settle()) return
    const { sending, carrier: successor } = this.succession
    if (tellPeer) {
      const last = frame(FrameType.ERROR, Buffer.from(JSON.stringify(toWire(error, this.link.logger))))
      this.carrier.finish(last)
      // The sender may have moved there already; the receiver never has.
      if (successor && !sending) successor.finish(last)
      else successor?.destroy()
    } else {
      for (const carrier of [this.carrier, this.previous, successor]) carrier?.destroy()
    }
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

  /** The peer says no more on this connection. It is lost when it closes, unless it was left. */
  protected abstract ended(carrier: Carrier): void

  #lost(error?: unknown): void {
    this.fail(lostError(error instanceof Error ? error : undefined, this.link.peer, 'The data connection'), false)
  }

  #settle(): boolean {
    if (this.settled) return false
    this.settled = true
    this.silence.stop()
    this.succession.stop()
    this.carrier.unlisten()
    this.previous?.unlisten()
    // What it still has to deliver precedes what is said on its successor.
    this.previous?.finish()
    this.options.signal?.removeEventListener('abort', this.#aborted)
    return true
  }

  #read(carrier: Carrier, pieces: Iterable<FramePiece>): void {
    this.heard()
    try {
      for (const piece of pieces) {
        if (this.settled) return
        // A receiver that has moved on was promised that nothing more comes.
        if (carrier !== this.carrier && carrier !== this.previous) this.unexpected(piece)
        else this.#handle(piece)
      }
    } catch (error) {
      this.fail(error, true)
    }
  }

  protected heard(): void {
    this.link.heard()
    this.silence.heard()
  }

  #handle(piece: FramePiece): void {
    const { peer } = this.link
    switch (piece.type) {
      case FrameType.ERROR:
        this.fail(fromWire(decodeMessage(piece.bytes, wireErrorSchema, peer), peer), false)
        return
      case FrameType.ALIVE:
        return
      case FrameType.WANT:
      case FrameType.TICKET:
        if (!this.succession.take(piece)) this.unexpected(piece)
        return
      default:
        this.take(piece)
    }
  }

  readonly #silent = (milliseconds: number): void => {
    const { peer } = this.link
    const message = `The data connection with ${peer} was silent for ${milliseconds / 1000} s`
    this.fail(new TransportError('PEER_LOST', message, { peer }), false)
  }

  readonly #aborted = (): void => {
    if (this.options.signal) this.fail(abortReason(this.options.signal, 'The transfer'), true)
  }
}
