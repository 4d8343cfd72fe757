/** The messages of the control connection: u32 length (big-endian), then that many bytes of JSON. See docs/protocol.md. */
import { z } from 'zod'
import { ArgumentError, TransportError } from '../errors.js'
import { describeIssues } from './method.js'
import { wireErrorSchema } from './wire-error.js'

/** The protocol versions that this release speaks. */
export const VERSIONS = { minimum: 2, maximum: 2 } as const

const version = z.int().min(1).max(1_000_000)
const versions = z.object({ minimum: version, maximum: version })
const id = z.int().min(1)
const jsonObject = z.record(z.string(), z.json())

/** What moves the bytes at an end of a data connection; absent where it can't leave its first TLS session. */
const plane = z.enum(['native', 'javascript']).optional()

/** The client's first message: what this connection is for. */
export const openingSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('control'), versions, hello: jsonObject }),
  z.object({ type: z.literal('data'), versions, ticket: z.string().regex(/^[A-Za-z0-9_-]{43}$/), plane }),
])

/** The server's answer to it. */
export const replySchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('welcome'), version, hello: jsonObject.optional(), plane }),
  z.object({ type: z.literal('refused'), error: wireErrorSchema, versions: versions.optional() }),
])

const requestSchema = z.object({ type: z.literal('request'), id, method: z.string().max(128), params: z.unknown() })
const cancelSchema = z.object({ type: z.literal('cancel'), id })
const heartbeatSchema = z.object({ type: z.literal('heartbeat') })
const byeSchema = z.object({ type: z.literal('bye'), error: wireErrorSchema.optional() })

/** What a client says after its hello. */
export const clientMessageSchema = z.discriminatedUnion('type', [
  requestSchema,
  cancelSchema,
  heartbeatSchema,
  byeSchema,
])

/** What a server says after its welcome. */
export const serverMessageSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('result'), id, result: z.unknown() }),
  z.object({ type: z.literal('error'), id, error: wireErrorSchema }),
  z.object({ type: z.literal('event'), id, event: z.unknown() }),
  heartbeatSchema,
  byeSchema,
])

export type Opening = z.infer<typeof openingSchema>
export type Reply = z.infer<typeof replySchema>
export type ClientMessage = z.infer<typeof clientMessageSchema>
export type ServerMessage = z.infer<typeof serverMessageSchema>
export type Versions = z.infer<typeof versions>

/** The newest version that both sides speak, or undefined. */
export function commonVersion(ours: Versions, theirs: Versions): number | undefined {
  const newest = Math.min(ours.maximum, theirs.maximum)
  return newest >= Math.max(ours.minimum, theirs.minimum) ? newest : undefined
}

/** `1` or `1 to 3`. */
export const describeVersions = ({ minimum, maximum }: Versions): string =>
  minimum === maximum ? `${minimum}` : `${minimum} to ${maximum}`

/**
 * One message, framed.
 * @throws {ArgumentError} if it is longer than the limit in bytes that both ends keep
 */
export function encodeMessage(message: object, limit: number): Buffer {
  const text = JSON.stringify(message)
  const length = Buffer.byteLength(text)
  if (length > limit)
    throw new ArgumentError(`A message of ${length} bytes is longer than the ${limit} that the protocol allows`)
  const frame = Buffer.allocUnsafe(4 + length)
  frame.writeUInt32BE(length)
  frame.write(text, 4)
  return frame
}

/**
 * Parses and validates one message's bytes.
 * @throws {TransportError} `PROTOCOL` if they are not JSON or not what the schema says
 */
export function decodeMessage<T>(bytes: Uint8Array, schema: z.ZodType<T>, peer?: string): T {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new TransportError('PROTOCOL', 'The peer sent a message that is not JSON', { peer, cause })
  }
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new TransportError(
    'PROTOCOL',
    `The peer sent a message that is not in the protocol (${describeIssues(parsed.error)})`,
    { peer },
  )
}

/** Cuts a byte stream into messages, holding at most one message of at most `limit` bytes. */
export class MessageDecoder {
  readonly #header = Buffer.alloc(4)
  #headerBytes = 0
  #body: Buffer | undefined
  #bodyBytes = 0

  constructor(
    readonly limit: number,
    readonly peer?: string,
  ) {}

  /**
   * The bodies that this chunk completes.
   * @throws {TransportError} `PROTOCOL` if a length is 0 or over the limit, before anything is allocated for it
   */
  *push(chunk: Buffer): Generator<Buffer, void, undefined> {
    let at = 0
    while (at < chunk.length) {
      if (this.#body === undefined) {
        const take = Math.min(4 - this.#headerBytes, chunk.length - at)
        chunk.copy(this.#header, this.#headerBytes, at, at + take)
        this.#headerBytes += take
        at += take
        if (this.#headerBytes < 4) return
        this.#body = Buffer.allocUnsafe(checkLength(this.#header.readUInt32BE(), this.limit, this.peer))
        this.#headerBytes = 0
        this.#bodyBytes = 0
      }
      const take = Math.min(this.#body.length - this.#bodyBytes, chunk.length - at)
      chunk.copy(this.#body, this.#bodyBytes, at, at + take)
      this.#bodyBytes += take
      at += take
      if (this.#bodyBytes < this.#body.length) return
      const body = this.#body
      this.#body = undefined
      yield body
    }
  }
}

/** @throws {TransportError} `PROTOCOL` unless a message may have this length */
export function checkLength(length: number, limit: number, peer?: string): number {
  if (length > 0 && length <= limit) return length
  throw new TransportError('PROTOCOL', `The peer announced a message of ${length} bytes; 1 to ${limit} are allowed`, {
    peer,
  })
}
