import { abortReason, throwIfAborted } from '../errors.js'
import type { Addon, Interruptible, Outcome } from './native.js'
import { closedWithin, followSignal } from './transfer.js'

/** A signal that reaches the thread just before its system call does nothing, so it is sent again until the call is over. */
const againMilliseconds = 20

const EINTR = 4

/**
 * Runs a call that may block for long, until it is done or the signal fires. The call's thread is then sent a signal, which ends
 * the kernel's wait: this rejects once the thread has left it. Only a thread that the pool's own failed I/O holds can't be woken; then
 * this rejects after some seconds, and the thread ends when the pool does answer.
 *
 * @param what the subject of the error's sentence
 * @throws AbortError, TimeoutError by the signal
 */
export async function interruptibly(
  native: Addon,
  begin: () => Interruptible,
  signal: AbortSignal | undefined,
  what: string,
): Promise<Outcome> {
  throwIfAborted(signal, what)
  const { call, result } = begin()
  let timer: NodeJS.Timeout | undefined
  const aborted = new Promise<undefined>((resolve, reject) => {
    const unfollow = followSignal(signal, () => {
      native.interrupt(call)
      timer = setInterval(() => native.interrupt(call), againMilliseconds)
      closedWithin(result).then(() => resolve(undefined), reject)
    })
    // Not before: a thread that the pool lets go late would else begin to wait, and nobody would wake it.
    const stop = (): void => {
      unfollow()
      clearInterval(timer)
    }
    result.then(stop, stop)
  })
  const outcome = await Promise.race([result, aborted])
  if (signal?.aborted && (outcome === undefined || outcome.errno === EINTR)) throw abortReason(signal, what)
  return outcome ?? (await result)
}
