import { zfsError } from './errors.js'
import { addonWith } from './functions.js'
import { checkBookmarkName, checkOnePool, checkSnapshot } from './names.js'
import { openAddon } from './native.js'
import { checkPosition, checkSource, type SendOptions, sendBits } from './send.js'

/** Of which stream the size is to be told. */
export interface SpaceOptions extends Pick<SendOptions, 'from' | 'flags' | 'redactBookmark'> {
  /** Where an interrupted stream is to go on, and how many bytes of it have arrived, from a resume token. */
  resume?: { object: bigint; offset: bigint; bytes?: bigint }
}

/**
 * Estimates a stream's size in bytes, or that of what is left of one. It can be a little off: see zfs-send(8), -n.
 * lzc_send_space, lzc_send_space_resume_redacted.
 * @throws ZfsError `NOT_FOUND`, `NOT_ANCESTOR`; ArgumentError; NotSupportedError
 */
export async function sendSpace(snapshot: string, options: SpaceOptions = {}): Promise<bigint> {
  checkSource(snapshot, options)
  const { from = null, resume, redactBookmark } = options
  const bits = sendBits(options.flags)
  const { errno, number } =
    resume === undefined && redactBookmark === undefined
      ? await openAddon().sendSpace(snapshot, from, bits)
      : await left(snapshot, from, bits, options)
  if (errno !== 0) throw zfsError('have its stream estimated', errno, snapshot)
  return number ?? 0n
}

async function left(
  snapshot: string,
  from: string | null,
  bits: number,
  { resume = { object: 0n, offset: 0n }, redactBookmark }: SpaceOptions,
) {
  const { object, offset, bytes = 0n } = checkPosition(resume)
  if (redactBookmark !== undefined) checkBookmarkName(redactBookmark)
  const native = addonWith('lzc_send_space_resume_redacted')
  return native.sendSpaceLeft(snapshot, from, bits, object, offset, bytes, redactBookmark ?? null)
}

/**
 * How many bytes destroying a range of a dataset's snapshots would free, the first and the last among them.
 * lzc_snaprange_space.
 *
 * @param first the oldest one's full name
 * @param last the newest one's, of the same dataset
 * @throws ZfsError `NOT_FOUND`, `NOT_ANCESTOR` (the first is not older than the last, or of another dataset); ArgumentError;
 *   NotSupportedError
 */
export async function snaprangeSpace(first: string, last: string): Promise<bigint> {
  checkSnapshot(first)
  checkSnapshot(last)
  checkOnePool([first, last])
  const { errno, number } = await addonWith('lzc_snaprange_space').snaprangeSpace(first, last)
  if (errno !== 0) throw zfsError('have its snapshots measured', errno, last)
  return number ?? 0n
}
