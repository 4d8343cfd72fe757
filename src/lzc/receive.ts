import { Writable } from 'node:stream'
import { ArgumentError, abortReason, StreamError } from '../errors.js'
import { type BeginRecord, beginRecordBytes, parseBeginRecord } from './begin-record.js'
import { zfsError } from './errors.js'
import { addonWith } from './functions.js'
import { checkEncryption, type WrappingKey } from './keys.js'
import { checkSnapshot } from './names.js'
import { type Addon, type Begun, type Outcome, openAddon } from './native.js'
import { decodeNvlist, encodeNvlist, type NvInput, nv } from './nvlist.js'
import { type LentSink, lendSink, type PipedSink } from './pipes.js'
import { encodeProperties, type PropertyInput } from './property-values.js'
import { closedWithin, followSignal } from './transfer.js'

/** What is to be made of a stream that is received. */
export interface ReceiveOptions {
  /**
   * Properties that the dataset is to have as received ones, as from a stream that carries them (`zfs send -p`), in place of all that
   * it received before. Without them those stay as they are. Into a dataset that nothing was received into before, ZFS takes the
   * local values away for them; `keepLocalProperties` (datasets) prevents that.
   */
  properties?: Readonly<Record<string, PropertyInput>>
  /** `-o`: properties that are set locally, whatever the stream says. */
  overrides?: Readonly<Record<string, PropertyInput>>
  /** `-x`: properties of the stream that are not to be applied. */
  excludes?: readonly string[]
  /** The snapshot that a stream of a clone is received as a clone of. */
  origin?: string
  /** `-F`: roll back or destroy what is in the way. All newer snapshots go. Default false. */
  force?: boolean
  /** `-s`: keep what has arrived when the stream breaks off. */
  resumable?: boolean
  /** The stream is expected to be raw: one that isn't is refused. */
  raw?: boolean
  /**
   * Mends blocks of the existing snapshot that are damaged on disk, with those of the stream, which must be of that very snapshot
   * (zfs-receive(8), -c). Changes nothing else. OpenZFS 2.2.
   */
  heal?: boolean
  /**
   * The key of the encryption root that a stream which isn't raw is to be received as; see {@link WrappingKey}. With overrides such as
   * `{ encryption: 'on', keyformat: 'raw', keylocation: 'prompt' }`.
   */
  key?: WrappingKey
  /** Ends the receive. */
  signal?: AbortSignal
}

/** What was received. */
export interface ReceiveResult {
  /** Bytes of the stream, all of it. */
  bytes: bigint
  begin: BeginRecord
  /** Received properties that could not be applied, by name, with ZFS's errno. */
  propertyErrors: Record<string, number>
}

/**
 * Receives a stream as a snapshot: a Writable that takes its bytes. The dataset is not mounted. lzc_receive_with_cmdprops, on
 * a thread of its own, or lzc_receive_with_heal; lzc_receive, lzc_receive_resumable, lzc_receive_with_header and lzc_receive_one are the
 * same with less.
 *
 * The stream's first record is checked before ZFS is asked for anything. `finish` comes only when ZFS is done, and ZFS's
 * error becomes the stream's: StreamError `STREAM_TRUNCATED`, `STREAM_CORRUPT`, `STREAM_INVALID` (also for compound streams),
 * `STREAM_UNEXPECTED` (not raw; for healing, of another snapshot); ZfsError `BASE_MISMATCH`, `DESTINATION_MODIFIED`, `EXISTS`, `BUSY`,
 * `NO_SPACE`, `QUOTA`, `KEY_NOT_LOADED`, `NOT_FOUND` (no parent, no origin, nothing to add to), `WRONG_PARENT` (a volume),
 * `RESUME_EXISTS` (goes on with force alone), `PERMISSION_DENIED`; NotSupportedError (the stream needs a feature); AbortError or
 * TimeoutError by the signal. It emits `close` when its thread is done.
 *
 * @param snapshot the full name to receive as
 * @throws ArgumentError for bad names, properties or keys; NotSupportedError (heal); AddonError
 */
