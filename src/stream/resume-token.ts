import { inflateSync } from 'node:zlib'
import { StreamError } from '../errors.js'
import { decodeNvlist, type NvList } from '../lzc/index.js'

/** What a resume token says: which stream an interrupted receive was taking, and how far it got. */
export interface ResumeToken {
  /** The snapshot's full name on the host that sent it. */
  toname: string
  toguid: bigint
  /** The GUID of the incremental base; `undefined` for a full stream. */
  fromguid: bigint | undefined
  /** Where to go on: the object, and the offset in it in bytes. */
  object: bigint
  offset: bigint
  /** Bytes of the stream that have arrived. */
  bytes: bigint
  largeBlocks: boolean
  embedded: boolean
  compressed: boolean
  raw: boolean
  /** GUIDs of the snapshots that the stream is redacted by; `undefined` where it isn't. */
  redactSnapshots: bigint[] | undefined
  /** GUIDs of the snapshots that the redaction bookmark it is sent from was made with. */
  bookRedactSnapshots: bigint[] | undefined
}

const maxTokenLength = 256 * 1024
const maxListBytes = 1024 * 1024

/**
 * Decodes and checks the `receive_resume_token` of an interrupted receive. The format is module/zfs/dsl_dataset.c's
 * (get_receive_resume_token): version, fletcher-4 of the compressed list, the list's length, the list, all in hexadecimal.
 *
 * @throws StreamError `TOKEN_INVALID`
 */
export function decodeResumeToken(token: string): ResumeToken {
  if (token.length > maxTokenLength) throw invalid(`it is longer than ${maxTokenLength} characters`)
  const match = /^1-([0-9a-f]{1,16})-([0-9a-f]{1,16})-((?:[0-9a-f]{2})+)$/.exec(token)
  if (match === null) throw invalid('it does not have the form 1-CHECKSUM-LENGTH-DATA')
  const [, checksum = '', length = '', data = ''] = match
  const packed = Buffer.from(data, 'hex')
  if (fletcher4Word(packed) !== BigInt(`0x${checksum}`)) throw invalid('its checksum is wrong')
  return readList(inflate(packed, BigInt(`0x${length}`)))
}

function inflate(packed: Buffer, length: bigint): NvList {
  if (length > maxListBytes) throw invalid(`it announces ${length} bytes`)
  try {
    return decodeNvlist(inflateSync(packed, { maxOutputLength: Number(length) }))
  } catch (cause) {
    throw invalid(`its list can't be read (${(cause as Error).message})`, cause)
  }
}

/** The first word of fletcher-4 over the whole little-endian uint32s of the bytes (zcommon/zfs_fletcher.c). */
function fletcher4Word(bytes: Buffer): bigint {
  let sum = 0
  for (let at = 0; at + 4 <= bytes.length; at += 4) sum += bytes.readUInt32LE(at)
  return BigInt(sum)
}

function readList(list: NvList): ResumeToken {
  return {
    toname: text(list, 'toname'),
    toguid: number(list, 'toguid'),
    fromguid: list.fromguid === undefined ? undefined : number(list, 'fromguid'),
    object: number(list, 'object'),
    offset: number(list, 'offset'),
    bytes: number(list, 'bytes'),
    largeBlocks: 'largeblockok' in list,
    embedded: 'embedok' in list,
    compressed: 'compressok' in list,
    raw: 'rawok' in list,
    redactSnapshots: numbers(list, 'redact_snaps'),
    bookRedactSnapshots: numbers(list, 'book_redact_snaps'),
  }
}

function text(list: NvList, name: string): string {
  const value = list[name]
  if (typeof value === 'string') return value
  throw invalid(`it has no ${name}`)
}

function number(list: NvList, name: string): bigint {
  const value = list[name]
  if (typeof value === 'bigint') return value
  throw invalid(`it has no ${name}`)
}

function numbers(list: NvList, name: string): bigint[] | undefined {
  const value = list[name]
  if (value === undefined) return undefined
  if (Array.isArray(value) || value instanceof BigUint64Array) return Array.from(value as ArrayLike<bigint>)
  throw invalid(`its ${name} is not a list`)
}

function invalid(why: string, cause?: unknown): StreamError {
  return new StreamError('TOKEN_INVALID', `This is not a resume token that can be used: ${why}`, { cause })
}
