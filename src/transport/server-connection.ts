/** The server's end of one control connection: takes requests, runs handlers, keeps their data channels. */
import type { TLSSocket } from 'node:tls'
import type { Logger } from 'pino'
import { z } from 'zod'
import { AbortError, type FlockerError, TransportError } from '../errors.js'
import type { Carrier } from './carrier.js'
import { Channel } from './channel.js'
import { ControlLink } from './control.js'
import { type ClientMessage, clientMessageSchema, type ServerMessage } from './messages.js'
import { type DataOffer, describeIssues, type Handler, type RequestContext, type ServerConnection } from './method.js'
import { Offer } from './offer.js'
import type { Heartbeat, Limits } from './settings.js'
import type { Tickets } from './tickets.js'
import { toWire } from './wire-error.js'

type JsonObject = Record<string, z.core.util.JSONType>
type Request = Extract<ClientMessage, { type: 'request' }>

/** How long handlers may take to stop once their signal has fired. */
const STOP_MILLISECONDS = 5000

export interface ServerConnectionOptions {
  identity: string
  hello: JsonObject
  handlers: ReadonlyMap<string, Handler>
  tickets: Tickets
  heartbeat: Heartbeat
  limits: Limits
  logger: Logger
}

/** A request in work. */
interface Running {
  readonly stop: AbortController
  readonly offers: Offer[]
  done: Promise<void>
}

export class ServedConnection implements ServerConnection {
  readonly identity: string
  readonly remoteHello: Readonly<JsonObject>
  readonly #options: ServerConnectionOptions
  readonly #link: ControlLink<ClientMessage>
  readonly #running = new Map<number, Running>()
  readonly #offers = new Map<Offer, Channel | undefined>()
  #lastId = 0

  constructor(socket: TLSSocket, options: ServerConnectionOptions) {
    this.identity = options.identity
    this.remoteHello = options.hello
    this.#options = options
    this.#link = new ControlLink<ClientMessage>(socket, {
      peer: options.identity,
      schema: clientMessageSchema,
      messageBytes: options.limits.messageBytes,
      heartbeat: options.heartbeat,
      logger: options.logger,
      holdBack: true,
      onMessage: (message) => (message.type === 'request' ? this.#request(message) : this.#cancel(message.id)),
    })
    this.#link.signal.addEventListener('abort', () => this.#ended(this.#link.signal.reason), { once: true })
  }

  get signal(): AbortSignal {
    return this.#link.signal
  }

  get ended(): Promise<FlockerError | undefined> {
    return this.#link.ended
  }

  /** Closes in order. Resolves once the sockets are gone and the handlers, which were told to stop, have, or took too long. */
  async close(reason: FlockerError): Promise<void> {
    const channels = [...this.#offers.values()]
    const handlers = [...this.#running.values()]
    await this.#link.close(reason)
    await this.#stopped(handlers)
    await Promise.all(channels.map((channel) => channel?.closed))
  }

  async #stopped(handlers: readonly Running[]): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.#options.logger.error({ running: this.#running.size }, 'handlers ignored the signal to stop and still run')
        resolve()
      }, STOP_MILLISECONDS)
    })
    await Promise.race([Promise.all(handlers.map((running) => running.done)), late])
    clearTimeout(timer)
  }

  #request(message: Request): void {
    const { id, method } = message
    if (id <= this.#lastId) throw new TransportError('PROTOCOL', `Request ${id} was made twice or out of order`)
    this.#lastId = id
    const { handlers, limits } = this.#options
    if (this.#running.size >= limits.requests) {
      this.#refuse(id, new TransportError('PEER_BUSY', `${limits.requests} requests are in work already`))
      return
    }
    const handler = handlers.get(method)
    if (handler === undefined) {
      this.#refuse(id, new TransportError('PROTOCOL', `There is no method ${JSON.stringify(method)}`))
      return
    }
    const params = z.safeDecode(handler.method.params, message.params)
    if (!params.success) {
      this.#refuse(id, new TransportError('PROTOCOL', `Bad parameters for ${method} (${describeIssues(params.error)})`))
      return
    }
    const running: Running = { stop: new AbortController(), offers: [], done: Promise.resolve() }
    this.#running.set(id, running)
    running.done = this.#run(id, handler, params.data, running)
  }

  #refuse(id: number, error: FlockerError): void {
    this.#link.send({ type: 'error', id, error: toWire(error) })
  }

  async #run(id: number, handler: Handler, params: unknown, running: Running): Promise<void> {
    const logger = this.#options.logger.child({ method: handler.method.name, request: id })
    try {
      const result = await handler.run(params, this.#context(id, handler, running, logger))
      this.#link.send({ type: 'result', id, result: z.encode(handler.method.result, result) })
    } catch (error) {
      // Anything that the request had opened is of no use to anybody now.
      const wire = toWire(error, logger)
      const reason = new AbortError(`The request ${handler.method.name} failed`, { cause: error })
      for (const offer of running.offers) offer.fail(reason)
      this.#link.send({ type: 'error', id, error: wire })
    } finally {
      this.#running.delete(id)
    }
  }

  #context(id: number, { method }: Handler, running: Running, logger: Logger): RequestContext<unknown> {
    return {
      peer: this.identity,
      connection: this,
      signal: running.stop.signal,
      logger,
      offerData: () => this.#offer(running),
      emit: (event) =>
        this.#link.send({ type: 'event', id, event: z.encode(method.event, event) } satisfies ServerMessage),
    }
  }

  #offer(running: Running): DataOffer {
    const { tickets, limits } = this.#options
    if (running.stop.signal.aborted) throw running.stop.signal.reason
    if (this.#offers.size >= limits.offers) {
      throw new TransportError('PEER_BUSY', `${limits.offers} data connections are open or on offer already`)
    }
    const offer = new Offer(tickets, {
      peer: this.identity,
      milliseconds: limits.ticketMilliseconds,
      open: (carrier) => {
        const channel = this.#channel(carrier)
        this.#offers.set(offer, channel)
        void channel.closed.then(() => this.#offers.delete(offer))
        return channel
      },
      onFailed: () => this.#offers.delete(offer),
    })
    this.#offers.set(offer, undefined)
    running.offers.push(offer)
    return offer
  }

  #channel(carrier: Carrier): Channel {
    const { heartbeat, limits, logger, tickets } = this.#options
    return new Channel({
      carrier,
      peer: this.identity,
      heartbeat,
      logger,
      keyBytes: limits.keyBytes,
      readyMilliseconds: limits.handshakeMilliseconds,
      successors: { role: 'server', offer: (events) => tickets.issue(this.identity, events) },
      heard: () => this.#link.heard(),
    })
  }

  #cancel(id: number): void {
    const running = this.#running.get(id)
    if (running === undefined) return
    const reason = new AbortError(`${this.identity} cancelled the request`, { peer: this.identity })
    running.stop.abort(reason)
    for (const offer of running.offers) offer.fail(reason)
  }

  #ended(reason: FlockerError): void {
    for (const { stop } of this.#running.values()) stop.abort(reason)
    for (const offer of [...this.#offers.keys()]) offer.fail(reason, this.#link.leftInOrder)
  }
}
