import { connect, type Socket } from 'node:net'
import type { RouteTarget } from '../router.js'

/** When the system begins to ask whether the other end of a silent connection is still there. */
export const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelay: 60_000 } as const

/** A connection to the target; undefined if it did not come about in time, or was not wanted any more. */
export function dial(target: RouteTarget, milliseconds: number, unwanted: AbortSignal): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ ...target, allowHalfOpen: true, noDelay: true, ...KEEP_ALIVE })
    const settle = (result: Socket | undefined) => {
      clearTimeout(timer)
      unwanted.removeEventListener('abort', fail)
      socket.off('connect', succeed).off('error', fail)
      if (result === undefined) {
        // Errors of attempts that were given up are of no interest: the next attempt tells.
        socket.on('error', () => undefined).destroy()
      }
      resolve(result)
    }
    const succeed = () => settle(socket)
    const fail = () => settle(undefined)
    const timer = setTimeout(fail, milliseconds)
    unwanted.addEventListener('abort', fail, { once: true })
    socket.once('connect', succeed).once('error', fail)
  })
}

/** Resolves after the time, or when the signal fires. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const finish = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', finish)
      resolve()
    }
    const timer = Number.isFinite(milliseconds) ? setTimeout(finish, milliseconds) : undefined
    signal.addEventListener('abort', finish, { once: true })
  })
}
