/** A data channel: one stream's data connections, used once, by a data plane, and ended with their control connection. */
import type { Readable, Writable } from 'node:stream'
import { AbortError, ArgumentError, type FlockerError } from '../errors.js'
import type { Carrier, PlaneName } from './carrier.js'
import type { DataChannel, DataLink, Successors, TransferOptions } from './data-plane.js'
import { Receiver } from './receiver.js'
import { Sender } from './sender.js'
import { LINGER_MILLISECONDS } from './settings.js'

export class Channel implements DataChannel {
  /** Resolves when all its connections are gone. */
  readonly closed: Promise<void>
  readonly #link: DataLink
  readonly #stop = new AbortController()
  #used = false
  /** Connections and attempts at one. */
  #open = 0
  #resolveClosed: () => void = () => undefined

  constructor(link: DataLink) {
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    this.#link = { ...link, heard: () => link.heard(), successors: this.#counted(link.successors) }
    this.#count(link.carrier)
  }

  get peer(): string {
    return this.#link.peer
  }

  get plane(): PlaneName {
    return this.#link.carrier.plane
  }

  send(source: Readable, options: TransferOptions = {}): Promise<bigint> {
    return this.#run(options, (own) => new Sender(this.#link, source, own).promise)
  }

  receive(sink: Writable, options: TransferOptions = {}): Promise<bigint> {
    return this.#run(options, (own) => new Receiver(this.#link, sink, own).promise)
  }

  destroy(error?: FlockerError): void {
    if (this.#stop.signal.aborted) return
    this.#stop.abort(error ?? new AbortError('The data channel was destroyed'))
    // A transfer in work tells its peer and closes the connection itself.
    if (!this.#used) this.#link.carrier.destroy()
  }

  /** The peer has ended the control connection in order: what is on its way on this one has so long to arrive. */
  leave(error: FlockerError): void {
    const late = setTimeout(() => this.destroy(error), LINGER_MILLISECONDS)
    void this.closed.then(() => clearTimeout(late))
  }

  async #run(options: TransferOptions, transfer: (options: TransferOptions) => Promise<bigint>): Promise<bigint> {
    if (this.#used) {
      throw new ArgumentError('A data channel carries one stream only', { next: 'Open another channel.' })
    }
    this.#used = true
    const { signal } = options
    const forward = () => this.#stop.abort(signal?.reason)
    if (signal?.aborted) forward()
    else signal?.addEventListener('abort', forward, { once: true })
    try {
      return await transfer({ ...options, signal: this.#stop.signal })
    } finally {
      signal?.removeEventListener('abort', forward)
    }
  }

  #counted(successors: Successors): Successors {
    if (successors.role === 'client') return { role: 'client', open: (...args) => this.#dial(successors.open(...args)) }
    return {
      role: 'server',
      offer: ({ redeemed, spoiled }) =>
        successors.offer({
          spoiled,
          redeemed: (carrier) => {
            this.#count(carrier)
            redeemed(carrier)
          },
        }),
    }
  }

  async #dial(attempt: Promise<Carrier>): Promise<Carrier> {
    this.#open += 1
    try {
      const carrier = await attempt
      this.#count(carrier)
      return carrier
    } finally {
      this.#gone()
    }
  }

  #count(carrier: Carrier): void {
    this.#open += 1
    carrier.onClosed(() => this.#gone())
  }

  #gone(): void {
    this.#open -= 1
    if (this.#open === 0) this.#resolveClosed()
  }
}
