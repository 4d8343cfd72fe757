/** nvlists, ZFS's name-value lists, to and from JavaScript; packed in native encoding, which is what the kernel takes. */
export { decodeNvlist, decodeTypedNvlist } from './nvlist-decode.js'
export { encodeNvlist } from './nvlist-encode.js'
export { type NvInput, type NvList, type NvPlain, type NvType, NvValue, nv } from './nvlist-types.js'
