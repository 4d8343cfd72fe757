import { type Readable, Transform, type TransformCallback } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ArgumentError, abortReason, FlockerError, throwIfAborted } from '../errors.js'
import { type ParserOptions, StreamParser, type StreamSummary } from './parser.js'

/** A send stream on its way through, checked as it goes. See {@link verifyStream}. */
export class StreamVerifier extends Transform {
  readonly #parser: StreamParser

  constructor(options: ParserOptions = {}) {
    super({ decodeStrings: true })
    this.#parser = new StreamParser(options)
  }

  /** What the stream has been found to hold so far. */
  get summary(): StreamSummary {
    return this.#parser.summary
  }

  /** @internal */
  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    try {
      this.#parser.push(chunk)
    } catch (error) {
      callback(error as Error)
      return
    }
    callback(null, chunk)
  }

  /** @internal */
  override _flush(callback: TransformCallback): void {
    try {
      this.#parser.end()
    } catch (error) {
      callback(error as Error)
      return
    }
    callback()
  }
}

/**
 * A Transform that passes a send stream through unchanged and checks it on the way: its records, their order and every
 * fletcher-4 checksum, as the kernel would when it receives (module/zfs/dmu_recv.c). Any kind of stream is taken: full,
 * incremental, resumed, raw, redacted, compound, of either byte order. Bytes are passed on before the checksum that covers
 * them has come: it ends with an error, not before the first wrong byte.
 *
 * @returns the Transform; it fails with a StreamError `STREAM_INVALID`, `STREAM_CORRUPT` or `STREAM_TRUNCATED`, whose
 *   `offset` says where
 */
export function verifyStream(options: ParserOptions = {}): StreamVerifier {
  return new StreamVerifier(options)
}

/** How a send stream is inspected. */
export interface InspectOptions extends ParserOptions {
  signal?: AbortSignal
}

/**
 * Reads a send stream to its end, checks it like {@link verifyStream}, and says what is in it. Needs no ZFS.
 *
 * @param stream its bytes; destroyed if this fails
 * @throws StreamError `STREAM_INVALID`, `STREAM_CORRUPT`, `STREAM_TRUNCATED`, each with `offset`; AbortError `ABORTED` or
 *   TimeoutError `TIMEOUT` if the signal fires; what reading fails with
 */
export async function inspectStream(stream: Readable, options: InspectOptions = {}): Promise<StreamSummary> {
  const { signal } = options
  throwIfAborted(signal, 'Inspecting a send stream')
  const parser = new StreamParser(options)
  const parse = async (chunks: AsyncIterable<unknown>): Promise<void> => {
    for await (const chunk of chunks) {
      if (!(chunk instanceof Uint8Array))
        throw new ArgumentError('A send stream is read from a stream of bytes, not of text')
      parser.push(chunk)
    }
    parser.end()
  }
  try {
    await pipeline(stream, parse, signal === undefined ? {} : { signal })
  } catch (error) {
    if (signal?.aborted && !(error instanceof FlockerError)) throw abortReason(signal, 'Inspecting a send stream')
    throw error
  }
  return parser.summary
}
