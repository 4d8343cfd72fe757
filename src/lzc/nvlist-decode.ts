import { FlockerError } from '../errors.js'
import {
  elementSize,
  isArrayType,
  maxDepth,
  type NvList,
  type NvPlain,
  type NvType,
  NvValue,
  nvTypes,
} from './nvlist-types.js'

const typeByNumber = new Map<number, NvType>(Object.entries(nvTypes).map(([name, number]) => [number, name as NvType]))

/** An embedded list's stand-in among the pairs: a C nvlist_t of 24 bytes, of which nothing is read. */
const listSize = 24
const pairHeaderSize = 16

/**
 * Decodes a packed nvlist in native encoding, as the kernel, `zfs send` streams and resume tokens have it. Nothing in the
 * bytes is believed before it is checked. Objects have no prototype.
 *
 * @param bytes the packed list; bytes after its end are ignored, as libnvpair does
 * @param only decode the values of these names alone, where given
 * @throws FlockerError `NVLIST_INVALID`
 */
export function decodeNvlist(bytes: Uint8Array, only?: ReadonlySet<string>): NvList {
  return new Decoder(bytes).list(only) as NvList
}

/** Like {@link decodeNvlist}, with every value wrapped in its exact type: what {@link encodeNvlist} turns into equal bytes. */
export function decodeTypedNvlist(bytes: Uint8Array): Record<string, NvValue> {
  return new Decoder(bytes, true).list() as Record<string, NvValue>
}

const align8 = (size: number): number => (size + 7) & ~7

class Decoder {
  readonly #bytes: Buffer
  readonly #view: DataView
  readonly #little: boolean
  readonly #typed: boolean
  #at = 4

  constructor(bytes: Uint8Array, typed = false) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#typed = typed
    if (bytes.length < 16) throw invalid('it is too short')
    if (bytes[0] !== 0) throw invalid(`its encoding is ${bytes[0] === 1 ? 'XDR' : bytes[0]}, not native`)
    this.#little = bytes[1] === 1
    if (this.#view.getInt32(4, this.#little) !== 0) throw invalid('its version is not 0')
    this.#at = 12
  }

  /** The pairs from here to the int32 0 that ends them. */
  list(only?: ReadonlySet<string>, depth = 0): Record<string, NvPlain | NvValue> {
    if (depth > maxDepth) throw invalid(`it is nested deeper than ${maxDepth} lists`)
    const list: Record<string, NvPlain | NvValue> = Object.create(null)
    for (;;) {
      const size = this.#int32(this.#at)
      if (size === 0) break
      const pair = this.#pair(size)
      const value = only === undefined || only.has(pair.name) ? this.#value(pair, depth) : this.#skip(pair, depth)
      if (value !== undefined) list[pair.name] = this.#typed ? new NvValue(pair.type, value) : value
    }
    this.#at += 4
    return list
  }

  #int32(offset: number): number {
    if (offset + 4 > this.#bytes.length) throw invalid('it ends in the middle')
    return this.#view.getInt32(offset, this.#little)
  }

  /** Checks a pair's frame and moves past it, to where the pairs of an embedded list would be. */
  #pair(size: number): Pair {
    const start = this.#at
    const end = start + size
    if (size < pairHeaderSize || size % 8 !== 0 || end > this.#bytes.length) throw invalid(`a pair's size is ${size}`)
    const nameSize = this.#view.getInt16(start + 4, this.#little)
    const count = this.#int32(start + 8)
    const number = this.#int32(start + 12)
    const type = typeByNumber.get(number)
    const nameEnd = start + pairHeaderSize + nameSize - 1
    if (nameSize < 1 || nameEnd >= end || this.#bytes[nameEnd] !== 0) throw invalid("a pair's name is not within it")
    const name = this.#bytes.toString('utf8', start + pairHeaderSize, nameEnd)
    if (type === undefined) throw invalid(`${JSON.stringify(name)} is of an unknown type ${number}`)
    if (count < 0 || (!isArrayType(type) && count !== (type === 'boolean' ? 0 : 1))) {
      throw invalid(`${JSON.stringify(name)} has ${count} values`)
    }
    const value = start + align8(pairHeaderSize + nameSize)
    if (value + count * minimumSize(type) > end) throw invalid(`${JSON.stringify(name)} is larger than its pair`)
    this.#at = end
    return { name, type, count, value, end }
  }

  /** Embedded lists follow their pair, so they have to be walked even when nobody wants them. */
  #skip({ type, count }: Pair, depth: number): undefined {
    const none = new Set<string>()
    if (type === 'nvlist') this.list(none, depth + 1)
    if (type === 'nvlistArray') for (let i = 0; i < count; i++) this.list(none, depth + 1)
  }

