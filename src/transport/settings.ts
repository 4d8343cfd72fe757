/** Times and bounds, with the defaults that docs/protocol.md states. */
import { pino } from 'pino'
import { ArgumentError } from '../errors.js'

export interface Heartbeat {
  /** How often each end says that it is alive. Default 2000. */
  intervalMilliseconds: number
  /** After how much silence the other end is taken for lost. Default 6000. */
  timeoutMilliseconds: number
}

export interface Limits {
  /** Bytes of the first message of each side. Default 16 KiB. */
  helloBytes: number
  /** Bytes of every later control message. Default 1 MiB. */
  messageBytes: number
  /** From the TCP connection to a valid first message. Default 10,000. */
  handshakeMilliseconds: number
  /** Sockets that have not said a valid hello; beyond it the oldest is dropped. Default 64. */
  pendingSockets: number
  /** Requests in work for one connection. Default 64. */
  requests: number
  /** Offers of a data connection that one connection may have open. Default 64. */
  offers: number
  /** How long a ticket is good for. Default 30,000. */
  ticketMilliseconds: number
  /** Bytes that a data connection's keys may carry, in each direction, before its stream moves to another. Default 64 GiB. */
  keyBytes: number
}

export const HEARTBEAT: Heartbeat = { intervalMilliseconds: 2000, timeoutMilliseconds: 6000 }

export const LIMITS: Limits = {
  helloBytes: 16 * 1024,
  messageBytes: 1024 * 1024,
  handshakeMilliseconds: 10_000,
  pendingSockets: 64,
  requests: 64,
  offers: 64,
  ticketMilliseconds: 30_000,
  keyBytes: 64 * 1024 ** 3,
}

/** Below it a connection would be all handshake. */
const LEAST_KEY_BYTES = 256 * 1024

/**
 * More than 64 GiB a key nobody may ask for: AES-GCM's margin is used up after 2^24.5 records, about 389 GB (RFC 8446, section
 * 5.5), and neither Node.js nor OpenSSL counts.
 * @throws {ArgumentError}
 */
export function checkKeyBytes(keyBytes: number): number {
  if (Number.isInteger(keyBytes) && keyBytes >= LEAST_KEY_BYTES && keyBytes <= LIMITS.keyBytes) return keyBytes
  throw new ArgumentError(`A key can't be limited to ${keyBytes} bytes`, {
    next: `Give a whole number from ${LEAST_KEY_BYTES} to ${LIMITS.keyBytes} (64 GiB).`,
  })
}

/** How long the last words on a socket (an error, a goodbye) may take to leave. */
export const LINGER_MILLISECONDS = 1000

export const silent = pino({ level: 'silent' })
