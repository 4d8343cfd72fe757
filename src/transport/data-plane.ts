/**
 * The interface between the transport and whatever moves bulk data. A data plane gets a TLS connection that is established, authenticated and
 * bound to its transfer, and moves one stream over it and its successors, speaking the frames of docs/protocol.md. What it must keep:
 *
 * - bytes are never gathered beyond a small bound, and a slow sink slows the source;
 * - no connection carries more than `keyBytes` in either direction: the stream moves to a successor, which has keys of its own;
 * - success means that the peer said so: END with the right count, acknowledged after the sink took everything;
 * - on failure the peer is told why, within the linger time, and source or sink is destroyed with the error.
 */
import type { Readable, Writable } from 'node:stream'
import type { Logger } from 'pino'
import type { FlockerError } from '../errors.js'
import type { Carrier, PlaneName } from './carrier.js'
import type { RateLimiter } from './rate-limiter.js'
import type { Heartbeat } from './settings.js'

export interface TransferOptions {
  signal?: AbortSignal | undefined
  /** Called with the total so far, in bytes of the stream, for every chunk: be quick. */
  onBytes?: ((total: bigint) => void) | undefined
  /**
   * Of a sender: called with what the receiver's sink has taken so far, in bytes of the stream, a few times a second while that
   * grows, and with all of it when the receiver has confirmed it.
   */
  onTaken?: ((total: bigint) => void) | undefined
  /** Of a sender: bounds what goes into the connection, in bytes per second. Transfers that are given the same one share it. */
  limiter?: RateLimiter | undefined
}

/** A data connection, used once, in one direction. Either end may be the sender. */
export interface DataChannel {
  /** The other end's authenticated identity. */
  readonly peer: string
  /** What moves the bytes at this end. */
  readonly plane: PlaneName
  /**
   * Sends everything in the source and resolves with the number of bytes once the peer has confirmed that its sink took
   * them all. The source is destroyed on failure.
   * @throws {AbortError} if the signal fired or the channel was destroyed
   * @throws {TransportError} `PEER_LOST`, `GARBLED` or `PROTOCOL`
   * @throws whatever error the receiver told of
   */
  send(source: Readable, options?: TransferOptions): Promise<bigint>
  /**
   * Receives into the sink, ends it, and resolves with the number of bytes once the sink has finished and the peer was
   * told so. The sink is destroyed on failure.
   * @throws as {@link send}; a connection that closes before the end of the stream is `PEER_LOST`
   */
  receive(sink: Writable, options?: TransferOptions): Promise<bigint>
  /** Ends both ends at once; an operation in work rejects with the error. Default an {@link AbortError}. */
  destroy(error?: FlockerError): void
}

/** What a data plane works on. */
export interface DataLink {
  /** The plane closes it. */
  readonly carrier: Carrier
  readonly peer: string
  readonly heartbeat: Heartbeat
  readonly logger: Logger
  /** Bytes that a connection's keys may carry, in each direction. */
  readonly keyBytes: number
  /** How long to wait for what nothing holds up: the other end's first word, a successor. */
  readonly readyMilliseconds: number
  readonly successors: Successors
  /** To be called whenever bytes arrive: they prove that the peer lives. */
  heard(): void
}

/**
 * Where further connections for the same stream come from: as {@link DataLink.carrier}, and the plane's to close. The client dials and the
 * server makes the tickets, whichever of them sends.
 */
export type Successors =
  | { readonly role: 'client'; open(ticket: string, signal: AbortSignal): Promise<Carrier> }
  | { readonly role: 'server'; offer(events: TicketEvents): Ticket }

export interface TicketEvents {
  /** The peer has opened the connection that the ticket stands for. */
  redeemed(carrier: Carrier): void
  /** Another host has shown the ticket, which is void now. */
  spoiled(error: FlockerError): void
}

/** Stands for one data connection by one peer. */
export interface Ticket {
  /** 256 random bits, base64url. */
  readonly ticket: string
  /** Makes it void, if it was not used. */
  withdraw(): void
}
