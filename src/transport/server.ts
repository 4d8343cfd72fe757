/** The server's end: listens, authenticates, and hands each connection to what its first message says it is. */
import { createServer, type TLSSocket, type Server as TlsServer } from 'node:tls'
import type { Logger } from 'pino'
import type { z } from 'zod'
import { AbortError, ArgumentError, FlockerError, NotAuthorizedError, TransportError } from '../errors.js'
import type { Credentials } from './credentials.js'
import { carrierOf, movesOn, type PlaneChoice, planeOf, stopReading } from './data-session.js'
import {
  commonVersion,
  decodeMessage,
  describeVersions,
  encodeMessage,
  type Opening,
  openingSchema,
  type Reply,
  VERSIONS,
} from './messages.js'
import type { Handler } from './method.js'
import { Pending } from './pending.js'
import { ServedConnection } from './server-connection.js'
import { checkKeyBytes, HEARTBEAT, type Heartbeat, LIMITS, type Limits, silent } from './settings.js'
import { endWith, readMessage } from './socket.js'
import { Tickets } from './tickets.js'
import { tlsOptions, tune, vetClient } from './tls.js'
import { toWire } from './wire-error.js'

export interface ListenOptions {
  /** The address to listen on. All unless given. */
  host?: string
  /** 0 for any that is free; see {@link Server.port}. */
  port: number
  credentials: Credentials
  /** What this host says of itself to authenticated clients. At most 16 KiB as JSON. */
  hello?: Record<string, z.core.util.JSONType>
  handlers: readonly Handler[]
  heartbeat?: Partial<Heartbeat>
  limits?: Partial<Limits>
  /** What moves streams at this end; see {@link ConnectOptions.dataPlane}. Default `auto`. */
  dataPlane?: PlaneChoice
  logger?: Logger
}

/** What serves peers, until it is closed. */
export interface Server extends AsyncDisposable {
  /** The port that it listens on. */
  readonly port: number
  /** The number of control connections. */
  readonly connections: number
  /** Stops listening, ends all connections, tells handlers to stop and waits until they have. */
  close(): Promise<void>
}

type DataOpening = Extract<Opening, { type: 'data' }>

class Listener implements Server {
  readonly #server: TlsServer
  readonly #options: ListenOptions
  readonly #limits: Limits
  readonly #heartbeat: Heartbeat
  readonly #logger: Logger
  readonly #handlers: ReadonlyMap<string, Handler>
  readonly #tickets = new Tickets()
  readonly #pending: Pending
  readonly #served = new Set<ServedConnection>()
  #closing: Promise<void> | undefined

