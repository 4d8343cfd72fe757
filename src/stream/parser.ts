import { FlockerError, StreamError } from '../errors.js'
import { type BeginRecord, beginRecordBytes, decodeNvlist, readBeginRecord } from '../lzc/index.js'
import { Fletcher4 } from './fletcher4.js'
import { payloadSize, type RecordType, recordFields, recordTypes } from './records.js'

/** One record of a stream. */
export interface StreamRecord {
  type: RecordType
  /** Where it stands, in bytes from the stream's start. */
  offset: bigint
  /** Bytes that follow its 312. */
  payloadBytes: number
  /** What it is about, by the names in C (sys/zfs_ioctl.h); nothing for BEGIN and END. */
  fields: Record<string, number | bigint>
}

/** What a stream says of one snapshot in it. */
export interface StreamInfo extends BeginRecord {
  /** Where its BEGIN record stands, in bytes from the stream's start. */
  start: bigint
  /** Where in the snapshot a stream goes on that was sent by a resume token: the object, and the offset in it in bytes. */
  resume?: { object: bigint; offset: bigint }
}

/** How many records of a type there are, and the bytes that follow them. */
export interface RecordFigures {
  count: number
  payloadBytes: bigint
}

/** What is in a send stream; the figures are those of `zstream dump`. */
export interface StreamSummary {
  /** `compound` for what `zfs send -R`, `-p` or `-I` makes, which holds any number of single ones. */
  kind: 'single' | 'compound'
  /** Whether the stream has ended as it must, with every checksum right. */
  complete: boolean
  /** What a compound stream is sent as. */
  toname: string | undefined
  /** The snapshots that are sent, in order: the first thousand of them. */
  streams: StreamInfo[]
  /** How many there are. */
  streamCount: number
  records: Record<RecordType, RecordFigures>
  /** All records, and the bytes that follow them. */
  total: RecordFigures
  /** Length in bytes, records and what follows them together. */
  bytes: bigint
}

/** How a send stream is read. */
export interface ParserOptions {
  /** Told of every record when it has come and its checksum is right; what follows it has not been read yet. */
  onRecord?: (record: StreamRecord) => void
}

const maxListed = 1000
const checksumOffset = beginRecordBytes - 32
const resumeNames = new Set(['resume_object', 'resume_offset'])

/**
 * Reads a send stream as it comes, in chunks of any size, and checks every checksum in it. Holds one record, a thousand
 * snapshots' names and the properties of one BEGIN record, whatever the stream says.
 *
 * Layout: sys/zfs_ioctl.h. A compound stream is a BEGIN with its own END, single streams, and one END more
 * (libzfs_sendrecv.c, send_prelude_record and send_conclusion_record).
 */
export class StreamParser {
  readonly #onRecord: ParserOptions['onRecord']
  readonly #sum = new Fletcher4()
  readonly #header = Buffer.alloc(beginRecordBytes)
  readonly #view = new DataView(this.#header.buffer, this.#header.byteOffset, beginRecordBytes)
  #headerBytes = 0
  #payloadLeft = 0
  #bytes = 0
  #little = true
  /** What has begun and not ended: a compound stream's list of contents, or a single stream. */
  #open: 'contents' | 'stream' | undefined
  #ended = false
  #compound: BeginRecord | undefined
  #streams: StreamInfo[] = []
  #streamCount = 0
  /** The properties after a stream's BEGIN, kept until a checksum has covered them. */
  #properties: { bytes: Buffer; of: StreamInfo } | undefined
  readonly #counts = recordTypes.map(() => 0)
  readonly #payloads = recordTypes.map(() => 0)

  constructor({ onRecord }: ParserOptions = {}) {
    this.#onRecord = onRecord
  }

