/**
 * Tells a dead peer from a slow one: the other end speaks at least every interval, so silence for the whole timeout means that it or the way
 * to it is gone.
 */
import type { Heartbeat } from './settings.js'

/** If this process itself stood still, what the peer said meanwhile is in the socket and gets this long to be read. */
const GRACE_MILLISECONDS = 250

export class Silence {
  #timer: NodeJS.Timeout | undefined
  /** Since the timer began. */
  #heard = false
  /** How long the timer runs, in milliseconds. */
  #patience: number
  readonly #beat: NodeJS.Timeout

  /**
   * @param firstMilliseconds how long the peer may take to be heard at all: it may have something to do before it speaks
   * @param speak called every interval
   * @param lost called once, after so many milliseconds without {@link heard}
   */
  constructor(
    readonly heartbeat: Heartbeat,
    firstMilliseconds: number,
    speak: () => void,
    readonly lost: (milliseconds: number) => void,
  ) {
    this.#beat = setInterval(speak, heartbeat.intervalMilliseconds)
    this.#patience = firstMilliseconds
    this.#begin()
  }

  /** The peer is alive. */
  heard(): void {
    this.#heard = true
    const { timeoutMilliseconds } = this.heartbeat
    if (this.#timer !== undefined && this.#patience === timeoutMilliseconds) this.#timer.refresh()
    else {
      this.pause()
      this.#patience = timeoutMilliseconds
      this.#begin()
    }
  }

  /** Stops counting while nothing is read from the peer, until it is {@link heard} again. */
  pause(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  stop(): void {
    this.pause()
    clearInterval(this.#beat)
  }

  #begin(): void {
    this.#timer = setTimeout(() => this.#expire(), this.#patience)
  }

  #expire(): void {
    this.#heard = false
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.#heard) this.heard()
      else this.lost(this.#patience)
    }, GRACE_MILLISECONDS)
  }
}
