/** Times and bounds, with the defaults that docs/protocol.md states. */
import { pino } from 'pino'

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
}

/** How long the last words on a socket (an error, a goodbye) may take to leave. */
export const LINGER_MILLISECONDS = 1000

export const silent = pino({ level: 'silent' })
