/**
 * Tells a dead peer from a slow one: the other end speaks at least every interval, so silence for the whole timeout means that it or the way
 * to it is gone.
 */
import type { Heartbeat } from './settings.js'

/** If this process itself stood still, what the peer said meanwhile is in the socket and gets this long to be read. */
const GRACE_MILLISECONDS = 250

export class Silence {
  #timer: NodeJS.Timeout | undefined
  #heard = false
  readonly #beat: NodeJS.Timeout

  /**
   * @param speak called every interval
   * @param lost called once, after the timeout without {@link heard}
   * @param listening whether to count from now on, or only once the peer has been heard
   */
  constructor(
    readonly heartbeat: Heartbeat,
    speak: () => void,
    readonly lost: () => void,
    listening: boolean,
  ) {
    this.#beat = setInterval(speak, heartbeat.intervalMilliseconds)
    if (listening) this.heard()
  }

  /** The peer is alive. */
  heard(): void {
    this.#heard = true
    if (this.#timer === undefined) this.#timer = setTimeout(() => this.#expire(), this.heartbeat.timeoutMilliseconds)
    else this.#timer.refresh()
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

  #expire(): void {
    this.#heard = false
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.#heard) this.heard()
      else this.lost()
    }, GRACE_MILLISECONDS)
  }
}