export function receive(snapshot: string, options: ReceiveOptions = {}): ReceiveStream {
  checkSnapshot(snapshot)
  if (options.origin !== undefined) checkSnapshot(options.origin)
  // Not even an empty list, where there are none: it would take the received ones away, or the local ones.
  const received = options.properties === undefined ? null : encodeNvlist(encodeProperties(options.properties))
  const excluded = (options.excludes ?? []).map((name) => [name, nv.flag()] as const)
  const overrides: NvInput = { ...encodeProperties(options.overrides ?? {}), ...Object.fromEntries(excluded) }
  if (options.heal && (options.force || options.resumable)) {
    throw new ArgumentError('A receive that heals can be neither forced nor resumed')
  }
  const native = options.heal ? addonWith('lzc_receive_with_heal') : openAddon()
  const given = checkEncryption(options.overrides ?? {}, options.key)
  // The caller's own may be wiped before the stream begins.
  const key = given === null ? null : Buffer.from(given)
  return new ReceiveStream(native, snapshot, options, { received, overrides: encodeNvlist(overrides), key })
}

/** What goes to ZFS with the stream's first record. */
interface Prepared {
  received: Buffer | null
  overrides: Buffer
  key: Buffer | null
}

/** A receive under way. */
export class ReceiveStream extends Writable implements PipedSink {
  readonly #native: Addon
  readonly #snapshot: string
  readonly #options: ReceiveOptions
  readonly #prepared: Prepared
  readonly #unfollow: () => void
  #result: Promise<ReceiveResult> | undefined
  #settled: (() => ReceiveResult) | undefined
  #settle: (() => void) | undefined
  /** The first bytes, until they are a BEGIN record. */
  #head: Buffer[] = []
  #begin: BeginRecord | undefined
  #begun: Begun | undefined
  #bytes = 0n