  #value(pair: Pair, depth: number): NvPlain {
    const { type, count, value } = pair
    if (type === 'boolean') return true
    if (type === 'nvlist') return this.list(undefined, depth + 1) as NvList
    if (type === 'nvlistArray') return Array.from({ length: count }, () => this.list(undefined, depth + 1) as NvList)
    if (type === 'string') return this.#string(pair, value).text
    if (type === 'stringArray') return this.#strings(pair)
    if (type === 'booleanArray') return Array.from({ length: count }, (_, i) => this.#int32(value + i * 4) !== 0)
    return isArrayType(type) ? this.#array(type, count, value) : this.#scalar(type, value)
  }

  #string({ name, end }: Pair, start: number): { text: string; next: number } {
    const zero = this.#bytes.indexOf(0, start)
    if (zero < 0 || zero >= end) throw invalid(`the string ${JSON.stringify(name)} has no end`)
    return { text: this.#bytes.toString('utf8', start, zero), next: zero + 1 }
  }

  #strings(pair: Pair): string[] {
    const strings: string[] = []
    let at = pair.value + pair.count * 8
    for (let i = 0; i < pair.count; i++) {
      const { text, next } = this.#string(pair, at)
      strings.push(text)
      at = next
    }
    return strings
  }

  #scalar(type: NvType, at: number): NvPlain {
    switch (type) {
      case 'byte':
      case 'uint8':
        return this.#view.getUint8(at)
      case 'int8':
        return this.#view.getInt8(at)
      case 'int16':
        return this.#view.getInt16(at, this.#little)
      case 'uint16':
        return this.#view.getUint16(at, this.#little)
      case 'int32':
        return this.#view.getInt32(at, this.#little)
      case 'uint32':
        return this.#view.getUint32(at, this.#little)
      case 'uint64':
        return this.#view.getBigUint64(at, this.#little)
      case 'double':
        return this.#view.getFloat64(at, this.#little)
      case 'booleanValue':
        return this.#int32(at) !== 0
      default:
        return this.#view.getBigInt64(at, this.#little)
    }
  }

  #array(type: NvType, count: number, at: number): NvPlain {
    const size = elementSize[type] ?? 1
    const copy = Uint8Array.prototype.slice.call(this.#bytes, at, at + count * size)
    if (!this.#little) swap(copy, size)
    switch (type) {
      case 'int8Array':
        return new Int8Array(copy.buffer)
      case 'int16Array':
        return new Int16Array(copy.buffer)
      case 'uint16Array':
        return new Uint16Array(copy.buffer)
      case 'int32Array':
        return new Int32Array(copy.buffer)
      case 'uint32Array':
        return new Uint32Array(copy.buffer)
      case 'int64Array':
        return new BigInt64Array(copy.buffer)
      case 'uint64Array':
        return new BigUint64Array(copy.buffer)
      default:
        return new Uint8Array(copy.buffer)
    }
  }
}

interface Pair {
  name: string
  type: NvType
  count: number
  /** Where its value begins and where the pair ends. */
  value: number
  end: number
}

function minimumSize(type: NvType): number {
  if (type === 'nvlist') return listSize
  if (type === 'nvlistArray') return listSize + 8
  if (type === 'stringArray') return 9
  return elementSize[type] ?? 1
}

function swap(bytes: Uint8Array, size: number): void {
  for (let i = 0; i < bytes.length; i += size) bytes.subarray(i, i + size).reverse()
}

function invalid(why: string): FlockerError {
  return new FlockerError('NVLIST_INVALID', `This is not a packed nvlist: ${why}`)
}
