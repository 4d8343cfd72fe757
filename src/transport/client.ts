/** The client's end: dialling, requests, and data connections. */
import { createSecureContext, type TLSSocket } from 'node:tls'
import type { Logger } from 'pino'
import { z } from 'zod'
import {
  ArgumentError,
  abortReason,
  type FlockerError,
  TimeoutError,
  TransportError,
  throwIfAborted,
} from '../errors.js'
import type { Carrier } from './carrier.js'
import { Channel } from './channel.js'
import { ControlLink } from './control.js'
import type { Credentials } from './credentials.js'
import type { DataChannel } from './data-plane.js'
import { carrierOf, type PlaneChoice, planeOf } from './data-session.js'
import { type DialTarget, dial } from './dial.js'
import { type Opening, type ServerMessage, serverMessageSchema, VERSIONS } from './messages.js'
import { describeIssues, type Method } from './method.js'
import { checkKeyBytes, HEARTBEAT, type Heartbeat, LIMITS, silent } from './settings.js'
import { tlsOptions } from './tls.js'
import { fromWire } from './wire-error.js'

export type Hello = Record<string, z.core.util.JSONType>

export interface ConnectOptions extends Pick<DialTarget, 'host' | 'port' | 'expectIdentity'> {
  credentials: Credentials
  /** What this host says of itself. At most 16 KiB as JSON. */
  hello?: Hello
  /** Ends the attempt, not the connection. */
  signal?: AbortSignal
  /** For the whole attempt: connection, handshake, hello. Default 10,000. */
  timeoutMilliseconds?: number
  heartbeat?: Partial<Heartbeat>
  /** Bytes of one control message; both ends must agree. Default 1 MiB. */
  messageBytes?: number
  /**
   * Bytes that a connection's keys may carry, in each direction, before a stream moves to another data connection. A control
   * connection that has carried as much closes when nothing is in work. Default and at most 64 GiB.
   */
  keyBytes?: number
  /**
   * What moves streams at this end: `auto` (default) is the native data plane, where this Node.js allows it, and JavaScript elsewhere;
   * `kernel-tls` is the same with TLS records made and read by the kernel, where that can; the other end need not do the same.
   */
  dataPlane?: PlaneChoice
  logger?: Logger
}

export interface RequestOptions<Event = never> {
  /** Cancels the request on both ends. */
  signal?: AbortSignal
  /** No deadline unless given: a dead peer is noticed by heartbeats. */
  timeoutMilliseconds?: number
  /** Called with each event that the handler emits, in order, before the request resolves. */
  onEvent?: (event: Event) => void
}

/** An authenticated connection to another host. */
export interface Connection extends AsyncDisposable {
  /** The other host's identity, from its certificate. */
  readonly identity: string
  /** What the other host said of itself. */
  readonly remoteHello: Readonly<Hello>
  /** Whether it can be asked still. */
  readonly isOpen: boolean
  /** Resolves at the end of the connection: with the error that ended it, or undefined if either end closed it in order. */
  readonly closed: Promise<FlockerError | undefined>
  /**
   * Asks the other host.
   * @throws {ArgumentError} if the parameters don't fit the method, before anything is sent
   * @throws {AbortError | TimeoutError} if the signal fired or the deadline passed; the other end is told
   * @throws {TransportError} `PEER_LOST` or `GARBLED` if the connection ended, `PROTOCOL` if the answer doesn't fit the method
   * @throws whatever FlockerError the handler threw; `INTERNAL` with a reference if it threw anything else
   */
  request<P extends z.ZodType, R extends z.ZodType, E extends z.ZodType>(
    method: Method<P, R, E>,
    params: z.output<P>,
    options?: RequestOptions<z.output<E>>,
  ): Promise<z.output<R>>
  /**
   * Opens the data connection that a ticket stands for.
   * @throws {NotAuthorizedError} if the ticket is unknown, used, expired or another host's
   * @throws {TransportError | AbortError} as {@link connect}
   */
  openData(ticket: string, options?: { signal?: AbortSignal }): Promise<DataChannel>
  /** Ends the connection and its data channels; outstanding requests reject with an AbortError. Resolves when all sockets are gone. */
  close(): Promise<void>
}

interface Pending {
  method: Method
  onEvent: ((event: never) => void) | undefined
  resolve(result: unknown): void
  reject(error: unknown): void
}

type Answer = Exclude<ServerMessage, { type: 'heartbeat' | 'bye' }>