  constructor(options: ListenOptions) {
    this.#options = options
    this.#limits = { ...LIMITS, ...options.limits }
    this.#heartbeat = { ...HEARTBEAT, ...options.heartbeat }
    this.#logger = options.logger ?? silent
    checkKeyBytes(this.#limits.keyBytes)
    this.#handlers = new Map(options.handlers.map((handler) => [handler.method.name, handler]))
    if (this.#handlers.size !== options.handlers.length) throw new ArgumentError('Two handlers answer the same method')
    this.#pending = new Pending(this.#limits, this.#logger)
    // Anybody may finish the handshake, nobody is heard before vetClient: TLS alone would hang up without saying why.
    this.#server = createServer({
      ...tlsOptions(options.credentials),
      honorCipherOrder: true,
      requestCert: true,
      rejectUnauthorized: false,
    })
    this.#server.on('connection', (socket) => this.#pending.add(socket))
    this.#server.on('tlsClientError', (error, socket) => {
      this.#logger.warn({ error: error.message, from: socket.remoteAddress }, 'a TLS handshake failed')
      socket.destroy()
    })
    this.#server.on('secureConnection', (socket) => void this.#welcome(socket))
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : this.#options.port
  }

  get connections(): number {
    return this.#served.size
  }

  listen(): Promise<void> {
    const { host, port } = this.#options
    return new Promise((resolve, reject) => {
      const failed = (cause: Error) =>
        reject(new ArgumentError(`Can't listen on ${host ?? '*'}:${port}: ${cause.message}`, { cause }))
      this.#server.once('error', failed)
      this.#server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
        this.#server.off('error', failed)
        this.#server.on('error', (error) => this.#logger.error({ err: error }, 'the listening socket failed'))
        resolve()
      })
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    const stopped = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#pending.destroyAll()
    const reason = new AbortError('This host is closing its server')
    await Promise.all([...this.#served].map((connection) => connection.close(reason)))
    await stopped
  }

  /** From the end of the TLS handshake to a connection that is in use, or refused. Never rejects. */
  async #welcome(socket: TLSSocket): Promise<void> {
    const from = socket.remoteAddress
    socket.on('error', (error) => this.#logger.debug({ error: error.message, from }, 'a socket failed'))
    tune(socket)
    const vetted = vetClient(socket)
    if ('refusal' in vetted) {
      const { refusal, next } = vetted
      const error = new TransportError(
        'TLS_FAILED',
        `${this.#options.credentials.identity} refused this host: ${refusal}`,
        { next },
      )
      return this.#refuse(socket, error)
    }
    const { identity } = vetted
    try {
      const opening = decodeMessage(await readMessage(socket, this.#limits.helloBytes), openingSchema, identity)
      this.#open(socket, identity, opening)
    } catch (error) {
      if (error instanceof FlockerError) this.#refuse(socket, error, identity)
      // The peer left, or was too slow and was dropped.
      else socket.destroy()
    }
  }

  #open(socket: TLSSocket, identity: string, opening: Opening): void {
    const version = commonVersion(VERSIONS, opening.versions)
    if (version === undefined) {
      const message = `No protocol version in common: this host speaks ${describeVersions(VERSIONS)}, ${identity} ${describeVersions(opening.versions)}`
      throw new TransportError('VERSION', message, { next: 'Upgrade the older of the two.' })
    }
    if (this.#closing) throw new TransportError('PEER_LOST', 'This host is closing its server')
    if (opening.type === 'data') {
      this.#openData(socket, identity, opening, version)
      return
    }
    this.#settled(socket, { type: 'welcome', version, hello: this.#options.hello ?? {} })
    const logger = this.#logger.child({ peer: identity })
    const connection = new ServedConnection(socket, {
      identity,
      hello: opening.hello,
      handlers: this.#handlers,
      tickets: this.#tickets,
      heartbeat: this.#heartbeat,
      limits: this.#limits,
      logger,
    })
    this.#served.add(connection)
    logger.info('connected')
    void connection.ended.then((error) => {
      this.#served.delete(connection)
      logger.info({ error: error?.message }, 'disconnected')
    })
  }

  #openData(socket: TLSSocket, identity: string, opening: DataOpening, version: number): void {
    const take = this.#tickets.redeem(opening.ticket, identity)
    if (take === undefined) {
      throw new NotAuthorizedError('The ticket is unknown, was used, has expired or belongs to another host', {
        next: 'Ask for a new one: a ticket is good for one data connection, soon after it was made.',
      })
    }
    const choice = this.#options.dataPlane ?? 'auto'
    const ours = planeOf(socket, choice, this.#logger)
    const { keyBytes, handshakeMilliseconds: milliseconds } = this.#limits
    const end = { role: 'server', peer: identity, ours, theirs: opening.plane, choice, keyBytes, milliseconds } as const
    const moves = movesOn(end)
    if (moves) stopReading(socket)
    this.#settled(socket, { type: 'welcome', version, ...(moves ? { plane: ours } : {}) }, () => {
      void carrierOf(socket, end).then(take)
    })
  }

  #settled(socket: TLSSocket, reply: Reply, said?: () => void): void {
    this.#pending.release(socket)
    socket.write(encodeMessage(reply, this.#limits.helloBytes), said)
  }

  #refuse(socket: TLSSocket, error: FlockerError, identity?: string): void {
    this.#logger.warn(
      { peer: identity, from: socket.remoteAddress, code: error.code, error: error.message },
      'refused a connection',
    )
    const versions = error.code === 'VERSION' ? { versions: VERSIONS } : {}
    endWith(
      socket,
      encodeMessage({ type: 'refused', error: toWire(error), ...versions } satisfies Reply, this.#limits.helloBytes),
    )
  }
}

/**
 * Listens for hosts of the cluster.
 * @throws {ArgumentError} if the address can't be listened on, the hello is too long, a limit is out of range, or two handlers
 *   answer one method
 */
export async function listen(options: ListenOptions): Promise<Server> {
  encodeMessage(
    { type: 'welcome', version: VERSIONS.maximum, hello: options.hello ?? {} },
    { ...LIMITS, ...options.limits }.helloBytes,
  )
  if (options.host !== undefined && options.host === '') throw new ArgumentError('The address to listen on is empty')
  const listener = new Listener(options)
  await listener.listen()
  return listener
}
