/** A token bucket that several take from in turn. Time is passed in, in milliseconds. */

/** What may have gathered while nobody took anything, as time at the rate: it makes up for timers that are late. */
const BURST_MILLISECONDS = 50
/** What is granted at once. */
const GRANT_MILLISECONDS = 10
const LEAST_GRANT_BYTES = 1024
const MOST_GRANT_BYTES = 256 * 1024

/** One of those who take from a bucket. */
export interface Account {
  /** Bytes granted and not used. */
  credit: number
}

export class SharedBucket<A extends Account> {
  readonly #waiting = new Set<A>()
  #rate: number
  #tokens = 0
  #time: number

  /** @param rate in bytes per second */
  constructor(rate: number, now: number) {
    this.#rate = rate
    this.#time = now
  }

  get rate(): number {
    return this.#rate
  }

  /** Changes the rate from now on. */
  setRate(rate: number, now: number): void {
    this.#fill(now)
    this.#rate = rate
    this.#fill(now)
  }

  /** Grants what is due to the account at once if nobody is before it, else puts it at the end of the queue. */
  ask(account: A, now: number): void {
    if (!this.#waiting.has(account) && this.#waiting.size === 0 && this.#pay(account, now)) return
    this.#waiting.add(account)
  }

  /** Grants what is due to whoever has waited longest, and returns it; undefined if there is nobody, or it is too early. */
  next(now: number): A | undefined {
    for (const account of this.#waiting) {
      if (!this.#pay(account, now)) return undefined
      this.#waiting.delete(account)
      return account
    }
    return undefined
  }

  /** Milliseconds until somebody can be granted something; undefined if nobody waits. */
  delay(now: number): number | undefined {
    if (this.#waiting.size === 0) return undefined
    this.#fill(now)
    return Math.max(0, ((this.#grant - this.#tokens) * 1000) / this.#rate)
  }

  /** Forgets the account; what it has not used goes to the others. */
  leave(account: A, now: number): void {
    this.#waiting.delete(account)
    this.#fill(now)
    this.#tokens = Math.min(this.#most, this.#tokens + account.credit)
    account.credit = 0
  }

  get #grant(): number {
    return Math.floor(Math.min(MOST_GRANT_BYTES, Math.max(LEAST_GRANT_BYTES, this.#of(GRANT_MILLISECONDS))))
  }

  get #most(): number {
    return Math.max(this.#grant, this.#of(BURST_MILLISECONDS))
  }

  #of(milliseconds: number): number {
    return (this.#rate * milliseconds) / 1000
  }

  #fill(now: number): void {
    this.#tokens = Math.min(this.#most, this.#tokens + this.#of(Math.max(0, now - this.#time)))
    this.#time = now
  }

  #pay(account: A, now: number): boolean {
    this.#fill(now)
    // A hair's breadth below it, from rounding, would cost another timer.
    if (this.#tokens < this.#grant - 0.5) return false
    this.#tokens -= this.#grant
    account.credit += this.#grant
    return true
  }
}
