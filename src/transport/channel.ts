/** A data channel: a data connection that is used once, by a data plane, and ends with its control connection. */
import type { Readable, Writable } from 'node:stream'
import { AbortError, ArgumentError, type FlockerError } from '../errors.js'
import type { DataChannel, DataLink, DataPlane, TransferOptions } from './data-plane.js'
import { jsDataPlane } from './js-data-plane.js'
import { closed } from './socket.js'

export class Channel implements DataChannel {
  readonly #link: DataLink
  readonly #plane: DataPlane
  readonly #stop = new AbortController()
  #used = false

  constructor(link: DataLink, plane: DataPlane = jsDataPlane) {
    this.#link = link
    this.#plane = plane
  }

  get peer(): string {
    return this.#link.peer
  }

  /** Resolves when the connection is gone. */
  get closed(): Promise<void> {
    return closed(this.#link.socket)
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

  async #run(
    { signal, onBytes }: TransferOptions,
    transfer: (options: TransferOptions) => Promise<bigint>,
  ): Promise<bigint> {
    if (this.#used) {
      throw new ArgumentError('A data channel carries one stream only', { next: 'Open another channel.' })
    }
    this.#used = true
    const forward = () => this.#stop.abort(signal?.reason)
    if (signal?.aborted) forward()
    else signal?.addEventListener('abort', forward, { once: true })
    try {
      return await transfer({ signal: this.#stop.signal, onBytes })
    } finally {
      signal?.removeEventListener('abort', forward)
    }
  }
}
