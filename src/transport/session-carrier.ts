/** A connection that the addon carries, on a thread of its own: native/data_mover.h. */
import { getSystemErrorName } from 'node:util'
import type { DataSession, Transfer as Pipe, RateShare, SessionAddon, SessionNews } from '../lzc/native.js'
import type { Carrier, CarrierEvents, FeedEvents, PipeCarrier } from './carrier.js'
import { FrameDecoder, FrameType, frameHeader } from './frames.js'
import { LINGER_MILLISECONDS } from './settings.js'

export class SessionCarrier implements Carrier, PipeCarrier {
  readonly plane = 'native'
  /** Its keys change by themselves. */
  readonly carried = 0
  readonly #decoder: FrameDecoder
  readonly #closedListeners: (() => void)[] = []
  #events: CarrierEvents | undefined
  #feed: FeedEvents | undefined
  #waiting = 0
  #moved = 0n
  #sourceEnded = false
  #full = false
  #paused = true
  /** What is asked for now may bring bytes. */
  #wanted = false
  #closed = false
  #failure: Error | undefined

  constructor(
    readonly native: SessionAddon,
    readonly session: DataSession,
    peer: string,
  ) {
    this.#decoder = new FrameDecoder(peer)
    void this.#listenOn()
  }

  get waiting(): number {
    return this.#waiting
  }

  get pipes(): PipeCarrier {
    return this
  }

  listen(events: CarrierEvents): void {
    this.#events = events
    if (this.#closed) events.lost(this.#failure)
    else this.resume()
  }

  unlisten(): void {
    this.#events = undefined
    this.#feed = undefined
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    if (this.#wanted || this.#closed) return
    this.#wanted = true
    this.native.sessionWant(this.session)
  }

  write(frame: Buffer, written?: () => void): void {
    this.#say([frame], written)
  }

  writeData(part: Uint8Array, written: () => void): void {
    const bytes = Buffer.from(part.buffer, part.byteOffset, part.byteLength)
    this.#say([frameHeader(FrameType.DATA, part.length), bytes], written)
  }

  finish(last?: Buffer): void {
    this.native.sessionFinish(this.session, last ?? null, LINGER_MILLISECONDS)
  }

  destroy(): void {
    this.native.sessionDestroy(this.session)
  }

  onClosed(listener: () => void): void {
    if (this.#closed) listener()
    else this.#closedListeners.push(listener)
  }

  feed(pipe: Pipe, share: RateShare | null, events: FeedEvents): boolean {
    this.#feed = events
    return this.native.sessionFeed(this.session, pipe, share)
  }

  drain(pipe: Pipe): boolean {
    const left = this.#decoder.left
    // Within a header nobody knows what follows; soon it is complete. What was asked for may be on its way.
    if (left === undefined || this.#wanted || !this.native.sessionDrain(this.session, pipe, left)) return false
    this.#decoder.begin()
    return true
  }

  release(): Promise<void> {
    return this.native.sessionRelease(this.session)
  }

  #say(buffers: Buffer[], written?: () => void): void {
    const bytes = buffers.reduce((sum, { length }) => sum + length, 0)
    this.#waiting += bytes
    void this.native.sessionSay(this.session, buffers).then(() => {
      this.#waiting -= bytes
      written?.()
    })
  }

  /** Asks for news, to the end. */
  async #listenOn(): Promise<void> {
    while (!this.#closed) {
      this.#wanted = !this.#paused
      this.#tell(await this.native.sessionNews(this.session, this.#wanted))
    }
  }

  #tell(news: SessionNews): void {
    this.#wanted = false
    const { bytes, number: moved, sinkFull = false } = news
    if (moved > this.#moved) {
      this.#moved = moved
      this.#events?.moved(this, moved)
    }
    if (bytes !== undefined) this.#events?.pieces(this, this.#decoder.push(bytes))
    if (sinkFull !== this.#full) {
      this.#full = sinkFull
      this.#events?.full(this, sinkFull)
    }
    if (news.sourceEnded && !this.#sourceEnded) {
      this.#sourceEnded = true
      this.#feed?.ended(moved)
    }
    if (news.closed) this.#close(news)
    else if (news.ended) this.#end()
  }

  #end(): void {
    this.#events?.ended(this)
    this.#events?.lost()
    this.destroy()
  }

  #close({ errno, text }: SessionNews): void {
    this.#closed = true
    const code = text ?? (errno === 0 ? undefined : getSystemErrorName(-errno))
    if (code !== undefined) this.#failure = Object.assign(new Error(code), { code })
    this.#events?.lost(this.#failure)
    for (const listener of this.#closedListeners.splice(0)) listener()
  }
}
