import { ArgumentError } from '../errors.js'
import { elementSize, isArrayType, maxDepth, type NvInput, type NvType, NvValue, nvTypes } from './nvlist-types.js'

const uniqueNames = 1 // NV_UNIQUE_NAME

/**
 * Packs a list in native encoding. A plain value's type is inferred: bigint uint64, integer int32, boolean a boolean value,
 * string, typed arrays theirs (a Buffer or Uint8Array is a byte array), arrays of strings, booleans or lists, object a list;
 * wrap it with `nv` for another type. `undefined` leaves a name out.
 *
 * @throws ArgumentError for a value that fits no type or not its own
 */
export function encodeNvlist(list: NvInput): Buffer {
  const header = Buffer.alloc(12)
  header[1] = 1 // little endian
  header.writeUInt32LE(uniqueNames, 8)
  const parts: Buffer[] = [header]
  appendPairs(parts, list, 0)
  return Buffer.concat(parts)
}

const align8 = (size: number): number => (size + 7) & ~7

function appendPairs(parts: Buffer[], list: NvInput, depth: number): void {
  if (depth > maxDepth) throw new ArgumentError(`A list is nested deeper than ${maxDepth} lists`)
  for (const [name, value] of Object.entries(list)) {
    if (value !== undefined) appendPair(parts, name, value instanceof NvValue ? value : inferType(name, value), depth)
  }
  parts.push(Buffer.alloc(4))
}

function appendPair(parts: Buffer[], name: string, { type, value }: NvValue, depth: number): void {
  if (name.includes('\0')) throw new ArgumentError(`The name ${JSON.stringify(name)} contains a zero byte`)
  const nameSize = Buffer.byteLength(name) + 1
  if (nameSize > 0x7fff) throw new ArgumentError(`A name of ${nameSize} bytes is too long for an nvlist`)
  const body = valueBytes(name, type, value)
  const start = align8(16 + nameSize)
  const pair = Buffer.alloc(start + align8(body.length))
  pair.writeInt32LE(pair.length, 0)
  pair.writeInt16LE(nameSize, 4)
  pair.writeInt32LE(countOf(type, value), 8)
  pair.writeInt32LE(nvTypes[type], 12)
  pair.write(name, 16, 'utf8')
  body.copy(pair, start)
  parts.push(pair)
  // The pairs of embedded lists follow the pair that announces them.
  if (type === 'nvlist') appendPairs(parts, value as NvInput, depth + 1)
  if (type === 'nvlistArray') for (const element of value as NvInput[]) appendPairs(parts, element, depth + 1)
}

function countOf(type: NvType, value: unknown): number {
  if (type === 'boolean') return 0
  return isArrayType(type) ? (value as ArrayLike<unknown>).length : 1
}

function valueBytes(name: string, type: NvType, value: unknown): Buffer {
  switch (type) {
    case 'boolean':
      return Buffer.alloc(0)
    case 'string':
      return terminated(name, value)
    case 'stringArray':
      return Buffer.concat([
        Buffer.alloc((value as string[]).length * 8),
        ...(value as string[]).map((each) => terminated(name, each)),
      ])
    case 'nvlist':
      return listStandIn()
    case 'nvlistArray': {
      const lists = value as NvInput[]
      return Buffer.concat([Buffer.alloc(lists.length * 8), ...lists.map(listStandIn)])
    }
    case 'booleanArray':
      return Buffer.concat((value as boolean[]).map((each) => scalar(name, 'booleanValue', each)))
    default:
      if (!isArrayType(type)) return scalar(name, type, value)
      if (!ArrayBuffer.isView(value)) throw unfit(name, type, value)
      return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  }
}

/** A C nvlist_t: version, flags, and pointers that mean nothing outside of the process that packed it. */
function listStandIn(): Buffer {
  const bytes = Buffer.alloc(24)
  bytes.writeUInt32LE(uniqueNames, 4)
  return bytes
}

function terminated(name: string, value: unknown): Buffer {
  if (typeof value !== 'string' || value.includes('\0')) throw unfit(name, 'string', value)
  return Buffer.from(`${value}\0`, 'utf8')
}

function scalar(name: string, type: NvType, value: unknown): Buffer {
  const bytes = Buffer.alloc(elementSize[type] ?? 8)
  try {
    writeScalar(bytes, type, value)
  } catch (cause) {
    throw unfit(name, type, value, cause)
  }
  return bytes
}

function writeScalar(bytes: Buffer, type: NvType, value: unknown): void {
  if (type === 'booleanValue') return void bytes.writeInt32LE(value === true ? 1 : 0)
  if (type === 'uint64') return void bytes.writeBigUInt64LE(value as bigint)
  if (type === 'int64' || type === 'hrtime') return void bytes.writeBigInt64LE(value as bigint)
  if (typeof value !== 'number') throw new TypeError('not a number')
  if (type === 'double') return void bytes.writeDoubleLE(value)
  if (!Number.isInteger(value)) throw new TypeError('not an integer')
  if (type.startsWith('u') || type === 'byte') bytes.writeUIntLE(value, 0, bytes.length)
  else bytes.writeIntLE(value, 0, bytes.length)
}

/** The type that a plain value gets. */
export function inferType(name: string, value: unknown): NvValue {
  const type = plainType(value)
  if (type === undefined) throw unfit(name, undefined, value)
  return new NvValue(type, value as NvValue['value'])
}

function plainType(value: unknown): NvType | undefined {
  if (typeof value === 'bigint') return 'uint64'
  if (typeof value === 'number') return 'int32'
  if (typeof value === 'boolean') return 'booleanValue'
  if (typeof value === 'string') return 'string'
  if (ArrayBuffer.isView(value)) return viewType(value)
  if (Array.isArray(value)) return elementsType(value)
  return typeof value === 'object' && value !== null ? 'nvlist' : undefined
}

function viewType(value: ArrayBufferView): NvType | undefined {
  if (value instanceof Uint8Array) return 'byteArray'
  if (value instanceof Int8Array) return 'int8Array'
  if (value instanceof Int16Array) return 'int16Array'
  if (value instanceof Uint16Array) return 'uint16Array'
  if (value instanceof Int32Array) return 'int32Array'
  if (value instanceof Uint32Array) return 'uint32Array'
  if (value instanceof BigInt64Array) return 'int64Array'
  return value instanceof BigUint64Array ? 'uint64Array' : undefined
}

function elementsType(values: unknown[]): NvType | undefined {
  if (values.every((each) => typeof each === 'string')) return 'stringArray'
  if (values.every((each) => typeof each === 'boolean')) return 'booleanArray'
  return values.every((each) => plainType(each) === 'nvlist') ? 'nvlistArray' : undefined
}

function unfit(name: string, type: NvType | undefined, value: unknown, cause?: unknown): ArgumentError {
  const shown = typeof value === 'object' ? Object.prototype.toString.call(value) : String(value)
  return new ArgumentError(`${JSON.stringify(name)}: ${shown} does not fit ${type ?? 'any type of an nvlist'}`, {
    cause,
  })
}
