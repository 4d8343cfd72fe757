/**
 * Tells a dead peer from a slow one: the other end speaks at least every interval, so silence for the whole timeout means that it or the way
 * to it is gone.
 */
import type { Heartbeat } from './settings.js'

/** What the peer has said may be in the socket yet, and gets this long to be read. */
const GRACE_MILLISECONDS = 250

export class Silence {
  #timer: NodeJS.Timeout | undefined
  /** Since the timer began. */
  #heard = false
  /** How long the timer runs, in milliseconds. */
  #patience: number
  /** When the timer should fire, of performance.now(). */
  #due = 0
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
    if (this.#timer !== undefined && this.#patience === timeoutMilliseconds) {
      this.#due = performance.now() + timeoutMilliseconds
      this.#timer.refresh()
    } else {
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
    this.#due = performance.now() + this.#patience
    this.#timer = setTimeout(() => this.#expire(), this.#patience)
  }

  #expire(): void {
    this.#heard = false
    // Where this process stood still, a peer on the same machine did so, too, and has yet to come to speak.
    const stoodStill = performance.now() - this.#due > GRACE_MILLISECONDS
    const grace = GRACE_MILLISECONDS + (stoodStill ? this.heartbeat.intervalMilliseconds : 0)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.#heard) this.heard()
      else this.lost(this.#patience)
    }, grace)
  }
}
