/** What a client is told that can't be served, in its own protocol. */
import type { Socket } from 'node:net'
import type { RouteAddress } from '../router.js'

/** `unknown`: there is no route by that name. `invalid`: it said nothing that can be understood. `unavailable`: nobody serves it now. */
export type Refusal = 'unknown' | 'invalid' | 'unavailable'

const LINGER_MILLISECONDS = 1000
/** TLS alerts, fatal: unrecognized_name (RFC 6066), decode_error and internal_error (RFC 8446, section 6.2). */
const ALERTS = { unknown: 112, invalid: 50, unavailable: 80 } as const
const STATUS = {
  unknown: '421 Misdirected Request',
  invalid: '400 Bad Request',
  unavailable: '503 Service Unavailable',
} as const

/** Tells the client, and closes the connection. */
export function refuse(client: Socket, kind: RouteAddress['kind'], refusal: Refusal): void {
  if (kind === 'tcp') {
    client.destroy()
    return
  }
  client.end(kind === 'tls' ? Buffer.from([21, 3, 3, 0, 2, 2, ALERTS[refusal]]) : response(STATUS[refusal]))
  // Closed with bytes unread, the client's system would drop the answer that it has not read yet.
  client.resume()
  const timer = setTimeout(() => client.destroy(), LINGER_MILLISECONDS)
  client.once('end', () => client.destroy())
  client.once('close', () => clearTimeout(timer))
}

function response(status: string): string {
  const body = `${status}\n`
  const head = [`HTTP/1.1 ${status}`, 'Content-Type: text/plain', `Content-Length: ${body.length}`, 'Connection: close']
  return `${head.join('\r\n')}\r\n\r\n${body}`
}
