/** The sending half of a data plane. */
import type { Readable } from 'node:stream'
import { AbortError, ArgumentError, TransportError } from '../errors.js'
import { isPipedSource, type LentSource, lendSource, type PipedSource } from '../lzc/pipes.js'
import type { Carrier } from './carrier.js'
import type { DataLink, TransferOptions } from './data-plane.js'
import { countFrame, type FramePiece, FrameType, frameHeader, HEADER_BYTES, MAX_DATA_BYTES } from './frames.js'
import type { Share } from './rate-limiter.js'
import { lateSuccessor } from './succession.js'
import { Transfer } from './transfer.js'

/** Bytes that may wait in a stream before its source is paused: enough to keep it busy, small beside the memory budget. */
const HIGH_WATER = 512 * 1024
const LOW_WATER = 128 * 1024
/** Of what a key may carry: kept for what is said besides the stream, of which an ERROR is the longest. */
const KEY_RESERVE_BYTES = 72 * 1024
/** The part of what a key may carry at which a successor is asked for. The rest is for the time until it is there. */
const KEY_USED = 0.75

const ALIVE = frameHeader(FrameType.ALIVE, 0)

export class Sender extends Transfer {
  /** What the source gave and may not leave yet: at most one chunk, unless the source goes on while it is paused. */
  readonly #queue: Uint8Array[] = []
  readonly #share: Share | undefined
  #sourceEnded = false
  #ended = false
  #taken = 0n
  #stuck = false
  #late: NodeJS.Timeout | undefined
  /** What the carrier is to be given, or has: the source's pipe. */
  #lent: LentSource | undefined
  #fed = false
  /** Of the stream, what did not come from the pipe. */
  #read = 0n

