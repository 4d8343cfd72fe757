/** A bound on the bandwidth of one or many transfers. */
import { ArgumentError } from '../errors.js'
import { type RateBucket, type RateShare, type SessionAddon, sessionAddon } from '../lzc/native.js'

/** A transfer's part of a limiter. */
export interface Share {
  /** For a native data plane, whose thread takes by itself. */
  readonly native: RateShare
  /** How many of so many bytes may leave now. If none, the transfer is called when some may. */
  take(most: number): number
  /** To be called when the transfer has no more to send. */
  leave(): void
}

/** A share that nothing was left for. */
interface Waiter {
  native: RateShare
  timer: NodeJS.Timeout | undefined
  onGranted(): void
}

/** The clock of the native data plane's threads: milliseconds. */
const now = (): number => Number(process.hrtime.bigint()) / 1e6

/**
 * Bounds what transfers send, in bytes of their streams per second. Give the same one to several transfers and they share it: each that
 * has something to send gets as much as the others. What leaves at once is at most 50 ms of the rate, and 10 ms for each transfer. It
 * holds no timer while nobody waits.
 */
export class RateLimiter {
  readonly #addon: SessionAddon
  readonly #bucket: RateBucket
  readonly #waiting = new Set<Waiter>()
  #rate: number

  /**
   * @param bytesPerSecond at least 1
   * @throws {ArgumentError} if it is less, or no finite number
   * @throws {AddonError} `ADDON_MISSING`
   */
  constructor(bytesPerSecond: number) {
    this.#rate = checkRate(bytesPerSecond)
    this.#addon = sessionAddon().addon
    this.#bucket = this.#addon.makeBucket(bytesPerSecond, now())
  }

  /** Bytes per second. May be changed at any time; transfers under way follow at once. */
  get bytesPerSecond(): number {
    return this.#rate
  }

  set bytesPerSecond(bytesPerSecond: number) {
    this.#rate = checkRate(bytesPerSecond)
    this.#addon.setBucketRate(this.#bucket, bytesPerSecond, now())
    for (const waiter of this.#waiting) this.#wait(waiter)
  }

  /** @internal For data planes: `onGranted` is called after {@link Share.take} has returned 0, once some bytes may leave. */
  join(onGranted: () => void): Share {
    const native = this.#addon.joinBucket(this.#bucket)
    const waiter: Waiter = { native, timer: undefined, onGranted }
    return {
      native,
      take: (most) => {
        const bytes = this.#addon.takeShare(native, most, now())
        if (bytes === 0) this.#wait(waiter)
        return bytes
      },
      leave: () => {
        this.#stopWaiting(waiter)
        this.#addon.leaveBucket(native, now())
      },
    }
  }

  #wait(waiter: Waiter): void {
    clearTimeout(waiter.timer)
    this.#waiting.add(waiter)
    const due = (): void => {
      this.#stopWaiting(waiter)
      waiter.onGranted()
    }
    waiter.timer = setTimeout(due, Math.max(1, Math.ceil(this.#addon.shareDelay(waiter.native, now()))))
  }

  #stopWaiting(waiter: Waiter): void {
    clearTimeout(waiter.timer)
    this.#waiting.delete(waiter)
  }
}

function checkRate(bytesPerSecond: number): number {
  if (Number.isFinite(bytesPerSecond) && bytesPerSecond >= 1) return bytesPerSecond
  throw new ArgumentError(`A bandwidth can't be limited to ${bytesPerSecond} bytes per second`, {
    next: 'Give a number from 1 up.',
  })
}
