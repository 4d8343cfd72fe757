/** The data types of nvpairs, by the number that they have in packed lists (OpenZFS include/sys/nvpair.h, data_type_t). */
export const nvTypes = {
  boolean: 1,
  byte: 2,
  int16: 3,
  uint16: 4,
  int32: 5,
  uint32: 6,
  int64: 7,
  uint64: 8,
  string: 9,
  byteArray: 10,
  int16Array: 11,
  uint16Array: 12,
  int32Array: 13,
  uint32Array: 14,
  int64Array: 15,
  uint64Array: 16,
  stringArray: 17,
  hrtime: 18,
  nvlist: 19,
  nvlistArray: 20,
  booleanValue: 21,
  int8: 22,
  uint8: 23,
  booleanArray: 24,
  int8Array: 25,
  uint8Array: 26,
  double: 27,
} as const

export type NvType = keyof typeof nvTypes

/**
 * What an nvpair's value is in JavaScript: bigint for 64 bits, number for fewer, `true` for a flag (DATA_TYPE_BOOLEAN, a
 * name without a value), typed arrays for arrays of numbers, plain arrays for those of strings, booleans and lists.
 */
export type NvPlain =
  | bigint
  | number
  | boolean
  | string
  | Uint8Array
  | Int8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | string[]
  | boolean[]
  | NvList
  | NvList[]

/** A list as it is read: values by name. */
export interface NvList {
  [name: string]: NvPlain
}

/** A value with its exact type, for input whose type can't be told from JavaScript's and for reading without loss. */
export class NvValue {
  constructor(
    readonly type: NvType,
    readonly value: NvPlain | NvInput | NvInput[],
  ) {}
}

/** A list to be packed. Plain values get the type that fits JavaScript's; wrap them with {@link nv} for another. */
export interface NvInput {
  [name: string]: NvPlain | NvValue | NvInput | NvInput[] | undefined
}

/** Makes values of an exact type: `nv.int32(5)`, `nv.flag()`. */
export const nv = {
  /** A name without a value: DATA_TYPE_BOOLEAN. */
  flag: () => new NvValue('boolean', true),
  /** DATA_TYPE_BYTE. */
  byte: (value: number) => new NvValue('byte', value),
  /** DATA_TYPE_INT8. */
  int8: (value: number) => new NvValue('int8', value),
  /** DATA_TYPE_UINT8. */
  uint8: (value: number) => new NvValue('uint8', value),
  /** DATA_TYPE_INT16. */
  int16: (value: number) => new NvValue('int16', value),
  /** DATA_TYPE_UINT16. */
  uint16: (value: number) => new NvValue('uint16', value),
  /** DATA_TYPE_INT32. */
  int32: (value: number) => new NvValue('int32', value),
  /** DATA_TYPE_UINT32. */
  uint32: (value: number) => new NvValue('uint32', value),
  /** DATA_TYPE_INT64. */
  int64: (value: bigint) => new NvValue('int64', value),
  /** DATA_TYPE_UINT64. */
  uint64: (value: bigint) => new NvValue('uint64', value),
  /** DATA_TYPE_HRTIME. */
  hrtime: (value: bigint) => new NvValue('hrtime', value),
  /** DATA_TYPE_DOUBLE. */
  double: (value: number) => new NvValue('double', value),
  /** DATA_TYPE_BOOLEAN_VALUE. */
  boolean: (value: boolean) => new NvValue('booleanValue', value),
  /** DATA_TYPE_STRING. */
  string: (value: string) => new NvValue('string', value),
  /** DATA_TYPE_BYTE_ARRAY. */
  byteArray: (value: Uint8Array) => new NvValue('byteArray', value),
  /** DATA_TYPE_INT8_ARRAY. */
  int8Array: (value: Int8Array) => new NvValue('int8Array', value),
  /** DATA_TYPE_UINT8_ARRAY. */
  uint8Array: (value: Uint8Array) => new NvValue('uint8Array', value),
  /** DATA_TYPE_INT16_ARRAY. */
  int16Array: (value: Int16Array) => new NvValue('int16Array', value),
  /** DATA_TYPE_UINT16_ARRAY. */
  uint16Array: (value: Uint16Array) => new NvValue('uint16Array', value),
  /** DATA_TYPE_INT32_ARRAY. */
  int32Array: (value: Int32Array) => new NvValue('int32Array', value),
  /** DATA_TYPE_UINT32_ARRAY. */
  uint32Array: (value: Uint32Array) => new NvValue('uint32Array', value),
  /** DATA_TYPE_INT64_ARRAY. */
  int64Array: (value: BigInt64Array) => new NvValue('int64Array', value),
  /** DATA_TYPE_UINT64_ARRAY. */
  uint64Array: (value: BigUint64Array) => new NvValue('uint64Array', value),
  /** DATA_TYPE_STRING_ARRAY. */
  stringArray: (value: string[]) => new NvValue('stringArray', value),
  /** DATA_TYPE_BOOLEAN_ARRAY. */
  booleanArray: (value: boolean[]) => new NvValue('booleanArray', value),
  /** DATA_TYPE_NVLIST. */
  list: (value: NvInput) => new NvValue('nvlist', value),
  /** DATA_TYPE_NVLIST_ARRAY. */
  listArray: (value: NvInput[]) => new NvValue('nvlistArray', value),
}

/** Bytes of one element; strings and lists are variable. A boolean in an array, and a boolean value, is a C int. */
export const elementSize: Readonly<Partial<Record<NvType, number>>> = {
  boolean: 0,
  byte: 1,
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  uint64: 8,
  hrtime: 8,
  double: 8,
  booleanValue: 4,
  byteArray: 1,
  int8Array: 1,
  uint8Array: 1,
  int16Array: 2,
  uint16Array: 2,
  int32Array: 4,
  uint32Array: 4,
  int64Array: 8,
  uint64Array: 8,
  booleanArray: 4,
}

export const isArrayType = (type: NvType): boolean => type.endsWith('Array')

/** Lists within lists deeper than this are refused; the kernel's own bound (nvpair_max_recursion). */
export const maxDepth = 20
