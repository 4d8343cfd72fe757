import { constants } from 'node:os'
import { type FlockerError, NotSupportedError, StreamError, ZfsError } from '../errors.js'
import { decodeNvlist } from './nvlist.js'
import { type PoolOperation, poolErrors } from './pool-errors.js'
import { ECKSUM, zfsErrno } from './zfs-errno.js'

/** What was being done, as the words after the dataset's name in an error's sentence. */
export type Operation =
  | 'be created'
  | 'be snapshotted'
  | 'be destroyed'
  | 'be renamed'
  | 'be cloned'
  | 'be promoted'
  | 'be rolled back'
  | 'be held'
  | 'be released'
  | 'have its holds read'
  | 'be bookmarked'
  | 'have its bookmarks read'
  | 'be sent'
  | 'have its stream estimated'
  | 'be received'
  | 'be listed'
  | 'have its properties read'
  | 'have its properties set'
  | 'be mounted'
  | 'be unmounted'
  | 'be opened'
  | 'be closed'
  | 'be read'
  | 'be written'
  | 'be flushed'
  | PoolOperation

export interface Meaning {
  code: string
  why: string
  next?: string
}

const { errno } = constants
const common: Readonly<Record<number, Meaning>> = {
  [errno.EPERM]: {
    code: 'PERMISSION_DENIED',
    why: 'this user may not do that',
    next: 'Run as root, or delegate it with zfs allow.',
  },
  [errno.EACCES]: {
    code: 'KEY_NOT_LOADED',
    why: 'its encryption key is not loaded',
    next: 'Load it: loadKey, or zfs load-key.',
  },
  [errno.ENOENT]: { code: 'NOT_FOUND', why: 'it does not exist' },
  [errno.ESRCH]: { code: 'NOT_FOUND', why: 'it does not exist' },
  [errno.EEXIST]: { code: 'EXISTS', why: 'it exists already' },
  [errno.EBUSY]: { code: 'BUSY', why: 'it is in use' },
  [errno.ENOSPC]: { code: 'NO_SPACE', why: 'the pool is out of space', next: 'Free space in the pool.' },
  [errno.EDQUOT]: {
    code: 'QUOTA',
    why: 'a quota or limit is exceeded',
    next: 'Raise it, or free space below it; see zfs get quota,filesystem_limit,snapshot_limit.',
  },
  [errno.EROFS]: {
    code: 'READ_ONLY',
    why: 'the pool or dataset is read-only',
    next: 'See zpool get readonly: it was imported so.',
  },
  [errno.EAGAIN]: {
    code: 'POOL_SUSPENDED',
    why: 'the pool is suspended after failed I/O',
    next: 'See zpool status; mend the devices, then zpool clear.',
  },
  [errno.EXDEV]: { code: 'INVALID_ARGUMENT', why: 'the names are in different pools or filesystems' },
  [errno.EINVAL]: { code: 'INVALID_ARGUMENT', why: 'ZFS refused an argument' },
  [errno.EDOM]: { code: 'BAD_PROPERTY', why: 'a block size is out of range' },
  [errno.ERANGE]: { code: 'BAD_PROPERTY', why: "a property's value is out of range" },
  [errno.ENAMETOOLONG]: { code: 'INVALID_NAME', why: 'a name is too long' },
  [errno.ENOTSUP]: { code: 'NOT_SUPPORTED', why: 'the pool or the loaded ZFS module has no such feature' },
  [errno.EIO]: { code: 'IO', why: 'a device failed', next: 'See zpool status.' },
  [errno.ENXIO]: { code: 'IO', why: 'the pool can not be reached', next: 'See zpool status.' },
  [errno.EINTR]: { code: 'INTERRUPTED', why: 'it was interrupted' },
  [errno.ENOMEM]: { code: 'NO_MEMORY', why: 'there is not enough memory' },
  [ECKSUM]: { code: 'CHECKSUM', why: 'data on disk does not match its checksum', next: 'See zpool status -v.' },
  [errno.ENOSYS]: { code: 'NOT_SUPPORTED', why: 'the loaded libzfs_core has no such function' },
  [zfsErrno.IOC_CMD_UNAVAIL]: { code: 'NOT_SUPPORTED', why: 'the loaded ZFS module is older than this operation' },
  [zfsErrno.IOC_ARG_UNAVAIL]: { code: 'NOT_SUPPORTED', why: 'the loaded ZFS module is older than this option' },
  [zfsErrno.IOC_ARG_REQUIRED]: { code: 'INVALID_ARGUMENT', why: 'an argument is missing' },
  [zfsErrno.IOC_ARG_BADTYPE]: { code: 'INVALID_ARGUMENT', why: 'an argument is of another type than ZFS expects' },
  [zfsErrno.DEVRM_IN_PROGRESS]: { code: 'BUSY', why: 'a device is being removed from the pool' },
  [zfsErrno.EXPORT_IN_PROGRESS]: { code: 'BUSY', why: 'the pool is being exported' },
  [zfsErrno.RESILVER_IN_PROGRESS]: { code: 'BUSY', why: 'the pool is being resilvered' },
  [zfsErrno.REBUILD_IN_PROGRESS]: { code: 'BUSY', why: 'the pool is being rebuilt' },
  [zfsErrno.RAIDZ_EXPAND_IN_PROGRESS]: { code: 'BUSY', why: 'a raidz of the pool is being expanded' },
  [zfsErrno.VDEV_NOTSUP]: { code: 'NOT_SUPPORTED', why: 'a device of that kind can not do that' },
  [zfsErrno.WRONG_PARENT]: { code: 'WRONG_PARENT', why: 'its parent is not a filesystem' },
  [zfsErrno.BOOKMARK_SOURCE_NOT_ANCESTOR]: {
    code: 'NOT_ANCESTOR',
    why: "the bookmark's source is not in the dataset's history",
  },
  [zfsErrno.BADPROP]: { code: 'BAD_PROPERTY', why: "a property's value is not one that it can have" },
  [zfsErrno.CRYPTO_NOTSUP]: { code: 'NOT_SUPPORTED', why: 'it can not be encrypted that way' },
}

