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
    from.once('error', () => reset(to))
    from.once('close', () => {
      if (!from.readableEnded && !to.destroyed) reset(to)
    })
    from.pipe(to)
  }
}

/**
 * Closes with a reset, where the system allows: after its own end was said, Node.js would neither reset nor close the socket (libuv's
 * uv_tcp_close_reset refuses it).
 */
export function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}
