/**
 * Sockets that have not said a valid hello. Each has a deadline, and there is a bound on their number: beyond it the oldest is
 * dropped, so that holding connections open keeps nobody else out.
 */
import type { Socket } from 'node:net'
import type { Logger } from 'pino'
import type { Limits } from './settings.js'

/** TLS wraps the TCP socket in another object; both know the peer's address and port, which no other socket has. */
const keyOf = (socket: Socket): string => `${socket.remoteAddress} ${socket.remotePort}`

export class Pending {
  readonly #sockets = new Map<string, { socket: Socket; timer: NodeJS.Timeout }>()

  constructor(
    readonly limits: Limits,
    readonly logger: Logger,
  ) {}

  add(socket: Socket): void {
    const key = keyOf(socket)
    const drop = (why: string) => {
      this.logger.warn({ from: socket.remoteAddress }, why)
      this.#forget(key)
      socket.destroy()
    }
    const [oldestKey, oldest] = this.#sockets.entries().next().value ?? []
    if (oldestKey !== undefined && oldest !== undefined && this.#sockets.size >= this.limits.pendingSockets) {
      this.logger.warn(
        { from: oldest.socket.remoteAddress },
        'dropped the oldest of too many connections without a hello',
      )
      this.#forget(oldestKey)
      oldest.socket.destroy()
    }
    const timer = setTimeout(
      () => drop('dropped a connection that said no hello in time'),
      this.limits.handshakeMilliseconds,
    )
    this.#sockets.set(key, { socket, timer })
    socket.once('close', () => {
      if (this.#sockets.get(key)?.socket === socket) this.#forget(key)
    })
  }

  /** The socket has said its hello. */
  release(socket: Socket): void {
    this.#forget(keyOf(socket))
  }

  destroyAll(): void {
    for (const [key, { socket }] of this.#sockets) {
      this.#forget(key)
      socket.destroy()
    }
  }

  #forget(key: string): void {
    clearTimeout(this.#sockets.get(key)?.timer)
    this.#sockets.delete(key)
  }
}