  constructor(
    link: DataLink,
    readonly source: Readable,
    options: TransferOptions,
  ) {
    super(link, options, true)
    this.#share = options.limiter?.join(() => this.#pump())
    source.on('end', this.#end)
    source.on('error', this.#sourceFailed)
    source.on('close', this.#sourceClosed)
    if (this.carrier.pipes !== undefined && isPipedSource(source)) void this.#borrow(source)
    else source.on('data', this.#data)
    this.begin()
    if (source.destroyed && !source.readableEnded) this.#sourceFailed(source.errored ?? undefined)
  }

  protected alive(): Buffer {
    return ALIVE
  }

  protected take(piece: FramePiece): void {
    if (piece.type === FrameType.TAKEN) this.#takenByPeer(piece.bytes.readBigUInt64BE())
    else if (piece.type === FrameType.ACK && this.#ended) this.#confirmed(piece.bytes.readBigUInt64BE())
    else this.unexpected(piece)
  }

  protected release(error: unknown): void {
    this.#share?.leave()
    clearTimeout(this.#late)
    this.source.off('data', this.#data)
    this.source.off('end', this.#end)
    this.source.off('close', this.#sourceClosed)
    if (!this.source.destroyed) this.source.destroy(error instanceof Error ? error : undefined)
  }

  protected successorReady(): void {
    if (this.#ended) return
    this.#stuck = false
    clearTimeout(this.#late)
    this.#late = undefined
    this.carrier.write(countFrame(FrameType.NEXT, this.total))
    this.previous = this.carrier
    this.moveOn()
    this.#pump()
  }

  /** Only a sink is ever full. */
  protected full(): void {
    this.heard()
  }

  /** The receiver has read the connection before this one to its end. */
  protected ended(carrier: Carrier): void {
    if (carrier !== this.previous) return
    carrier.unlisten()
    this.previous = undefined
    this.#pump()
  }

  #takenByPeer(taken: bigint): void {
    const { peer } = this.link
    if (taken > this.total) {
      this.fail(new TransportError('PROTOCOL', `${peer} took ${taken} of ${this.total} bytes`, { peer }), true)
      return
    }
    // The words of two connections can cross.
    if (taken <= this.#taken) return
    this.#taken = taken
    this.tell(this.options.onTaken, taken)
    this.#watchSuccessor()
  }

  #confirmed(total: bigint): void {
    if (total !== this.total) {
      const { peer } = this.link
      this.fail(new TransportError('PROTOCOL', `${peer} confirmed ${total} of ${this.total} bytes`, { peer }), true)
      return
    }
    this.#takenByPeer(total)
    this.succeed()
  }

  get #waiting(): number {
    return this.carrier.waiting + (this.previous?.waiting ?? 0)
  }

  /** Sends what may leave, and has the source go on or wait. */
  readonly #pump = (): void => {
    if (this.settled || this.#ended) return
    while (this.#waiting <= HIGH_WATER && this.#sendPart());
    if (this.settled) return
    const waiting = this.#waiting
    if (this.#queue.length > 0 || waiting > HIGH_WATER) this.source.pause()
    else if (this.#sourceEnded) this.#sayEnd()
    else if (this.#lent !== undefined) this.#feed(this.#lent)
    else if (waiting <= LOW_WATER && this.source.isPaused()) this.source.resume()
  }

  /** Has the carrier read the source's pipe itself, after what was read from it before. */
  async #borrow(source: PipedSource): Promise<void> {
    const lent = await source[lendSource]()
    if (this.settled) return
    if (lent === undefined) {
      source.on('data', this.#data)
      return
    }
    this.#lent = lent
    this.#queue.push(...lent.read)
    this.#pump()
  }

  #feed({ pipe, ended }: LentSource): void {
    const { pipes } = this.carrier
    if (this.#fed || pipes === undefined) return
    this.#fed = true
    this.#read = this.total
    const fed = pipes.feed(pipe, this.#share?.native ?? null, {
      ended: (bytes) => void ended(bytes).catch(this.#sourceFailed),
    })
    if (!fed) this.#sourceFailed(this.source.errored ?? undefined)
  }

  protected moved(_: Carrier, fed: bigint): void {
    this.count(Number(this.#read + fed - this.total))
  }

  /** Sends a part of the first chunk. Returns false if there is none, or it has to wait. */
  #sendPart(): boolean {
    const chunk = this.#queue[0]
    if (chunk === undefined || this.settled) return false
    const { keyBytes } = this.link
    const room = keyBytes - KEY_RESERVE_BYTES - HEADER_BYTES - this.carrier.carried
    const most = Math.min(chunk.length, MAX_DATA_BYTES, room)
    if (most <= 0) {
      this.#waitForSuccessor()
      return false
    }
    const length = this.#share === undefined ? most : this.#share.take(most)
    if (length === 0) return false
    if (length === chunk.length) this.#queue.shift()
    else this.#queue[0] = chunk.subarray(length)
    this.carrier.writeData(length === chunk.length ? chunk : chunk.subarray(0, length), this.#pump)
    if (this.carrier.carried >= keyBytes * KEY_USED) this.#wantSuccessor()
    this.count(length)
    return true
  }

  #wantSuccessor(): void {
    // Two connections at once are enough: what waits in them is bounded.
    if (this.previous === undefined) this.succession.want()
  }

  #waitForSuccessor(): void {
    this.#stuck = true
    this.#wantSuccessor()
    this.#watchSuccessor()
  }

  /** A receiver whose sink is slow reads slowly what is asked of it. One that has taken everything has no such excuse. */
  #watchSuccessor(): void {
    if (!this.#stuck || this.settled || this.#taken !== this.total) return
    const { peer, readyMilliseconds } = this.link
    this.#late ??= setTimeout(() => this.fail(lateSuccessor(peer, readyMilliseconds), true), readyMilliseconds)
  }

  #sayEnd(): void {
    this.#ended = true
    this.#share?.leave()
    this.carrier.write(countFrame(FrameType.END, this.total))
  }

  readonly #data = (chunk: unknown): void => {
    if (this.settled) return
    if (!(chunk instanceof Uint8Array)) {
      this.fail(new ArgumentError('The source of a transfer must yield bytes, not strings or objects'), true)
      return
    }
    if (chunk.length === 0) return
    this.#queue.push(chunk)
    this.#pump()
  }

  readonly #end = (): void => {
    this.#sourceEnded = true
    this.#pump()
  }

  readonly #sourceFailed = (error: unknown): void => {
    this.fail(error ?? new AbortError('The source of the transfer was closed before its end'), true)
  }

  readonly #sourceClosed = (): void => {
    if (!this.#sourceEnded) this.#sourceFailed(this.source.errored ?? undefined)
  }
}
