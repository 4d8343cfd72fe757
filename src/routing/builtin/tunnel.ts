/** Two sockets that say to each other what each of them hears. */
import type { Socket } from 'node:net'

/**
 * Joins a client and its target until both are closed: bytes as they are, with backpressure; the end of one direction is passed on and leaves
 * the other open; a reset is passed on as a reset, so that nobody takes half an answer for a whole one.
 */
export function join(client: Socket, target: Socket): void {
  for (const [from, to] of [
    [client, target],
    [target, client],
  ] as const) {
    from.once('error', () => to.resetAndDestroy())
    from.once('close', () => {
      if (!from.readableEnded && !to.destroyed) to.resetAndDestroy()
    })
    from.pipe(to)
  }
}
