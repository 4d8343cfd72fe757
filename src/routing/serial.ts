import { abortReason, throwIfAborted } from '../errors.js'

/** Runs one piece of work after the other, in the order they were asked for. */
export class Serial {
  #last: Promise<unknown> = Promise.resolve()

  /**
   * @param what the work, for the message of an error
   * @throws AbortError or TimeoutError: the signal fired before the work began
   */
  run<T>(what: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const mine = waitFor(this.#last, what, signal).then(work)
    // Given up while waiting, it must not let the next one overtake what is under way.
    this.#last = Promise.allSettled([this.#last, mine])
    return mine
  }
}

function waitFor(earlier: Promise<unknown>, what: string, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    throwIfAborted(signal, what)
    const onAbort = () => reject(abortReason(signal as AbortSignal, what))
    signal?.addEventListener('abort', onAbort, { once: true })
    void earlier.then(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
  })
}