class ClientConnection implements Connection {
  readonly identity: string
  readonly remoteHello: Readonly<Hello>
  readonly #link: ControlLink<ServerMessage>
  readonly #target: DialTarget
  readonly #heartbeat: Heartbeat
  readonly #keyBytes: number
  readonly #plane: PlaneChoice
  readonly #logger: Logger
  readonly #pending = new Map<number, Pending>()
  readonly #channels = new Set<Channel>()
  #lastId = 0

  constructor(socket: TLSSocket, identity: string, hello: Hello, target: DialTarget, options: ConnectOptions) {
    this.identity = identity
    this.remoteHello = hello
    this.#target = target
    this.#logger = target.logger
    this.#heartbeat = { ...HEARTBEAT, ...options.heartbeat }
    this.#keyBytes = options.keyBytes ?? LIMITS.keyBytes
    this.#plane = options.dataPlane ?? 'auto'
    this.#link = new ControlLink<ServerMessage>(socket, {
      peer: identity,
      schema: serverMessageSchema,
      messageBytes: options.messageBytes ?? LIMITS.messageBytes,
      heartbeat: this.#heartbeat,
      logger: this.#logger,
      holdBack: false,
      onMessage: (message) => this.#answer(message),
    })
    this.#link.signal.addEventListener('abort', () => this.#ended(this.#link.signal.reason), { once: true })
  }

  get isOpen(): boolean {
    return !this.#link.signal.aborted
  }

  get closed(): Promise<FlockerError | undefined> {
    return this.#link.ended
  }

  async request<P extends z.ZodType, R extends z.ZodType, E extends z.ZodType>(
    method: Method<P, R, E>,
    params: z.output<P>,
    options: RequestOptions<z.output<E>> = {},
  ): Promise<z.output<R>> {
    const { signal, timeoutMilliseconds } = options
    const what = `The request ${method.name} to ${this.identity}`
    throwIfAborted(signal, what)
    throwIfAborted(this.#link.signal, what)
    const encoded = z.safeEncode(method.params, params)
    if (!encoded.success) throw new ArgumentError(`${what} has bad parameters (${describeIssues(encoded.error)})`)
    this.#lastId += 1
    const id = this.#lastId
    this.#link.send({ type: 'request', id, method: method.name, params: encoded.data })

    let timer: NodeJS.Timeout | undefined
    let aborted: (() => void) | undefined
    try {
      const result = await new Promise<unknown>((resolve, reject) => {
        this.#pending.set(id, { method, onEvent: options.onEvent as Pending['onEvent'], resolve, reject })
        const cancel = (error: FlockerError) => {
          this.#link.send({ type: 'cancel', id })
          reject(error)
        }
        aborted = () => signal && cancel(abortReason(signal, what))
        signal?.addEventListener('abort', aborted, { once: true })
        if (timeoutMilliseconds !== undefined) {
          const late = () =>
            cancel(
              new TimeoutError(`${what} was not answered within ${timeoutMilliseconds} ms`, { peer: this.identity }),
            )
          timer = setTimeout(late, timeoutMilliseconds)
        }
      })
      return result as z.output<R>
    } finally {
      this.#pending.delete(id)
      clearTimeout(timer)
      if (aborted) signal?.removeEventListener('abort', aborted)
      this.#retire()
    }
  }

  async openData(ticket: string, { signal }: { signal?: AbortSignal } = {}): Promise<DataChannel> {
    return this.#adopt(await this.#dialData(ticket, signal))
  }

  async close(): Promise<void> {
    const closing = this.#link.close()
    await Promise.all([closing, ...[...this.#channels].map((channel) => channel.closed)])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #dialData(ticket: string, signal: AbortSignal | undefined): Promise<Carrier> {
    throwIfAborted(this.#link.signal, 'The data connection')
    const stop = new AbortController()
    const forwards = [signal, this.#link.signal].flatMap((from) => {
      if (from === undefined) return []
      const forward = () => stop.abort(from.reason)
      if (from.aborted) forward()
      from.addEventListener('abort', forward, { once: true })
      return [() => from.removeEventListener('abort', forward)]
    })
    try {
      const target = { ...this.#target, expectIdentity: this.identity }
      const opening = (socket: TLSSocket): Opening => {
        const plane = planeOf(socket, this.#plane, this.#logger)
        return { type: 'data', versions: VERSIONS, ticket, ...(plane === undefined ? {} : { plane }) }
      }
      const { socket, opened, reply } = await dial(target, opening, stop.signal)
      const ours = opened.type === 'data' ? opened.plane : undefined
      const { timeoutMilliseconds: milliseconds } = target
      const planes = { choice: this.#plane, ours, theirs: reply.plane }
      const end = { peer: this.identity, ...planes, keyBytes: this.#keyBytes, milliseconds }
      return await carrierOf(socket, { role: 'client', ...end })
    } finally {
      for (const stopForwarding of forwards) stopForwarding()
    }
  }

  #adopt(carrier: Carrier): Channel {
    const channel = new Channel({
      carrier,
      peer: this.identity,
      heartbeat: this.#heartbeat,
      logger: this.#logger,
      keyBytes: this.#keyBytes,
      readyMilliseconds: this.#target.timeoutMilliseconds,
      successors: { role: 'client', open: (ticket, signal) => this.#dialData(ticket, signal) },
      heard: () => this.#link.heard(),
    })
    this.#channels.add(channel)
    void channel.closed.then(() => {
      this.#channels.delete(channel)
      this.#retire()
    })
    if (this.#link.signal.aborted) channel.destroy(this.#link.signal.reason)
    return channel
  }

  /** Closes the connection once its keys have carried enough and nobody needs it. */
  #retire(): void {
    if (this.#link.carried < this.#keyBytes || this.#pending.size > 0 || this.#channels.size > 0) return
    const message = `The connection with ${this.identity} has carried all that its keys may, and was closed`
    void this.#link.close(new TransportError('PEER_LOST', message, { peer: this.identity, next: 'Connect anew.' }))
  }

  #answer(message: Answer): void {
    const pending = this.#pending.get(message.id)
    if (pending === undefined) {
      // An answer that crossed with our cancel is nothing; one to a question never asked is.
      if (message.id <= this.#lastId) return
      throw new TransportError('PROTOCOL', 'The peer answered a request that was never made', { peer: this.identity })
    }
    if (message.type === 'error') {
      pending.reject(fromWire(message.error, this.identity))
      return
    }
    const isEvent = message.type === 'event'
    const schema = isEvent ? pending.method.event : pending.method.result
    const decoded = z.safeDecode(schema, isEvent ? message.event : message.result)
    if (!decoded.success) {
      const what = `${this.identity}'s ${message.type} for ${pending.method.name} is not what the method says`
      pending.reject(
        new TransportError('PROTOCOL', `${what} (${describeIssues(decoded.error)})`, { peer: this.identity }),
      )
      return
    }
    if (!isEvent) {
      pending.resolve(decoded.data)
      return
    }
    try {
      pending.onEvent?.(decoded.data as never)
    } catch (error) {
      // The caller's own fault ends the caller's request, not the connection that others share.
      this.#link.send({ type: 'cancel', id: message.id })
      pending.reject(error)
    }
  }

  #ended(reason: FlockerError): void {
    for (const pending of this.#pending.values()) pending.reject(reason)
    for (const channel of this.#channels) {
      if (this.#link.leftInOrder) channel.leave(reason)
      else channel.destroy(reason)
    }
  }
}

/**
 * Connects to a host and authenticates it.
 * @throws {TransportError} `PEER_UNREACHABLE` if nothing answers in time, `TLS_FAILED` if either end's certificate is
 *   refused (the message says whose and why), `VERSION` if there is no common protocol version, `PEER_LOST` if the other end
 *   hangs up, `PROTOCOL` if it says something else
 * @throws {AbortError} if the signal fired
 * @throws {ArgumentError} if `keyBytes` is out of range
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  checkKeyBytes(options.keyBytes ?? LIMITS.keyBytes)
  const target: DialTarget = {
    host: options.host,
    port: options.port,
    secureContext: createSecureContext(tlsOptions(options.credentials)),
    expectIdentity: options.expectIdentity,
    timeoutMilliseconds: options.timeoutMilliseconds ?? LIMITS.handshakeMilliseconds,
    helloBytes: LIMITS.helloBytes,
    logger: options.logger ?? silent,
  }
  const opening = { type: 'control', versions: VERSIONS, hello: options.hello ?? {} } as const
  const { socket, identity, reply } = await dial(target, () => opening, options.signal)
  return new ClientConnection(socket, identity, reply.hello ?? {}, target, options)
}
