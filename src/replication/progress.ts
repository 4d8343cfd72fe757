/** Where a transfer stands. */
export interface Progress {
  /** The snapshot that is on its way: the part of its name after the `@`. */
  snapshot: string
  /** Bytes of its stream handed to the other side so far; what an interrupted one has brought there counts too. */
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

  /** @param already bytes that were there before this transfer, and say nothing of its rate */
  constructor(
    private readonly snapshot: string,
    private readonly total: bigint,
    private readonly already: bigint,
    private readonly started: number,
    private readonly intervalMilliseconds = 200,
  ) {
    this.#mark = { time: started, bytes: 0n }
  }

  /** Takes a new count of this transfer's bytes; returns a report when one is due. */
  update(bytes: bigint, now: number): Progress | undefined {
    this.#bytes = bytes
    if (now - this.#reported < this.intervalMilliseconds) return undefined
    this.#reported = now
    return this.report(now)
  }

  report(now: number): Progress {
    this.#measure(now)
    const bytesPerSecond = this.#rate ?? 0
    const bytes = this.already + this.#bytes
    const left = this.total > bytes ? Number(this.total - bytes) : 0
    return {
      snapshot: this.snapshot,
      bytes,
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
