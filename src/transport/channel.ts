/** A data channel: one stream's data connections, used once, by a data plane, and ended with their control connection. */
import type { Readable, Writable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { AbortError, ArgumentError, type FlockerError } from '../errors.js'
import type { DataChannel, DataLink, DataPlane, Successors, TransferOptions } from './data-plane.js'
import { jsDataPlane } from './js-data-plane.js'

export class Channel implements DataChannel {
  /** Resolves when all its connections are gone. */
  readonly closed: Promise<void>
  readonly #link: DataLink
  readonly #plane: DataPlane
  readonly #stop = new AbortController()
  #used = false
  /** Connections and attempts at one. */
  #open = 0
  #resolveClosed: () => void = () => undefined

  constructor(link: DataLink, plane: DataPlane = jsDataPlane) {
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    this.#link = { ...link, heard: () => link.heard(), successors: this.#counted(link.successors) }
    this.#plane = plane
    this.#count(link.socket)
  }

  get peer(): string {
    return this.#link.peer
  }

  send(source: Readable, options: TransferOptions = {}): Promise<bigint> {
    return this.#run(options, (own) => this.#plane.send(this.#link, source, own))
  }

  receive(sink: Writable, options: TransferOptions = {}): Promise<bigint> {
    return this.#run(options, (own) => this.#plane.receive(this.#link, sink, own))
  }

  destroy(error?: FlockerError): void {
    if (this.#stop.signal.aborted) return
    this.#stop.abort(error ?? new AbortError('The data channel was destroyed'))
    // A transfer in work tells its peer and closes the connection itself.
    if (!this.#used) this.#link.socket.destroy()
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
          redeemed: (socket) => {
            this.#count(socket)
            redeemed(socket)
          },
        }),
    }
  }

  async #dial(attempt: Promise<TLSSocket>): Promise<TLSSocket> {
    this.#open += 1
    try {
      const socket = await attempt
      this.#count(socket)
      return socket
    } finally {
      this.#gone()
    }
  }

  #count(socket: TLSSocket): void {
    this.#open += 1
    if (socket.closed) this.#gone()
    else socket.once('close', () => this.#gone())
  }

  #gone(): void {
    this.#open -= 1
    if (this.#open === 0) this.#resolveClosed()
  }
}
