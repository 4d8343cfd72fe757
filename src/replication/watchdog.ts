import { abortReason, TimeoutError } from '../errors.js'

/**
 * One signal for a transfer: fires when the caller's does, or when nothing has moved for too long. Dispose it when the
 * transfer is over.
 */
export class Watchdog implements Disposable {
  readonly #controller = new AbortController()
  readonly #timer: NodeJS.Timeout
  readonly #forward: () => void

  constructor(
    what: string,
    private readonly outer: AbortSignal | undefined,
    stallMilliseconds: number,
  ) {
    this.#timer = setTimeout(() => {
      this.abort(new TimeoutError(`${what} has moved no byte for ${stallMilliseconds / 1000} s`))
    }, stallMilliseconds)
    this.#forward = () => this.abort(abortReason(outer as AbortSignal, what))
    if (outer?.aborted) this.#forward()
    else outer?.addEventListener('abort', this.#forward, { once: true })
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Something moved. */
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
