/** The receiving half of a data plane. */
import type { Writable } from 'node:stream'
import { AbortError, TransportError } from '../errors.js'
import { isPipedSink, type LentSink, lendSink } from '../lzc/pipes.js'
import type { Carrier } from './carrier.js'
import type { DataLink, TransferOptions } from './data-plane.js'
import { countFrame, type FramePiece, FrameType } from './frames.js'
import { Transfer } from './transfer.js'

/** A sink that holds less is let go on, full or not: pausing and resuming cost more. */
const LOW_WATER = 128 * 1024
/** How often the sender is told, while it grows, what the sink has taken. */
const TAKEN_MILLISECONDS = 250

export class Receiver extends Transfer {
  #ended = false
  /** The sender has left this connection, and its successor is not there yet. */
  #leaving = false
  #full = false
  #told = performance.now()
  /** The sink's pipe, which the carrier has. */
  #lent: LentSink | undefined
  #drained = 0n

  constructor(
    link: DataLink,
    readonly sink: Writable,
    options: TransferOptions,
  ) {
    super(link, options, false)
    sink.on('error', this.#sinkFailed)
    sink.on('close', this.#sinkClosed)
    sink.on('drain', this.#goOn)
    this.begin()
    if (sink.destroyed || !sink.writable) this.#sinkFailed(sink.errored ?? undefined)
  }

  protected alive(): Buffer {
    this.#told = performance.now()
    return countFrame(FrameType.TAKEN, this.total - BigInt(this.sink.writableLength))
  }

  protected take(piece: FramePiece): void {
    if (this.#ended || this.#leaving) {
      this.unexpected(piece)
      return
    }
    switch (piece.type) {
      case FrameType.DATA:
        this.#data(piece.bytes)
        return
      case FrameType.NEXT:
        if (!this.succession.due) this.unexpected(piece)
        else if (this.#agrees(piece)) this.#leave()
        return
      case FrameType.END:
        this.#ended = true
        if (this.#agrees(piece)) void this.#end()
        return
      default:
        this.unexpected(piece)
    }
  }

  protected release(error: unknown): void {
    this.sink.off('close', this.#sinkClosed)
    this.sink.off('drain', this.#goOn)
    if (!this.sink.destroyed) this.sink.destroy(error instanceof Error ? error : undefined)
  }

  protected successorReady(): void {
    if (this.#leaving) this.#leave()
  }

  protected ended(): void {
    // It closes now, and is lost: a sender leaves its connections open.
  }

  #leave(): void {
    this.#leaving = this.succession.carrier === undefined
    if (this.#leaving) return
    this.carrier.unlisten()
    this.carrier.finish()
    this.#lent = undefined
    this.#drained = 0n
    this.moveOn()
    if (this.#full) this.carrier.pause()
  }

  /** Ends the sink, once nobody else writes to its pipe. */
  async #end(): Promise<void> {
    if (this.#lent !== undefined) await this.carrier.pipes?.release()
    if (!this.settled) this.sink.end(this.#finished)
  }

  /** Whether what has arrived is what was sent. */
  #agrees({ bytes }: FramePiece): boolean {
    const sent = bytes.readBigUInt64BE()
    if (sent === this.total) return true
    const { peer } = this.link
    this.fail(new TransportError('PROTOCOL', `${peer} sent ${sent} bytes and ${this.total} arrived`, { peer }), true)
    return false
  }

  #data(bytes: Buffer): void {
    const { carrier } = this
    const lendable = carrier.pipes !== undefined && isPipedSink(this.sink)
    const full = !this.sink.write(bytes, lendable ? () => this.#lend(carrier) : undefined)
    if (lendable) carrier.pause()
    if (full && this.sink.writableLength >= LOW_WATER) {
      this.#full = true
      carrier.pause()
      // What is not read can't prove that the peer lives; the control connection watches meanwhile.
      this.silence.pause()
    }
    this.count(bytes.length)
    this.#tellTaken()
  }

  /** Has the carrier write to the sink's pipe itself, once all that came before is in it. */
  #lend(carrier: Carrier): void {
    const { sink } = this
    if (this.settled || carrier !== this.carrier || sink.writableLength > 0 || !isPipedSink(sink)) return
    const lent = this.#ended || this.#leaving ? undefined : sink[lendSink]()
    if (lent !== undefined && carrier.pipes?.drain(lent.pipe)) this.#lent = lent
    if (!this.#full) carrier.resume()
  }

  protected moved(_: Carrier, drained: bigint): void {
    const bytes = drained - this.#drained
    this.#drained = drained
    this.heard()
    this.#lent?.moved(bytes)
    this.count(Number(bytes))
    this.#tellTaken()
  }

  protected full(full: boolean): void {
    // What is not read can't prove that the peer lives; the control connection watches meanwhile.
    if (full) this.silence.pause()
    else this.silence.heard()
  }

  #tellTaken(): void {
    if (!this.settled && performance.now() - this.#told >= TAKEN_MILLISECONDS) this.speak()
  }

  readonly #goOn = (): void => {
    if (this.settled || !this.#full) return
    this.#full = false
    this.carrier.resume()
    this.silence.heard()
    this.#tellTaken()
  }

  readonly #finished = (error?: Error | null): void => {
    if (this.settled) return
    if (error) {
      // A sink that had failed already can't be ended; what it failed with counts.
      this.#sinkFailed(this.sink.errored ?? error)
      return
    }
    this.sink.off('close', this.#sinkClosed)
    this.carrier.write(countFrame(FrameType.ACK, this.total), () => this.succeed())
  }

  readonly #sinkFailed = (error: unknown): void => {
    this.fail(error ?? new AbortError('The sink of the transfer was closed before its end'), true)
  }

  readonly #sinkClosed = (): void => {
    if (!this.sink.writableFinished) this.#sinkFailed(this.sink.errored ?? undefined)
  }
}
