import { constants } from 'node:os'
import type { Meaning } from './errors.js'
import { ECKSUM, zfsErrno } from './zfs-errno.js'

const { errno } = constants

/** What is done with a pool, a device, a key or a program, as the words after its name in an error's sentence. */
export type PoolOperation =
  | 'be healed'
  | 'be redacted'
  | 'have its snapshots measured'
  | 'have its key loaded'
  | 'have its key unloaded'
  | 'have its key changed'
  | 'run a channel program'
  | 'be synced'
  | 'be reopened'
  | 'be checkpointed'
  | 'have its checkpoint discarded'
  | 'be initialized'
  | 'be trimmed'
  | 'be scrubbed'
  | 'have its boot environment read'
  | 'have its boot environment set'
  | 'be waited for'
  | 'be prefetched'
  | 'have its dedup table pruned'

const rootOnly = 'Run as root: ZFS delegates this to nobody.'
const forbidden: Meaning = { code: 'PERMISSION_DENIED', why: 'only root may do that', next: rootOnly }
const noPool: Meaning = { code: 'NOT_FOUND', why: 'there is no such pool', next: 'See zpool list; import it first.' }
const poolCommon = { [errno.EPERM]: forbidden, [errno.ENOENT]: noPool }

const deviceCommon = {
  ...poolCommon,
  [errno.ENODEV]: { code: 'NOT_FOUND', why: 'the pool has no such device' },
  [errno.EINVAL]: { code: 'INVALID_ARGUMENT', why: 'it is not a disk or file of its own, or it is missing' },
  [errno.EROFS]: { code: 'READ_ONLY', why: 'it can not be written to' },
  [errno.EBUSY]: {
    code: 'BUSY',
    why: 'it is being initialized, trimmed or removed already',
    next: 'Wait for that (wait), or cancel it.',
  },
}

const checkpointCommon = {
  ...poolCommon,
  [errno.ENOTSUP]: {
    code: 'NOT_SUPPORTED',
    why: 'its feature zpool_checkpoint is not enabled',
    next: 'zpool set feature@zpool_checkpoint=enabled.',
  },
  [zfsErrno.CHECKPOINT_EXISTS]: {
    code: 'EXISTS',
    why: 'it has a checkpoint already',
    next: 'Discard that first (poolCheckpointDiscard).',
  },
  [zfsErrno.DISCARDING_CHECKPOINT]: {
    code: 'BUSY',
    why: 'its last checkpoint is still being discarded',
    next: "Wait for that: wait(pool, 'discard').",
  },
  [zfsErrno.NO_CHECKPOINT]: { code: 'NOT_FOUND', why: 'it has no checkpoint' },
  [zfsErrno.DEVRM_IN_PROGRESS]: {
    code: 'BUSY',
    why: 'a device is being removed from it',
    next: "Wait for that: wait(pool, 'remove').",
  },
  [zfsErrno.VDEV_TOO_BIG]: { code: 'NOT_SUPPORTED', why: 'one of its devices is too large for a checkpoint' },
}

const keyCommon = {
  [errno.ENOENT]: { code: 'NOT_FOUND', why: 'it does not exist' },
  [zfsErrno.CRYPTO_NOTSUP]: { code: 'NOT_SUPPORTED', why: 'this ZFS does not know how it is encrypted' },
}

