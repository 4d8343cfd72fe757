/** Typed methods: what a host can be asked to do, with schemas for what goes in, what comes back and what is told meanwhile. */
import type { Logger } from 'pino'
import { z } from 'zod'
import type { DataChannel } from './data-plane.js'

/** A uint64: `bigint` in the program, a decimal string on the wire, since JSON's numbers end at 2^53. */
export const uint64 = z.codec(
  z.string().regex(/^(?:0|[1-9][0-9]{0,19})$/),
  z.bigint().min(0n).max(0xffff_ffff_ffff_ffffn),
  {
    decode: (text) => BigInt(text),
    encode: (value) => value.toString(),
  },
)

export interface MethodSchemas<P extends z.ZodType, R extends z.ZodType, E extends z.ZodType> {
  params: P
  result: R
  /** What the handler may tell while it works, such as progress or a ticket. None unless given. */
  event?: E
}

export interface Method<
  P extends z.ZodType = z.ZodType,
  R extends z.ZodType = z.ZodType,
  E extends z.ZodType = z.ZodType,
> {
  readonly name: string
  readonly params: P
  readonly result: R
  readonly event: E
}

/** Declares a method; both ends share the declaration. */
export function defineMethod<P extends z.ZodType, R extends z.ZodType, E extends z.ZodType = z.ZodNever>(
  name: string,
  schemas: MethodSchemas<P, R, E>,
): Method<P, R, E> {
  return { name, params: schemas.params, result: schemas.result, event: schemas.event ?? (z.never() as z.ZodType as E) }
}

/** A place for one data connection, made before the peer opens it. */
export interface DataOffer {
  /** To be told to the peer: 256 random bits, base64url. Good for one use by that peer within the server's `ticketMilliseconds`. */
  readonly ticket: string
  /**
   * The channel, once the peer has redeemed the ticket.
   * @throws {TimeoutError} if it did not in time
   * @throws {AbortError} if the signal fired, the offer was cancelled or its request was
   * @throws {TransportError} `PEER_LOST` if the control connection was lost
   */
  channel(signal?: AbortSignal): Promise<DataChannel>
  /** Withdraws the ticket and destroys the channel if there is one. */
  cancel(): void
}

/** The server's end of a connection, as a handler sees it. */
export interface ServerConnection {
  /** The client's authenticated identity. */
  readonly identity: string
  /** What the client said of itself. Not to be trusted with more than its certificate says. */
  readonly remoteHello: Readonly<Record<string, z.core.util.JSONType>>
  /** Fires when the connection is lost or closed; its reason is a FlockerError. */
  readonly signal: AbortSignal
}

/** What a handler knows besides its parameters. */
export interface RequestContext<Event = never> {
  /** The client's authenticated identity. */
  readonly peer: string
  readonly connection: ServerConnection
  /** Fires when the request is cancelled or the connection lost; its reason is a FlockerError. */
  readonly signal: AbortSignal
  /** Child of the server's, bound to the peer and method. */
  readonly logger: Logger
  /**
   * Makes room for a data connection from this peer. It outlives the request if the request succeeds; if it fails or is
   * cancelled, the offer is cancelled and its channel destroyed. It never outlives the connection.
   */
  offerData(): DataOffer
  /** Tells the caller something while the request runs. */
  emit(event: Event): void
}

/** A method with the function that answers it. */
export interface Handler {
  readonly method: Method
  readonly run: (params: unknown, context: RequestContext<unknown>) => Promise<unknown>
}

/** Binds a function to a method. The parameters have been validated when it runs; its result is before it is sent. */
export function handle<P extends z.ZodType, R extends z.ZodType, E extends z.ZodType>(
  method: Method<P, R, E>,
  run: (params: z.output<P>, context: RequestContext<z.output<E>>) => Promise<z.output<R>> | z.output<R>,
): Handler {
  return {
    method,
    run: async (params, context) => await run(params as z.output<P>, context as RequestContext<z.output<E>>),
  }
}

/** The first three things a schema has against a value, as one line that shows no value. */
export function describeIssues(error: z.ZodError): string {
  return error.issues
    .slice(0, 3)
    .map((issue) => `${issue.path.map(String).join('.') || 'value'}: ${issue.message}`)
    .join('; ')
    .slice(0, 500)
}