  /** @internal */
  constructor(native: Addon, snapshot: string, options: ReceiveOptions, prepared: Prepared) {
    super({ highWaterMark: 1024 * 1024, decodeStrings: true })
    this.#native = native
    this.#snapshot = snapshot
    this.#options = options
    this.#prepared = prepared
    const { signal } = options
    this.#unfollow = followSignal(signal, () => {
      this.destroy(abortReason(signal as AbortSignal, `The receive of ${snapshot}`))
    })
  }

  /** What was received, once ZFS is done. Rejects with the stream's error, which its `error` event tells too. */
  get result(): Promise<ReceiveResult> {
    // Made when it is asked for: who only listens to the stream's events has no rejection to handle.
    this.#result ??= new Promise<void>((resolve) => {
      if (this.#settled === undefined) this.#settle = resolve
      else resolve()
    }).then(() => (this.#settled as () => ReceiveResult)())
    return this.#result
  }

  /** Bytes of the stream that were given to ZFS so far. */
  get bytes(): bigint {
    return this.#bytes
  }

  /** The stream's first record, once it has arrived. */
  get begin(): BeginRecord | undefined {
    return this.#begin
  }

  /** @internal */
  [lendSink](): LentSink | undefined {
    if (this.#begun === undefined || this.writableLength > 0 || this.destroyed) return undefined
    return {
      pipe: this.#begun.transfer,
      moved: (bytes) => {
        this.#bytes += bytes
      },
    }
  }

  /** @internal */
  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#take([chunk]).then(() => callback(), callback)
  }

  /** @internal */
  override _writev(chunks: { chunk: Buffer }[], callback: (error?: Error | null) => void): void {
    this.#take(chunks.map(({ chunk }) => chunk)).then(() => callback(), callback)
  }

  /** @internal */
  override _final(callback: (error?: Error | null) => void): void {
    this.#finish().then(() => callback(), callback)
  }

  /** @internal */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#unfollow()
    this.#prepared.key?.fill(0)
    const begun = this.#begun
    const closed = begun === undefined ? undefined : this.#native.cancel(begun.transfer)
    closedWithin(Promise.all([closed, begun?.result])).then(() => {
      const reason = error ?? this.#truncated('was closed before its end')
      this.#conclude(() => {
        throw reason
      })
      callback(error)
    }, callback)
  }

  /** Settles the result, once. */
  #conclude(result: () => ReceiveResult): void {
    this.#settled ??= result
    this.#settle?.()
  }

  async #take(chunks: Buffer[]): Promise<void> {
    const body = this.#begun === undefined ? this.#open(chunks) : chunks
    if (body === undefined || this.#begun === undefined) return
    for (const chunk of body) this.#bytes += BigInt(chunk.length)
    const { errno } = await this.#native.write(this.#begun.transfer, body)
    // The kernel has stopped reading, and its own error says why. It is also allowed to have had enough: nothing follows
    // a stream's END record.
    if (errno !== 0) await this.#succeeded()
  }

  /** Collects the BEGIN record, and with it starts the receive; returns what follows it. */
  #open(chunks: Buffer[]): Buffer[] | undefined {
    const head = Buffer.concat([...this.#head, ...chunks])
    this.#head = [head]
    if (head.length < beginRecordBytes) return undefined
    const record = Buffer.from(head.subarray(0, beginRecordBytes))
    this.#begin = parseBeginRecord(record)
    // The kernel would receive what nothing can use.
    if (this.#begin.type === 'other') {
      throw new StreamError('STREAM_INVALID', `${this.#snapshot} can't be received: it is no filesystem or volume`, {
        dataset: this.#snapshot,
      })
    }
    if (this.#options.raw && !this.#begin.features.includes('raw')) {
      throw new StreamError('STREAM_UNEXPECTED', `${this.#snapshot} can't be received: the stream is not raw`, {
        dataset: this.#snapshot,
      })
    }
    const { origin, force = false, resumable = false, heal = false } = this.#options
    const { received, overrides, key } = this.#prepared
    const names = [received, overrides, origin ?? null] as const
    this.#begun = this.#native.receive(this.#snapshot, record, ...names, force, resumable, heal, key)
    // The addon has its own by now.
    key?.fill(0)
    this.#begun.result.then((outcome) => this.#ended(outcome))
    this.#bytes = BigInt(beginRecordBytes)
    this.#head = []
    return head.length > beginRecordBytes ? [head.subarray(beginRecordBytes)] : undefined
  }

  /** A receive that fails must end the stream even while nobody writes. */
  #ended(outcome: Outcome): void {
    if (outcome.errno !== 0 && !this.destroyed) this.destroy(zfsError(this.#operation, outcome.errno, this.#snapshot))
  }

  async #finish(): Promise<void> {
    if (this.#begun === undefined || this.#begin === undefined) {
      throw this.#truncated('ended before its first record was complete')
    }
    this.#native.finish(this.#begun.transfer)
    const outcome = await this.#succeeded()
    const propertyErrors = outcome.list === undefined ? {} : readErrors(outcome.list)
    const result = { bytes: this.#bytes, begin: this.#begin, propertyErrors }
    this.#conclude(() => result)
  }

  get #operation(): 'be healed' | 'be received' {
    return this.#options.heal ? 'be healed' : 'be received'
  }

  async #succeeded(): Promise<Outcome> {
    const outcome = await (this.#begun as Begun).result
    if (outcome.errno !== 0) throw zfsError(this.#operation, outcome.errno, this.#snapshot)
    return outcome
  }

  #truncated(how: string): StreamError {
    return new StreamError('STREAM_TRUNCATED', `${this.#snapshot} can't be received: the stream ${how}`, {
      dataset: this.#snapshot,
    })
  }
}

function readErrors(list: Buffer): Record<string, number> {
  return Object.fromEntries(
    Object.entries(decodeNvlist(list)).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  )
}