  /** @throws StreamError `STREAM_INVALID`, `STREAM_CORRUPT`; after it the parser is of no more use */
  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      at += this.#payloadLeft > 0 ? this.#takePayload(chunk, at) : this.#takeHeader(chunk, at)
    }
  }

  /** @throws StreamError `STREAM_TRUNCATED` unless the stream has come to its end */
  end(): void {
    if (this.#ended) return
    const where = this.#payloadLeft > 0 || this.#headerBytes > 0 ? 'in the middle of a record' : 'without an END record'
    throw this.#error('STREAM_TRUNCATED', this.#bytes === 0 ? 'it is empty' : `it ends ${where}`, this.#bytes)
  }

  get summary(): StreamSummary {
    const figures = (type: RecordType, index: number): [RecordType, RecordFigures] => [
      type,
      { count: this.#counts[index] as number, payloadBytes: BigInt(this.#payloads[index] as number) },
    ]
    return {
      kind: this.#compound === undefined ? 'single' : 'compound',
      complete: this.#ended,
      toname: this.#compound?.toname,
      streams: [...this.#streams],
      streamCount: this.#streamCount,
      records: Object.fromEntries(recordTypes.map(figures)) as StreamSummary['records'],
      total: { count: sum(this.#counts), payloadBytes: BigInt(sum(this.#payloads)) },
      bytes: BigInt(this.#bytes),
    }
  }

  #takePayload(chunk: Uint8Array, at: number): number {
    const piece = chunk.subarray(at, at + Math.min(this.#payloadLeft, chunk.length - at))
    this.#sum.update(piece, this.#little)
    if (this.#properties !== undefined) {
      const { bytes } = this.#properties
      bytes.set(piece, bytes.length - this.#payloadLeft)
    }
    this.#payloadLeft -= piece.length
    this.#bytes += piece.length
    return piece.length
  }

  #takeHeader(chunk: Uint8Array, at: number): number {
    const piece = chunk.subarray(at, at + Math.min(beginRecordBytes - this.#headerBytes, chunk.length - at))
    if (this.#ended) throw this.#error('STREAM_INVALID', 'there are more bytes after its end', this.#bytes)
    this.#header.set(piece, this.#headerBytes)
    this.#headerBytes += piece.length
    this.#bytes += piece.length
    if (this.#headerBytes === beginRecordBytes) {
      this.#headerBytes = 0
      this.#record(this.#bytes - beginRecordBytes)
    }
    return piece.length
  }

  #record(offset: number): void {
    const number = this.#view.getUint32(0, this.#little)
    const begins = this.#open === undefined && (number === 0 || offset === 0)
    if (begins) this.#begin(offset)
    else this.#checkSum(number, offset)
    const type = recordTypes[number]
    if (type === undefined) throw this.#error('STREAM_INVALID', `a record is of the unknown type ${number}`, offset)
    if (!begins) this.#readProperties()
    if (type === 'END') this.#end(offset)
    else if (!begins) this.#inStream(type, offset)
    this.#counts[number] = (this.#counts[number] as number) + 1
    this.#payloads[number] = (this.#payloads[number] as number) + this.#payloadLeft
    this.#onRecord?.({
      type,
      offset: BigInt(offset),
      payloadBytes: this.#payloadLeft,
      fields: recordFields(type, this.#view, this.#little),
    })
  }

  #begin(offset: number): void {
    const { begin, compound } = this.#readBegin(offset)
    if (compound && this.#compound !== undefined) {
      throw this.#error('STREAM_INVALID', 'there is a compound stream within a compound stream', offset)
    }
    if (begin.payloadlen % 4 !== 0) {
      throw this.#error('STREAM_INVALID', `a BEGIN record is followed by ${begin.payloadlen} bytes`, offset)
    }
    this.#little = !begin.byteswapped
    this.#sum.reset()
    this.#sum.update(this.#header, this.#little)
    this.#payloadLeft = begin.payloadlen
    this.#open = compound ? 'contents' : 'stream'
    if (compound) this.#compound = begin
    else this.#list({ ...begin, start: BigInt(offset) })
  }

  #readBegin(offset: number): ReturnType<typeof readBeginRecord> {
    try {
      return readBeginRecord(this.#header)
    } catch (error) {
      if (error instanceof StreamError) throw new StreamError(error.code, error.message, { offset: BigInt(offset) })
      throw error
    }
  }

  #list(stream: StreamInfo): void {
    this.#streamCount += 1
    if (this.#streams.length >= maxListed) return
    this.#streams.push(stream)
    if (stream.payloadlen > 0) this.#properties = { bytes: Buffer.alloc(stream.payloadlen), of: stream }
  }

  /**
   * Every record but BEGIN has the sum of all before it in its last 32 bytes, or zeros in streams that no kernel has made, and
   * END also has the sum of all records before itself.
   */
  #checkSum(number: number, offset: number): void {
    const atEnd = this.#sum.equals(this.#view, 8, this.#little)
    this.#sum.update(this.#header.subarray(0, checksumOffset), this.#little)
    const right = this.#sum.equals(this.#view, checksumOffset, this.#little) || this.#hasNoSum()
    this.#sum.update(this.#header.subarray(checksumOffset), this.#little)
    if (!right) throw this.#error('STREAM_CORRUPT', 'the checksum of a record is wrong', offset)
    if (recordTypes[number] === 'END' && !atEnd) {
      throw this.#error('STREAM_CORRUPT', 'the checksum in an END record is wrong', offset)
    }
  }

  #hasNoSum(): boolean {
    for (let at = checksumOffset; at < beginRecordBytes; at++) if (this.#header[at] !== 0) return false
    return true
  }

  /** What follows a BEGIN record, now that a checksum has shown it to be as it was sent. */
  #readProperties(): void {
    const properties = this.#properties
    if (properties === undefined) return
    this.#properties = undefined
    try {
      const { resume_object, resume_offset } = decodeNvlist(properties.bytes, resumeNames)
      if (typeof resume_object === 'bigint' && typeof resume_offset === 'bigint') {
        properties.of.resume = { object: resume_object, offset: resume_offset }
      }
    } catch (error) {
      if (!(error instanceof FlockerError)) throw error
      const start = Number(properties.of.start)
      throw this.#error('STREAM_INVALID', `what follows a BEGIN record can't be read (${error.message})`, start)
    }
  }

  #inStream(type: RecordType, offset: number): void {
    if (this.#open !== 'stream' || type === 'BEGIN') {
      throw this.#error('STREAM_INVALID', `there is a record of type ${type} where none can be`, offset)
    }
    const size = payloadSize(type, this.#view, this.#little)
    if (size === undefined)
      throw this.#error('STREAM_INVALID', `a record of type ${type} has an impossible size`, offset)
    this.#payloadLeft = size
  }

  #end(offset: number): void {
    if (this.#open === undefined && this.#compound === undefined) {
      throw this.#error('STREAM_INVALID', 'there is an END record where none can be', offset)
    }
    // Only the END that closes a compound stream closes nothing else.
    this.#ended = this.#open === undefined || this.#compound === undefined
    this.#open = undefined
    this.#sum.reset()
  }

  #error(code: string, what: string, offset: number): StreamError {
    const whole = code === 'STREAM_TRUNCATED' ? 'The send stream is not whole' : 'The send stream is bad'
    return new StreamError(code, `${whole}: ${what}, at byte ${offset}`, { offset: BigInt(offset) })
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)
