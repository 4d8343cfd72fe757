import type { Readable, Writable } from 'node:stream'
import { getProperties } from '../datasets/index.js'
import { ArgumentError, ZfsError } from '../errors.js'
import { exists } from '../lzc/index.js'
import { checkVolumeName, type PushSource } from '../replication/index.js'
import {
  discardAt,
  flush,
  type Offset,
  type ReadableRange,
  readAt,
  readable,
  sizeOf,
  writable,
  writeAt,
} from './block.js'

/**
 * A dataset below the host's root, known to every host of the cluster by the same name. Where the host is an embedded one,
 * a block volume's bytes are read and written here; elsewhere these methods reject with `NOT_SUPPORTED`.
 */
export class Volume implements PushSource {
  /** @internal */
  constructor(
    readonly name: string,
    readonly dataset: string,
    /** Where it is mounted when this host uses it; `undefined` for a block volume. */
    readonly path: string | undefined,
  ) {}

  /**
   * A block volume's size in bytes.
   * @throws ZfsError `INVALID_ARGUMENT` for a filesystem
   */
  async size(): Promise<bigint> {
    return sizeOf(this.dataset)
  }

  /**
   * Reads `length` bytes (at most 256 MiB) at an offset.
   * @throws ZfsError `INVALID_ARGUMENT` outside of the volume, `IO`; NotSupportedError `NOT_SUPPORTED`
   */
  async read(offset: Offset, length: number): Promise<Buffer> {
    return readAt(this.dataset, offset, length)
  }

  /**
   * Writes bytes (at most 256 MiB) at an offset. They are on disk after some seconds, a {@link flush}, or a snapshot.
   * @throws ZfsError `INVALID_ARGUMENT` outside of the volume, `READ_ONLY`, `NO_SPACE`; NotSupportedError `NOT_SUPPORTED`
   */
  async write(offset: Offset, bytes: Uint8Array): Promise<void> {
    await writeAt(this.dataset, offset, bytes)
  }

  /** Frees a range, which then reads as zeros. Errors as of {@link write}. */
  async discard(offset: Offset, length: Offset): Promise<void> {
    await discardAt(this.dataset, offset, length)
  }

  /** Resolves when everything written before is on disk. */
  async flush(): Promise<void> {
    await flush(this.dataset)
  }

  /** The volume's bytes, or a range of them, as a stream; it fails as {@link read} does. */
  readable(range?: ReadableRange): Readable {
    return readable(this.dataset, range)
  }

  /** Writes what it is given from `start` on, and flushes at its end; it fails as {@link write} does. */
  writable(options?: { start?: Offset }): Writable {
    return writable(this.dataset, options)
  }
}

/**
 * Finds a volume below the root.
 * @throws ZfsError `NOT_FOUND`
 */
export async function openVolume(root: string, name: string): Promise<Volume> {
  checkVolumeName(name)
  const dataset = `${root}/${name}`
  if (!(await exists(dataset))) {
    throw new ZfsError('NOT_FOUND', `There is no volume ${name}: ${dataset} does not exist`, {
      dataset,
      next: 'Create it with host.createVolume(), or receive it from another host.',
    })
  }
  const path = (await getProperties(dataset)).mountpoint?.value
  return new Volume(name, dataset, typeof path === 'string' && path.startsWith('/') ? path : undefined)
}

/**
 * Checks a root: a dataset's full name, such as `tank` or `tank/flocker`.
 * @throws ArgumentError `INVALID_ARGUMENT`
 */
export function checkRoot(root: string): void {
  if (/^[A-Za-z][A-Za-z0-9_.:-]*(\/[A-Za-z0-9][A-Za-z0-9_.:-]*)*$/.test(root)) return
  throw new ArgumentError(`${JSON.stringify(root)} is not a dataset's name`)
}