const special: Readonly<Partial<Record<Operation, Readonly<Record<number, Meaning>>>>> = {
  ...poolErrors,
  'be created': {
    [errno.ENOENT]: { code: 'NOT_FOUND', why: 'its parent does not exist', next: 'Create the parent first.' },
  },
  'be destroyed': {
    [errno.EBUSY]: { code: 'BUSY', why: 'it is mounted, held or in use', next: 'Unmount it, or see zfs holds.' },
    [errno.EEXIST]: {
      code: 'HAS_DEPENDENTS',
      why: 'it has children, snapshots or clones',
      next: 'Destroy those first.',
    },
  },
  'be renamed': {
    [errno.EACCES]: {
      code: 'NOT_ENCRYPTION_ROOT',
      why: 'it would leave the dataset whose encryption key it shares',
      next: 'Give it a key of its own first: changeKey.',
    },
  },
  'be rolled back': {
    [errno.EBUSY]: { code: 'BUSY', why: 'it is being sent or received', next: 'Wait for that.' },
    [errno.EEXIST]: {
      code: 'NOT_LATEST',
      why: 'it has later snapshots or bookmarks',
      next: 'Destroy the later ones first.',
    },
    [errno.ESRCH]: { code: 'NOT_FOUND', why: 'it has no such snapshot' },
    [errno.EXDEV]: { code: 'NOT_FOUND', why: 'that is not its latest snapshot, or not its own' },
  },
  'be held': {
    [errno.EEXIST]: { code: 'EXISTS', why: 'it has a hold with that tag already' },
    [errno.E2BIG]: { code: 'INVALID_NAME', why: 'the tag is too long' },
  },
  'be released': {
    [errno.ESRCH]: { code: 'NOT_FOUND', why: 'it has no hold with that tag' },
  },
  'be promoted': {
    [errno.EINVAL]: { code: 'NOT_A_CLONE', why: 'it is not a clone' },
    [errno.EEXIST]: {
      code: 'EXISTS',
      why: 'it and its origin have snapshots of one name',
      next: 'Rename one of them.',
    },
  },
  'be sent': {
    [errno.EXDEV]: { code: 'NOT_ANCESTOR', why: 'it does not descend from what it is to be sent from' },
    [errno.ENOENT]: { code: 'NOT_FOUND', why: 'it, or what it is to be sent from, does not exist' },
    [errno.EACCES]: {
      code: 'KEY_NOT_LOADED',
      why: 'its encryption key is not loaded',
      next: 'Load it with zfs load-key, or send raw.',
    },
    [errno.EINVAL]: { code: 'INVALID_ARGUMENT', why: 'it can not be sent this way' },
  },
  'have its stream estimated': {
    [errno.EXDEV]: { code: 'NOT_ANCESTOR', why: 'it does not descend from what it is to be sent from' },
    [errno.ENOENT]: { code: 'NOT_FOUND', why: 'it, or what it is to be sent from, does not exist' },
  },
  'be received': {
    [errno.ENODEV]: {
      code: 'BASE_MISMATCH',
      why: 'its newest snapshot is not the one that the stream starts from',
      next: 'Send from a snapshot that both sides have.',
    },
    [errno.ETXTBSY]: {
      code: 'DESTINATION_MODIFIED',
      why: 'it has changed since its newest snapshot',
      next: 'Roll it back to that snapshot, or receive with force, which does so.',
    },
    [errno.EEXIST]: { code: 'EXISTS', why: 'it exists already, or has snapshots that stand in the way' },
    [errno.EBUSY]: {
      code: 'BUSY',
      why: 'it is in use: another receive, the state of an interrupted one, or an open volume',
      next: 'Wait, or resume or abort the interrupted receive (zfs receive -A).',
    },
    [errno.ENOENT]: { code: 'NOT_FOUND', why: 'it, its parent or its origin does not exist' },
    [errno.EINVAL]: { code: 'STREAM_INVALID', why: 'the stream is not one that it can take' },
    [errno.E2BIG]: { code: 'STREAM_INVALID', why: "the stream's blocks are larger than this ZFS allows" },
    [errno.ERANGE]: { code: 'BAD_PROPERTY', why: 'a property is out of range' },
    [errno.ENOTSUP]: { code: 'NOT_SUPPORTED', why: "the pool lacks a feature of the stream, or the stream isn't one" },
    [ECKSUM]: {
      code: 'STREAM_CORRUPT',
      why: 'the stream was changed on its way: a checksum is wrong',
      next: 'Send it again.',
    },
    [zfsErrno.STREAM_TRUNCATED]: {
      code: 'STREAM_TRUNCATED',
      why: 'the stream ended before its end',
      next: 'Send it again.',
    },
    [zfsErrno.UNKNOWN_SEND_STREAM_FEATURE]: {
      code: 'NOT_SUPPORTED',
      why: 'the stream uses a feature that this ZFS lacks',
    },
    [zfsErrno.STREAM_LARGE_BLOCK_MISMATCH]: {
      code: 'STREAM_INVALID',
      why: 'an earlier stream was sent with large blocks and this one is without',
      next: 'Send with largeBlocks, as before.',
    },
    [zfsErrno.STREAM_LARGE_MICROZAP]: {
      code: 'STREAM_INVALID',
      why: 'the stream has large microzaps; send with largeBlocks',
    },
    [zfsErrno.FROM_IVSET_GUID_MISSING]: {
      code: 'BASE_MISMATCH',
      why: "the base has no IV set GUID, so a raw increment can't follow",
    },
    [zfsErrno.FROM_IVSET_GUID_MISMATCH]: {
      code: 'BASE_MISMATCH',
      why: 'the base was not received raw, so a raw increment does not fit it',
    },
    [zfsErrno.SPILL_BLOCK_FLAG_MISSING]: {
      code: 'STREAM_INVALID',
      why: 'the sending ZFS has a spill block bug; upgrade it',
    },
    [zfsErrno.RESUME_EXISTS]: {
      code: 'RESUME_EXISTS',
      why: 'the stream goes on with one that was to take its place',
      next: 'Receive with force, as before, or abort that one with zfs receive -A.',
    },
  },
  'be mounted': {
    [errno.EPERM]: { code: 'PERMISSION_DENIED', why: 'only root may mount' },
    [errno.EBUSY]: { code: 'BUSY', why: 'it is mounted already, or its directory is in use' },
    [errno.EACCES]: {
      code: 'KEY_NOT_LOADED',
      why: 'its encryption key is not loaded',
      next: 'Load it with zfs load-key.',
    },
  },
  'be opened': {
    [errno.EBUSY]: {
      code: 'POOL_IN_USE',
      why: 'another process has it open',
      next: 'End that process, or use another directory. Two hosts never share a pool.',
    },
    [errno.EEXIST]: {
      code: 'EXISTS',
      why: 'this process has a pool of that name open, from another directory',
      next: 'Give each a name of its own (pool).',
    },
    [errno.EINVAL]: { code: 'INVALID_ARGUMENT', why: 'its file holds another pool, or that is no name for one' },
    [errno.ENODATA]: { code: 'NOT_A_POOL', why: 'its file holds no pool' },
    [errno.EACCES]: { code: 'PERMISSION_DENIED', why: 'this user may not open its file' },
    [errno.ENOENT]: { code: 'NOT_FOUND', why: 'the directory above does not exist' },
  },
  'be closed': {
    [errno.EBUSY]: { code: 'BUSY', why: 'something is still using it' },
    [errno.ENOENT]: { code: 'NOT_FOUND', why: 'it is not open' },
  },
  'be read': {
    [errno.EINVAL]: { code: 'INVALID_ARGUMENT', why: 'it is no volume, or that is outside of it' },
  },
  'be written': {
    [errno.EINVAL]: { code: 'INVALID_ARGUMENT', why: 'it is no volume, or that is outside of it' },
    [errno.EROFS]: { code: 'READ_ONLY', why: 'it is read-only' },
  },
  'be unmounted': {
    [errno.EBUSY]: { code: 'BUSY', why: 'files in it are open' },
    [errno.EINVAL]: { code: 'NOT_MOUNTED', why: 'it is not mounted' },
  },
}

