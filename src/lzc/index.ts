/**
 * libzfs_core, typed: one function for each of its own. Blocking calls have threads of their own, never libuv's pool. Errors have
 * a `code`; see src/errors.ts and each function. All names are full names (`pool/dataset@snapshot`).
 *
 * Besides what each function names, any of them that asks the kernel for something of a pool rejects with `POOL_SUSPENDED` where the
 * pool is suspended after failed I/O (getVdevs, getVdevProps and getPoolProps still answer), any that changes something with
 * `READ_ONLY` where the pool was imported read-only, any at all with `IO` or `CHECKSUM` where its devices fail, and with AddonError where
 * ZFS can't be used on this machine.
 *
 * @module lzc
 */
export { type BeginRecord, beginRecordBytes, parseBeginRecord, readBeginRecord } from './begin-record.js'
export {
  type BookmarkProperty,
  bookmark,
  destroyBookmarks,
  getBookmarkProps,
  getBookmarks,
} from './bookmarks.js'
export {
  channelProgram,
  channelProgramNosync,
  type ProgramArgument,
  type ProgramArguments,
  ProgramError,
  type ProgramOptions,
  type ProgramValue,
} from './channel-program.js'
export {
  type CreateOptions,
  clone,
  create,
  destroy,
  destroySnapshots,
  exists,
  promote,
  rename,
  rollback,
  rollbackTo,
  snapshot,
} from './dataset.js'
export {
  type DevicesOptions,
  type InitializeCommand,
  initialize,
  type TrimCommand,
  type TrimOptions,
  trim,
} from './devices.js'
export { closePool, discardVolume, flushVolume, openPool, readVolume, writeVolume } from './embedded.js'
export { ManyError } from './errors.js'
export type { LzcFunction } from './functions.js'
export { getHolds, type Holds, hold, release } from './holds.js'
export {
  changeKey,
  type KeyChange,
  keyBytes,
  loadKey,
  type PassphraseOptions,
  passphraseKey,
  unloadKey,
  type WrappingKey,
} from './keys.js'
export { chooseEngine, defaultEngine, type Engine, isEmbedded } from './native.js'
export { decodeNvlist, decodeTypedNvlist, encodeNvlist, type NvInput, type NvList, NvValue, nv } from './nvlist.js'
export {
  ddtPrune,
  getBootenv,
  getPoolProps,
  poolCheckpoint,
  poolCheckpointDiscard,
  poolPrefetch,
  reopen,
  setBootenv,
  sync,
} from './pool.js'
export type { PoolPropertySource, PoolPropertyValue } from './pool-properties.js'
export type { PropertyInput } from './property-values.js'
export { type ReceiveOptions, type ReceiveResult, ReceiveStream, receive } from './receive.js'
export { redact } from './redact.js'
export { type ScrubOptions, scrub } from './scrub.js'
export { type SendFlags, type SendOptions, SendStream, send } from './send.js'
export { type SpaceOptions, sendSpace, snaprangeSpace } from './space.js'
export { getVdevProps, setVdevProps } from './vdev-properties.js'
export { getVdevs, type Vdev, type VdevName } from './vdev-tree.js'
export { type Features, features, version } from './version.js'
export { type PoolActivity, type WaitOptions, wait, waitFs, waitTag } from './wait.js'
