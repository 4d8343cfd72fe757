/** Tickets: each stands for one data connection, once, by one peer, for a short time. */
import { createHash, randomBytes } from 'node:crypto'
import { AbortError, abortReason, type FlockerError, TimeoutError } from '../errors.js'
import type { Channel } from './channel.js'
import type { DataOffer } from './method.js'

/** Held by hash, so that how long a look-up takes says nothing about how much of a guess was right. */
const digest = (ticket: string): string => createHash('sha256').update(ticket).digest('hex')

interface Waiter {
  resolve(channel: Channel): void
  reject(error: FlockerError): void
}

/** An offer and what became of it. */
export class Offer implements DataOffer {
  readonly ticket = randomBytes(32).toString('base64url')
  readonly key = digest(this.ticket)
  readonly #waiters = new Set<Waiter>()
  #channel: Channel | undefined
  #failure: FlockerError | undefined

  readonly #timer: NodeJS.Timeout
  readonly #onSettled: () => void

  /** @param onSettled called when the ticket was used, or is of no more use */
  constructor(
    readonly peer: string,
    milliseconds: number,
    onSettled: () => void,
  ) {
    this.#onSettled = onSettled
    const late = () =>
      this.fail(new TimeoutError(`${peer} did not open its data connection within ${milliseconds} ms`, { peer }))
    this.#timer = setTimeout(late, milliseconds)
  }

  channel(signal?: AbortSignal): Promise<Channel> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure)
      if (this.#channel) return resolve(this.#channel)
      if (signal?.aborted) return reject(abortReason(signal, 'Waiting for the data connection'))
      const done = () => {
        this.#waiters.delete(waiter)
        signal?.removeEventListener('abort', aborted)
      }
      const waiter: Waiter = {
        resolve: (channel) => {
          done()
          resolve(channel)
        },
        reject: (error) => {
          done()
          reject(error)
        },
      }
      const aborted = () => signal && waiter.reject(abortReason(signal, 'Waiting for the data connection'))
      signal?.addEventListener('abort', aborted, { once: true })
      this.#waiters.add(waiter)
    })
  }

  cancel(): void {
    this.fail(new AbortError('The offer of a data connection was cancelled'))
  }

  /** Withdraws the ticket and destroys the channel; whoever waits gets the error. */
  fail(error: FlockerError): void {
    if (this.#failure) return
    this.#failure = error
    this.#settle()
    this.#channel?.destroy(error)
    for (const waiter of [...this.#waiters]) waiter.reject(error)
  }

  accept(channel: Channel): void {
    this.#channel = channel
    this.#settle()
    for (const waiter of [...this.#waiters]) waiter.resolve(channel)
  }

  #settle(): void {
    clearTimeout(this.#timer)
    this.#onSettled()
  }
}

/** The server's open tickets. */
export class Tickets {
  readonly #offers = new Map<string, Offer>()

  get size(): number {
    return this.#offers.size
  }

  issue(peer: string, milliseconds: number, onSettled: (offer: Offer) => void): Offer {
    const offer = new Offer(peer, milliseconds, () => {
      this.#offers.delete(offer.key)
      onSettled(offer)
    })
    this.#offers.set(offer.key, offer)
    return offer
  }

  /** Uses the ticket up. Undefined if it is unknown, was used, has expired or is not this peer's: which one is nobody's business. */
  redeem(ticket: string, peer: string): Offer | undefined {
    const offer = this.#offers.get(digest(ticket))
    if (offer === undefined) return undefined
    this.#offers.delete(offer.key)
    if (offer.peer === peer) return offer
    // Somebody else holds it: it has leaked and is worth nothing any more.
    offer.cancel()
    return undefined
  }
}
