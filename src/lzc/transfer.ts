/**
 * How long a stream that was destroyed waits for the kernel to let go, in milliseconds. It does so at once, unless it is
 * blocked in the pool's own I/O, which nothing can interrupt.
 */
const graceMilliseconds = 5000

/** Calls `onAbort` when the signal fires, at once if it has; returns how to stop listening. */
export function followSignal(signal: AbortSignal | undefined, onAbort: () => void): () => void {
  if (signal === undefined) return () => undefined
  if (signal.aborted) {
    queueMicrotask(onAbort)
    return () => undefined
  }
  signal.addEventListener('abort', onAbort, { once: true })
  return () => signal.removeEventListener('abort', onAbort)
}

/** Resolves when the kernel is done, or after the grace; its thread then ends whenever the pool answers. */
export function closedWithin(result: Promise<unknown> = Promise.resolve()): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, graceMilliseconds)
    const settle = (): void => {
      clearTimeout(timer)
      resolve()
    }
    result.then(settle, reject)
  })
}