export const poolErrors: Readonly<Record<PoolOperation, Readonly<Record<number, Meaning>>>> = {
  'be healed': {
    [errno.ENOENT]: { code: 'NOT_FOUND', why: 'it does not exist' },
    [errno.ENOTSUP]: {
      code: 'STREAM_UNEXPECTED',
      why: 'the stream is not of this snapshot, or does not hold the blocks as they are stored here',
      next: 'Send that very snapshot, by its GUID, from a host that has it.',
    },
    [errno.EINVAL]: { code: 'STREAM_INVALID', why: 'the stream is not one that it can be healed with' },
    [errno.EACCES]: {
      code: 'KEY_NOT_LOADED',
      why: 'its encryption key is not loaded',
      next: 'Load it (loadKey), or send raw.',
    },
    [ECKSUM]: { code: 'STREAM_CORRUPT', why: 'the stream was changed on its way: a checksum is wrong' },
    [zfsErrno.STREAM_TRUNCATED]: { code: 'STREAM_TRUNCATED', why: 'the stream ended before its end' },
  },
  'be redacted': {
    [errno.ENOENT]: {
      code: 'NOT_FOUND',
      why: 'it, or one of the snapshots that it is to be redacted by, does not exist',
    },
    [errno.EEXIST]: { code: 'EXISTS', why: 'a bookmark of that name exists', next: 'Destroy it, or use another name.' },
    [errno.E2BIG]: { code: 'INVALID_ARGUMENT', why: 'there are too many snapshots that it is to be redacted by' },
    [errno.EINVAL]: {
      code: 'NOT_ANCESTOR',
      why: 'a snapshot that it is to be redacted by is not of one of its clones',
      next: 'Name snapshots of clones of that snapshot.',
    },
    [errno.EXDEV]: { code: 'NOT_ANCESTOR', why: 'a snapshot that it is to be redacted by is in another pool' },
    [errno.EALREADY]: { code: 'REDACTED', why: 'it, or a snapshot that it is to be redacted by, is redacted itself' },
    [errno.ESRCH]: {
      code: 'REDACTION_MISMATCH',
      why: 'a redaction by other snapshots has that bookmark',
      next: 'Use another name, or destroy the bookmark.',
    },
    [errno.ENOTSUP]: {
      code: 'NOT_SUPPORTED',
      why: "its pool's feature redaction_bookmarks is not enabled",
      next: 'zpool set feature@redaction_bookmarks=enabled.',
    },
  },
  'have its snapshots measured': {
    [errno.ENOENT]: { code: 'NOT_FOUND', why: 'one of the snapshots does not exist' },
    [errno.EINVAL]: {
      code: 'NOT_ANCESTOR',
      why: 'the first snapshot is not older than the last, or of another dataset',
    },
  },
  'have its key loaded': {
    ...keyCommon,
    [errno.EACCES]: { code: 'WRONG_KEY', why: 'that is not its key' },
    [errno.EEXIST]: { code: 'EXISTS', why: 'its key is loaded already' },
    [errno.EINVAL]: {
      code: 'NOT_ENCRYPTION_ROOT',
      why: 'it is not encrypted, or shares the key of a dataset above it',
      next: 'Load the key of the dataset that its property encryptionroot names.',
    },
  },
  'have its key unloaded': {
    ...keyCommon,
    [errno.EACCES]: { code: 'KEY_NOT_LOADED', why: 'its key is not loaded' },
    [errno.EBUSY]: { code: 'BUSY', why: 'it, or a dataset with the same key, is in use', next: 'Unmount them first.' },
  },
  'have its key changed': {
    ...keyCommon,
    [errno.EACCES]: { code: 'KEY_NOT_LOADED', why: 'its present key is not loaded', next: 'Load it first (loadKey).' },
    [errno.EINVAL]: {
      code: 'INVALID_ARGUMENT',
      why: 'it is not encrypted, has no dataset above it to inherit from, or the properties do not go together',
    },
  },
  // Lua's own errors are in channel-program.ts.
  'run a channel program': { ...poolCommon },
  'be synced': { ...poolCommon },
  'be reopened': { ...poolCommon, [errno.EBUSY]: { code: 'BUSY', why: 'it is being changed' } },
  'be checkpointed': checkpointCommon,
  'have its checkpoint discarded': checkpointCommon,
  'be initialized': {
    ...deviceCommon,
    [errno.ESRCH]: { code: 'NOT_ACTIVE', why: 'it is not being initialized' },
  },
  'be trimmed': {
    ...deviceCommon,
    [errno.ESRCH]: { code: 'NOT_ACTIVE', why: 'it is not being trimmed' },
    [errno.EOPNOTSUPP]: { code: 'NOT_SUPPORTED', why: 'the device can not trim, or not securely' },
  },
  'be scrubbed': {
    ...poolCommon,
    [errno.EBUSY]: {
      code: 'BUSY',
      why: 'it is being scrubbed or resilvered already',
      next: "Wait for that: wait(pool, 'scrub') or wait(pool, 'resilver').",
    },
    [errno.ENOTSUP]: { code: 'NOT_SUPPORTED', why: 'it lacks a feature for that kind of scrub' },
  },
  'have its boot environment read': { ...poolCommon },
  'have its boot environment set': {
    ...poolCommon,
    [errno.E2BIG]: { code: 'TOO_LARGE', why: "it does not fit into the 8 KiB that a device's label has for it" },
  },
  'be waited for': {
    [errno.ENOENT]: { code: 'NOT_FOUND', why: 'it does not exist' },
    [errno.EINVAL]: { code: 'INVALID_ARGUMENT', why: 'there is no such activity or device to wait for' },
  },
  'be prefetched': {
    ...poolCommon,
    [errno.EINVAL]: { code: 'NOT_SUPPORTED', why: 'the module can not prefetch that' },
  },
  'have its dedup table pruned': {
    ...poolCommon,
    [errno.EALREADY]: { code: 'BUSY', why: 'it is being pruned already' },
    [errno.ENOTSUP]: { code: 'NOT_SUPPORTED', why: 'its feature fast_dedup is not enabled' },
  },
}
