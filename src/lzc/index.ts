/**
 * libzfs_core, typed: one function for each of its own. Blocking calls have threads of their own, never libuv's pool. Errors have
 * a `code`; see src/errors.ts and each function. All names are full names (`pool/dataset@snapshot`).
 */
export { type BeginRecord, beginRecordBytes, parseBeginRecord, readBeginRecord } from './begin-record.js'
export { type BookmarkProperty, bookmark, destroyBookmarks, getBookmarks } from './bookmarks.js'
export {
  type CreateOptions,
  clone,
  create,
  destroy,
  destroySnapshots,
  exists,
  promote,
  rename,
  rollbackTo,
  snapshot,
} from './dataset.js'
export { closePool, discardVolume, flushVolume, openPool, readVolume, writeVolume } from './embedded.js'
export { ManyError } from './errors.js'
export { getHolds, type Holds, hold, release } from './holds.js'
export { chooseEngine, defaultEngine, type Engine, isEmbedded } from './native.js'
export { decodeNvlist, decodeTypedNvlist, encodeNvlist, type NvInput, type NvList, NvValue, nv } from './nvlist.js'
export type { PropertyInput } from './property-values.js'
export { type ReceiveOptions, type ReceiveResult, ReceiveStream, receive } from './receive.js'
export { type SendFlags, type SendOptions, SendStream, send, sendSpace } from './send.js'
export { features, type OptionalFunction, version } from './version.js'