/**
 * The error for an errno, or a ZFS_ERR_* number, that ZFS gave. After pyzfs's _error_translation.py and libzfs's own
 * messages (zfs_receive_one and others).
 *
 * @param operation what was being done
 * @param code a positive errno
 * @param dataset the name that it is about
 */
export function zfsError(operation: Operation, code: number, dataset: string, cause?: unknown): FlockerError {
  const meaning = special[operation]?.[code] ?? common[code]
  const why = meaning?.why ?? `ZFS answered with errno ${code}${errnoName(code)}`
  const message = `${dataset} can't ${operation}: ${why}`
  const details = { errno: code, dataset, next: meaning?.next, cause }
  if (meaning?.code === 'NOT_SUPPORTED') return new NotSupportedError(message, details)
  if (meaning?.code.startsWith('STREAM_')) return new StreamError(meaning.code, message, details)
  return new ZfsError(meaning?.code ?? 'UNKNOWN', message, details)
}

function errnoName(code: number): string {
  const found = Object.entries(errno).find(([, number]) => number === code)
  return found === undefined ? '' : ` (${found[0]})`
}

/** An error of a call that takes many names: `failures` has each name's own. */
export class ManyError extends ZfsError {
  readonly failures: ReadonlyMap<string, FlockerError>

  constructor(failures: ReadonlyMap<string, FlockerError>) {
    const [first] = failures.values()
    const others = failures.size - 1
    const more = others > 0 ? ` (and ${others} more, see failures)` : ''
    super(first?.code ?? 'UNKNOWN', `${first?.message.split('\n')[0] ?? 'The call failed'}${more}`, {
      errno: first?.errno,
      dataset: first?.dataset,
      next: first?.next,
      cause: first,
    })
    this.failures = failures
  }
}

/**
 * Throws what a call with a list of errors came to.
 *
 * @param list a packed nvlist of name to int32 errno (or to a list of those, as a release gives)
 */
export function throwFailures(operation: Operation, code: number, list: Buffer | undefined, dataset: string): void {
  const failures = list === undefined ? new Map<string, FlockerError>() : readFailures(operation, list)
  if (failures.size > 0) throw new ManyError(failures)
  if (code !== 0) throw zfsError(operation, code, dataset)
}

function readFailures(operation: Operation, list: Buffer): Map<string, FlockerError> {
  const failures = new Map<string, FlockerError>()
  for (const [name, value] of Object.entries(decodeNvlist(list))) {
    const own = typeof value === 'number' ? value : Object.values(value).find((each) => typeof each === 'number')
    // The kernel cuts long lists off and says how many are missing, under this name (ZPROP_N_MORE_ERRORS).
    if (typeof own === 'number' && name !== 'N_MORE_ERRORS') failures.set(name, zfsError(operation, own, name))
  }
  return failures
}
