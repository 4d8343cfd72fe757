import { abortReason, TimeoutError } from '../errors.js'

/** How far a stream is, in bytes. */
export interface Standing {
  /** Handed to the connection. */
  sent: bigint
  /** Taken by the receiver's sink, as the receiver says. */
  taken: bigint
  /** Whether the source has given everything. */
  ended: boolean
}

/** Who holds up a stream that makes no progress, as a sentence. */
export function stalledOn({ sent, taken, ended }: Standing, peer: string): string {
  if (taken < sent) return `${peer} is alive and has taken ${taken} of the ${sent} bytes sent`
  if (ended) return `${peer} is alive, has taken all ${sent} bytes, and does not confirm them`
  return `${peer} has taken the ${sent} bytes there were, and this host's ZFS gives no more`
}

/**
 * One signal for a transfer: fires when the caller's does, or when there was no progress for too long. Dispose it when the
 * transfer is over.
 */
export class Watchdog implements Disposable {
  /** Says what a transfer without progress waits for. */
  explain: (() => string) | undefined
  readonly #controller = new AbortController()
  readonly #timer: NodeJS.Timeout
  readonly #forward: () => void

  constructor(
    what: string,
    private readonly outer: AbortSignal | undefined,
    stallMilliseconds: number,
  ) {
    this.#timer = setTimeout(() => {
      const why = this.explain === undefined ? '' : `: ${this.explain()}`
      this.abort(new TimeoutError(`${what} has made no progress for ${stallMilliseconds / 1000} s${why}`))
    }, stallMilliseconds)
    this.#forward = () => this.abort(abortReason(outer as AbortSignal, what))
    if (outer?.aborted) this.#forward()
    else outer?.addEventListener('abort', this.#forward, { once: true })
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** There was progress: bytes that the receiver's sink has taken, not such as merely left. */
  touch(): void {
    this.#timer.refresh()
  }

  abort(reason: Error): void {
    this.#controller.abort(reason)
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.outer?.removeEventListener('abort', this.#forward)
  }
}
