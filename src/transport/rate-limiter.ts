/** A bound on the bandwidth of one or many transfers. */
import { ArgumentError } from '../errors.js'
import { type Account, SharedBucket } from './shared-bucket.js'

/** A transfer's part of a limiter. */
export interface Share {
  /** How many of so many bytes may leave now. If none, the transfer is called when some may. */
  take(most: number): number
  /** To be called when the transfer has no more to send. */
  leave(): void
}

interface Waiter extends Account {
  onGranted(): void
}

/**
 * Bounds what transfers send, in bytes of their streams per second. Give the same one to several transfers and they share it: each that
 * has something to send gets as much as the others. What leaves at once is at most 50 ms of the rate, and 10 ms for each transfer. It
 * holds no timer while nobody waits.
 */
export class RateLimiter {
  readonly #bucket: SharedBucket<Waiter>
  #timer: NodeJS.Timeout | undefined

  /**
   * @param bytesPerSecond at least 1
   * @throws {ArgumentError} if it is less, or no finite number
   */
  constructor(bytesPerSecond: number) {
    this.#bucket = new SharedBucket(checkRate(bytesPerSecond), performance.now())
  }

  /** Bytes per second. May be changed at any time; transfers under way follow at once. */
  get bytesPerSecond(): number {
    return this.#bucket.rate
  }

  set bytesPerSecond(bytesPerSecond: number) {
    this.#bucket.setRate(checkRate(bytesPerSecond), performance.now())
    this.#schedule()
  }

  /** @internal For data planes: `onGranted` is called after {@link Share.take} has returned 0, once some bytes may leave. */
  join(onGranted: () => void): Share {
    const waiter: Waiter = { credit: 0, onGranted }
    return {
      take: (most) => this.#take(waiter, most),
      leave: () => {
        this.#bucket.leave(waiter, performance.now())
        this.#schedule()
      },
    }
  }

  #take(waiter: Waiter, most: number): number {
    if (waiter.credit === 0) {
      this.#bucket.ask(waiter, performance.now())
      if (waiter.credit === 0 && this.#timer === undefined) this.#schedule()
    }
    const bytes = Math.min(most, waiter.credit)
    waiter.credit -= bytes
    return bytes
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    const delay = this.#bucket.delay(performance.now())
    this.#timer = delay === undefined ? undefined : setTimeout(() => this.#grant(), Math.max(1, Math.ceil(delay)))
  }

  #grant(): void {
    for (;;) {
      const waiter = this.#bucket.next(performance.now())
      if (waiter === undefined) break
      waiter.onGranted()
    }
    this.#schedule()
  }
}

function checkRate(bytesPerSecond: number): number {
  if (Number.isFinite(bytesPerSecond) && bytesPerSecond >= 1) return bytesPerSecond
  throw new ArgumentError(`A bandwidth can't be limited to ${bytesPerSecond} bytes per second`, {
    next: 'Give a number from 1 up.',
  })
}
