import { inflateSync } from 'node:zlib'
import { StreamError } from '../errors.js'
import { decodeTypedNvlist, type NvValue } from '../lzc/index.js'
import { Fletcher4 } from './fletcher4.js'

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
  /** What the stream may have in it, by `zfs send`'s -L, -e, -c and -w. */
  largeBlocks: boolean
  embedded: boolean
  compressed: boolean
  raw: boolean
  /** GUIDs of the snapshots that the stream is redacted by; `undefined` where it isn't. */
  redactSnapshots: bigint[] | undefined
  /** GUIDs of the snapshots that the redaction bookmark it is sent from was made with. */
  bookRedactSnapshots: bigint[] | undefined
}

/** Bounds in characters and bytes on what is believed of a token. */
const maxTokenLength = 1024 * 1024
const maxListBytes = 1024 * 1024
/** ZFS_MAX_DATASET_NAME_LEN, without the zero byte. */
const maxNameBytes = 255

/** A list's values with their exact types. */
type TokenList = Record<string, NvValue>

/**
 * Decodes and checks the `receive_resume_token` of an interrupted receive. The format is module/zfs/dsl_dataset.c's
 * (get_receive_resume_token): version, fletcher-4 of the compressed list, the list's length, the list, all in hexadecimal.
 * A token can name any dataset: compare `toname`, `toguid` and `fromguid` with what you mean to send before you use it.
 *
 * @throws StreamError `TOKEN_INVALID`
 */
export function decodeResumeToken(token: string): ResumeToken {
  return readToken(unpack(token))
}

/**
 * Says what is in a resume token, in the words of `zfs send -nvt TOKEN`: the lines from "resume token contents:" to the last
 * of its values (libnvpair, nvlist_print).
 *
 * @throws StreamError `TOKEN_INVALID`
 */
export function describeResumeToken(token: string): string {
  const list = unpack(token)
  readToken(list)
  const lines = Object.entries(list).map(([name, { value }]) => `\t${name} = ${printed(value)}`)
  return ['resume token contents:', 'nvlist version: 0', ...lines].join('\n')
}

function printed(value: NvValue['value']): string {
  if (value === true) return '1'
  if (typeof value === 'bigint') return hexadecimal(value)
  if (value instanceof BigUint64Array) return Array.from(value, hexadecimal).join(' ')
  return String(value)
}

const hexadecimal = (value: bigint): string => `0x${value.toString(16)}`

function unpack(token: string): TokenList {
  if (token.length > maxTokenLength) throw invalid(`it is longer than ${maxTokenLength} characters`)
  const match = /^(\d{1,10})-([0-9a-f]{1,16})-([0-9a-f]{1,16})-((?:[0-9a-f]{2})+)$/.exec(token)
  if (match === null) throw invalid('it does not have the form 1-CHECKSUM-LENGTH-DATA')
  const [, version, checksum = '', length = '', data = ''] = match
  if (version !== '1') throw invalid(`its version is ${version}; only 1 is known`)
  const packed = Buffer.from(data, 'hex')
  const sum = new Fletcher4()
  sum.update(packed, true)
  if (sum.words[0] !== BigInt(`0x${checksum}`)) throw invalid('its checksum is wrong')
  return inflate(packed, BigInt(`0x${length}`))
}

function inflate(packed: Buffer, length: bigint): TokenList {
  if (length === 0n || length > maxListBytes) throw invalid(`it announces ${length} bytes`)
  let list: Buffer
  try {
    list = inflateSync(packed, { maxOutputLength: Number(length) })
  } catch (cause) {
    throw invalid(`it can't be inflated (${(cause as Error).message})`, cause)
  }
  if (list.length !== Number(length)) throw invalid(`it has ${list.length} bytes and announces ${length}`)
  try {
    return decodeTypedNvlist(list)
  } catch (cause) {
    throw invalid(`its list can't be read (${(cause as Error).message})`, cause)
  }
}

function readToken(list: TokenList): ResumeToken {
  return {
    toname: snapshotName(list),
    toguid: number(list, 'toguid'),
    fromguid: 'fromguid' in list ? number(list, 'fromguid') : undefined,
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

function snapshotName(list: TokenList): string {
  const value = list.toname?.value
  if (typeof value !== 'string') throw invalid('it has no toname')
  if (/^[^@\p{Cc}]+@[^@\p{Cc}]+$/u.test(value) && Buffer.byteLength(value) <= maxNameBytes) return value
  throw invalid('its toname is not the name of a snapshot')
}

function number(list: TokenList, name: string): bigint {
  const entry = list[name]
  if (entry?.type === 'uint64') return entry.value as bigint
  throw invalid(`it has no ${name}`)
}

function numbers(list: TokenList, name: string): bigint[] | undefined {
  const entry = list[name]
  if (entry === undefined) return undefined
  if (entry.type === 'uint64Array') return Array.from(entry.value as BigUint64Array)
  throw invalid(`its ${name} is not a list of numbers`)
}

function invalid(why: string, cause?: unknown): StreamError {
  return new StreamError('TOKEN_INVALID', `This is not a resume token that can be used: ${why}`, { cause })
}
