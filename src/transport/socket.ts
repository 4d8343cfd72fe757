/** Waiting on sockets, and letting them go. */
import type { Socket } from 'node:net'
import { checkLength } from './messages.js'
import { LINGER_MILLISECONDS } from './settings.js'

/** Resolves at the event; rejects with the socket's error, or undefined for a mere end, whichever is first. */
export function waitFor(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (then: () => void) => () => {
      for (const [name, listener] of listeners) socket.off(name, listener)
      then()
    }
    const failed = (error?: unknown) => settle(() => reject(error))()
    const listeners: ReadonlyArray<[string, (error?: unknown) => void]> = [
      [event, settle(resolve)],
      ['error', failed],
      ['end', settle(() => reject(undefined))],
      ['close', settle(() => reject(socket.errored ?? undefined))],
    ]
    for (const [name, listener] of listeners) socket.on(name, listener)
    if (socket.destroyed) failed(socket.errored ?? undefined)
  })
}

async function readExactly(socket: Socket, bytes: number): Promise<Buffer> {
  for (;;) {
    const chunk: Buffer | null = socket.read(bytes)
    if (chunk !== null && chunk.length === bytes) return chunk
    await waitFor(socket, 'readable')
  }
}

/** Reads one length-prefixed message and not a byte more. Rejects as {@link waitFor}, or with `PROTOCOL` for a bad length. */
export async function readMessage(socket: Socket, limit: number): Promise<Buffer> {
  const header = await readExactly(socket, 4)
  return await readExactly(socket, checkLength(header.readUInt32BE(), limit))
}

/**
 * Sends the last bytes and closes. What still arrives is read and dropped: closing with unread bytes makes the kernel send a
 * reset, which can overtake the last words.
 */
export function endWith(socket: Socket, last?: Buffer): void {
  if (socket.destroyed) return
  const timer = setTimeout(() => socket.destroy(), LINGER_MILLISECONDS)
  socket.once('close', () => clearTimeout(timer))
  socket.removeAllListeners('data')
  socket.removeAllListeners('readable')
  if (last === undefined) socket.end()
  else socket.end(last)
  socket.resume()
}

/** Resolves once the socket is closed. */
export function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve()
    else socket.once('close', () => resolve())
  })
}
