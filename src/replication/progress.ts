/** Where a transfer stands. */
export interface Progress {
  /** Stream bytes handed to the peer so far. */
  bytes: bigint
  /** The stream's estimated size in bytes; it can be a little off (zfs-send(8), -nv). */
  total: bigint
  /** Smoothed over the last seconds. */
  bytesPerSecond: number
  /** Estimated, in seconds; `undefined` until there is a rate to go by. */
  secondsLeft: number | undefined
}

const halfLifeMilliseconds = 2000
/** A rate measured over less says little of what is left. */
const settlingMilliseconds = 1000

/** Turns byte counts into progress reports, at most one per interval. Time is passed in, in milliseconds. */
export class ProgressMeter {
  #bytes = 0n
  #rate: number | undefined
  #mark: { time: number; bytes: bigint }
  #reported = Number.NEGATIVE_INFINITY

  constructor(
    private readonly total: bigint,
    private readonly started: number,
    private readonly intervalMilliseconds = 200,
  ) {
    this.#mark = { time: started, bytes: 0n }
  }

  /** Takes a new count; returns a report when one is due. */
  update(bytes: bigint, now: number): Progress | undefined {
    this.#bytes = bytes
    if (now - this.#reported < this.intervalMilliseconds) return undefined
    this.#reported = now
    return this.report(now)
  }

  report(now: number): Progress {
    this.#measure(now)
    const bytesPerSecond = this.#rate ?? 0
    const left = this.total > this.#bytes ? Number(this.total - this.#bytes) : 0
    return {
      bytes: this.#bytes,
      total: this.total,
      bytesPerSecond,
      secondsLeft: bytesPerSecond > 0 && now - this.started >= settlingMilliseconds ? left / bytesPerSecond : undefined,
    }
  }

  #measure(now: number): void {
    const elapsed = now - this.#mark.time
    if (elapsed <= 0) return
    const current = (Number(this.#bytes - this.#mark.bytes) * 1000) / elapsed
    const weight = 1 - 0.5 ** (elapsed / halfLifeMilliseconds)
    this.#rate = this.#rate === undefined ? current : this.#rate + weight * (current - this.#rate)
    this.#mark = { time: now, bytes: this.#bytes }
  }
}
