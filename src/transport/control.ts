/** One end of a control connection: framed messages both ways, heartbeats, and one error for its end. */
import { setMaxListeners } from 'node:events'
import type { TLSSocket } from 'node:tls'
import type { Logger } from 'pino'
import type { z } from 'zod'
import { AbortError, FlockerError, TransportError } from '../errors.js'
import type { ClientMessage, ServerMessage } from './messages.js'
import { decodeMessage, encodeMessage, MessageDecoder } from './messages.js'
import type { Heartbeat } from './settings.js'
import { Silence } from './silence.js'
import { closed, endWith } from './socket.js'
import { lostError } from './tls.js'
import { fromWire, toWire } from './wire-error.js'

type Message = ClientMessage | ServerMessage

export interface ControlOptions<T extends Message> {
  peer: string
  schema: z.ZodType<T>
  messageBytes: number
  heartbeat: Heartbeat
  logger: Logger
  /** Whether to read nothing while what was sent waits to be read by the peer. */
  holdBack: boolean
  /** Takes every message but heartbeats and goodbyes. */
  onMessage(message: Exclude<T, { type: 'heartbeat' | 'bye' }>): void
}

export class ControlLink<T extends Message> {
  /** Resolves at the end of the connection: with an error, or undefined if either end closed it in order. */
  readonly ended: Promise<FlockerError | undefined>
  readonly #decoder: MessageDecoder
  readonly #silence: Silence
  readonly #end = new AbortController()
  #sent = 0
  #received = 0
  #left = false
  #resolveEnded: (error: FlockerError | undefined) => void = () => undefined

  constructor(
    readonly socket: TLSSocket,
    readonly options: ControlOptions<T>,
  ) {
    const { peer, heartbeat, messageBytes } = options
    // Every data connection that is being opened listens.
    setMaxListeners(0, this.#end.signal)
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve
    })
    this.#decoder = new MessageDecoder(messageBytes, peer)
    const beat = (): void => this.send({ type: 'heartbeat' })
    this.#silence = new Silence(heartbeat, heartbeat.timeoutMilliseconds, beat, this.#silent)
    socket.on('error', this.#lost)
    socket.on('close', this.#lost)
    socket.on('end', this.#lost)
    socket.on('data', this.#read)
    if (options.holdBack) socket.on('drain', () => socket.resume())
    socket.resume()
    if (socket.destroyed) this.#lost(socket.errored ?? undefined)
  }

  /** Fires at the end of the connection; its reason is what everything outstanding is to be rejected with. */
  get signal(): AbortSignal {
    return this.#end.signal
  }

  /** Bytes that went over the more used of the connection's two keys. */
  get carried(): number {
    return Math.max(this.#sent, this.#received)
  }

  /** Whether the peer has ended the connection in order: what its data connections still say comes before they close. */
  get leftInOrder(): boolean {
    return this.#left
  }

  /** Notes that the peer gave a sign of life elsewhere. */
  heard(): void {
    if (!this.#end.signal.aborted) this.#silence.heard()
  }

  /** @throws {ArgumentError} if the message is too long. A message on a connection that has ended is dropped. */
  send(message: Message): void {
    if (this.#end.signal.aborted) return
    const bytes = encodeMessage(message, this.options.messageBytes)
    this.#sent += bytes.length
    const ready = this.socket.write(bytes)
    // Who does not read our answers gets no further question read. Only one end may do so: two would wait for each other.
    if (!ready && this.options.holdBack) this.socket.pause()
  }

  /** Ends the connection because the peer broke the rules, telling it how. */
  fail(error: unknown): void {
    const { logger, peer, messageBytes } = this.options
    const wire = toWire(error, logger)
    this.#finish(
      error instanceof FlockerError ? error : fromWire(wire, peer),
      encodeMessage({ type: 'bye', error: wire }, messageBytes),
    )
  }

  /** Ends the connection in order and resolves once its socket is gone. `reason` is what outstanding work is rejected with. */
  async close(reason: FlockerError = new AbortError('The connection was closed')): Promise<void> {
    this.#finish(undefined, encodeMessage({ type: 'bye' }, this.options.messageBytes), reason)
    await closed(this.socket)
  }

  #finish(error: FlockerError | undefined, last: Buffer | undefined, reason: FlockerError | undefined = error): void {
    if (this.#end.signal.aborted) return
    this.#silence.stop()
    this.socket.off('data', this.#read)
    if (last === undefined) this.socket.destroy()
    else endWith(this.socket, last)
    this.#end.abort(reason)
    this.#resolveEnded(error)
  }

  readonly #read = (chunk: Buffer): void => {
    this.#received += chunk.length
    this.#silence.heard()
    try {
      for (const body of this.#decoder.push(chunk)) {
        if (this.#end.signal.aborted) return
        this.#take(decodeMessage<T>(body, this.options.schema, this.options.peer))
      }
    } catch (error) {
      this.fail(error)
    }
  }

  #take(message: T): void {
    if (message.type === 'heartbeat') return
    if (message.type === 'bye') {
      this.#bye(message)
      return
    }
    this.options.onMessage(message as Exclude<T, { type: 'heartbeat' | 'bye' }>)
  }

  #bye(message: { error?: Parameters<typeof fromWire>[0] | undefined }): void {
    const { peer } = this.options
    this.#left = message.error === undefined
    const error = message.error === undefined ? undefined : fromWire(message.error, peer)
    const reason = error ?? new TransportError('PEER_LOST', `${peer} closed the connection`, { peer })
    this.#finish(error, Buffer.alloc(0), reason)
  }

  readonly #silent = (milliseconds: number): void => {
    const { peer } = this.options
    const message = `${peer} was silent for ${milliseconds / 1000} s`
    this.#finish(new TransportError('PEER_LOST', message, { peer }), undefined)
  }

  readonly #lost = (error?: unknown): void => {
    this.#finish(lostError(error instanceof Error ? error : undefined, this.options.peer), undefined)
  }
}
