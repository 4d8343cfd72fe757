import { ArgumentError, abortReason } from '../errors.js'
import { zfsError } from './errors.js'
import { checkBookmark, checkDataset, checkOnePool, checkSnapshot } from './names.js'
import { type Addon, openAddon } from './native.js'
import { PipeReadable } from './pipe-source.js'
import { closedWithin, followSignal } from './transfer.js'

/** What a stream may contain (zfs-send(8)). */
export interface SendFlags {
  /** `-L`: blocks larger than 128 KiB as they are. Once sent so, increments must be too. */
  largeBlocks?: boolean
  /**
   * `-e`: blocks that are embedded in their pointers as they are. OpenZFS since 2.2.7 loses by it extended attributes and access
   * control lists of files that don't fit into a dnode and compress well (openzfs/zfs pull request 19091).
   */
  embedded?: boolean
  /** `-c`: blocks as compressed as they are on disk. */
  compressed?: boolean
  /** `-w`: an encrypted dataset's blocks as they are on disk; needs no key. */
  raw?: boolean
  /** `-S`: what an interrupted receive has left; the name is then the dataset's. */
  saved?: boolean
}

const flagBits = { embedded: 1, largeBlocks: 2, compressed: 4, raw: 8, saved: 16 } as const

/** What a stream is to hold. */
export interface SendOptions {
  /** The snapshot (`pool/fs@name`) or bookmark (`pool/fs#name`) that the receiver has; without it the stream is a full one. */
  from?: string
  flags?: SendFlags
  /** Where to go on, from a resume token. */
  resume?: { object: bigint; offset: bigint }
  /** A redaction bookmark's short name (zfs-redact(8)). */
  redactBookmark?: string
  /** Ends the send. */
  signal?: AbortSignal
}

/**
 * Sends a snapshot: a Readable of the stream's bytes. lzc_send_resume_redacted, on a thread of its own; lzc_send, lzc_send_resume and
 * lzc_send_redacted are the same with less. What lzc_send_wrapper does for descriptors of other kinds isn't needed: it is always a pipe.
 *
 * The stream ends only once ZFS has said that all was sent; an error of ZFS's becomes the stream's error: ZfsError `NOT_FOUND`,
 * `NOT_ANCESTOR`, `KEY_NOT_LOADED`, `PERMISSION_DENIED`; AbortError or TimeoutError by the signal. It emits `close` when its
 * thread is done with the snapshot.
 *
 * @throws ArgumentError for bad names; AddonError
 */
export function send(snapshot: string, options: SendOptions = {}): SendStream {
  checkSource(snapshot, options)
  return new SendStream(openAddon(), snapshot, options)
}

/** Checks the names of what is to be sent, and from where. */
export function checkSource(snapshot: string, { from, flags }: Pick<SendOptions, 'from' | 'flags'>): void {
  if (flags?.saved) checkDataset(snapshot)
  else checkSnapshot(snapshot)
  if (from === undefined) return
  if (from.includes('#')) checkBookmark(from)
  else checkSnapshot(from)
  checkOnePool([snapshot, from])
}

/** lzc_send_flags. */
export function sendBits(flags: SendFlags = {}): number {
  let sum = 0
  for (const [name, bit] of Object.entries(flagBits)) if (flags[name as keyof SendFlags]) sum |= bit
  return sum
}

/** Checks where a stream is to go on. */
export function checkPosition<Position extends { object: bigint; offset: bigint; bytes?: bigint }>(
  position: Position,
): Position {
  const { object, offset, bytes = 0n } = position
  if ([object, offset, bytes].every((each) => typeof each === 'bigint' && each >= 0n && each < 2n ** 64n))
    return position
  throw new ArgumentError('A resume position is made of bigints that are not negative')
}

/** A send under way. {@link SendStream.bytes} are those of the stream that were read from ZFS so far. */
export class SendStream extends PipeReadable {
  readonly #snapshot: string
  readonly #result: Promise<{ errno: number }>
  readonly #unfollow: () => void

  /** @internal */
  constructor(native: Addon, snapshot: string, options: SendOptions) {
    const { from, resume = { object: 0n, offset: 0n }, redactBookmark, signal } = options
    checkPosition(resume)
    const position = [resume.object, resume.offset] as const
    const begun = native.send(snapshot, from ?? null, sendBits(options.flags), ...position, redactBookmark ?? null)
    super(native, begun.transfer)
    this.#snapshot = snapshot
    this.#result = begun.result
    this.#unfollow = followSignal(signal, () => {
      this.destroy(abortReason(signal as AbortSignal, `The send of ${snapshot}`))
    })
  }

  /** The pipe's end is the stream's only if ZFS says so, too. */
  protected async ended(): Promise<void> {
    const { errno } = await this.#result
    if (errno !== 0) throw this.failure(errno)
  }

  protected failure(errno: number): Error {
    return zfsError('be sent', errno, this.#snapshot)
  }

  /** @internal */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#unfollow()
    const closed = this.addon.cancel(this.transfer)
    closedWithin(Promise.all([closed, this.#result])).then(() => callback(error), callback)
  }
}
