/** An offer of a data connection and what became of it. */
import { AbortError, abortReason, type FlockerError, TimeoutError } from '../errors.js'
import type { Carrier } from './carrier.js'
import type { Channel } from './channel.js'
import type { Ticket } from './data-plane.js'
import type { DataOffer } from './method.js'
import type { Tickets } from './tickets.js'

interface Waiter {
  resolve(channel: Channel): void
  reject(error: FlockerError): void
}

export interface OfferOptions {
  peer: string
  /** How long the ticket is good for. */
  milliseconds: number
  /** Makes the channel once the peer has connected. */
  open(carrier: Carrier): Channel
  /** The ticket was of no use. */
  onFailed(): void
}

export class Offer implements DataOffer {
  readonly #ticket: Ticket
  readonly #timer: NodeJS.Timeout
  readonly #options: OfferOptions
  readonly #waiters = new Set<Waiter>()
  #channel: Channel | undefined
  #failure: FlockerError | undefined

  constructor(tickets: Tickets, options: OfferOptions) {
    const { peer, milliseconds } = options
    this.#options = options
    this.#ticket = tickets.issue(peer, {
      redeemed: (carrier) => this.#accept(carrier),
      spoiled: (cause) => this.fail(new AbortError('The offer of a data connection was cancelled', { cause })),
    })
    const late = () =>
      this.fail(new TimeoutError(`${peer} did not open its data connection within ${milliseconds} ms`, { peer }))
    this.#timer = setTimeout(late, milliseconds)
  }

  get ticket(): string {
    return this.#ticket.ticket
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

  /** Withdraws the ticket and destroys the channel, in order or at once; whoever waits gets the error. */
  fail(error: FlockerError, inOrder = false): void {
    if (this.#failure) return
    this.#failure = error
    clearTimeout(this.#timer)
    this.#ticket.withdraw()
    if (this.#channel === undefined) this.#options.onFailed()
    else if (inOrder) this.#channel.leave(error)
    else this.#channel.destroy(error)
    for (const waiter of [...this.#waiters]) waiter.reject(error)
  }

  #accept(carrier: Carrier): void {
    clearTimeout(this.#timer)
    const channel = this.#options.open(carrier)
    this.#channel = channel
    for (const waiter of [...this.#waiters]) waiter.resolve(channel)
  }
}
