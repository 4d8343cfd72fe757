import { FlockerError } from '../errors.js'
import { throwFailures, zfsError } from './errors.js'
import { checkOnePool, checkSnapshot, checkTag } from './names.js'
import { type Addon, type Cleanup, openAddon } from './native.js'
import { decodeNvlist, encodeNvlist, nv } from './nvlist.js'

/** Holds that were made in one call. */
export class Holds {
  #release: (() => Promise<void>) | undefined

  /** @internal */
  constructor(release: () => Promise<void>) {
    this.#release = release
  }

  /** Releases them. Calling it again does nothing. */
  async release(): Promise<void> {
    const release = this.#release
    this.#release = undefined
    await release?.()
  }

  /** As {@link release}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }
}

/**
 * Holds snapshots of one pool, so that they can't be destroyed: all or none. lzc_hold.
 *
 * @param holds tag by snapshot's full name
 * @param options.temporary the holds end with this process (or worker, or when the result is garbage), and after a crash when
 *   the pool is next imported
 * @throws ManyError with each name's own error in `failures`: `NOT_FOUND`, `EXISTS` (a hold with that tag), `INVALID_NAME`
 *   (a tag too long for a temporary hold); ZfsError `PERMISSION_DENIED`
 */
export async function hold(
  holds: Readonly<Record<string, string>>,
  options: { temporary?: boolean } = {},
): Promise<Holds> {
  const names = Object.keys(holds).map(checkSnapshot)
  for (const tag of Object.values(holds)) checkTag(tag)
  checkOnePool(names)
  const [first] = names
  if (first === undefined) return new Holds(async () => undefined)
  const native = openAddon()
  const outcome = await native.hold(encodeNvlist(holds), options.temporary ?? false)
  await undoPartial(holds, outcome, options.temporary ?? false)
  throwFailures('be held', outcome.errno, outcome.list, first)
  const { cleanup } = outcome
  return new Holds(cleanup === undefined ? () => release(holds) : () => close(native, cleanup))
}

// A snapshot that isn't there does not fail lzc_hold: the others are held. (Temporary ones are released by the addon.)
async function undoPartial(
  holds: Readonly<Record<string, string>>,
  { errno, list }: { errno: number; list?: Buffer },
  temporary: boolean,
): Promise<void> {
  if (temporary || errno !== 0 || list === undefined) return
  const failed = decodeNvlist(list)
  const held = Object.entries(holds).filter(([name]) => !(name in failed))
  if (held.length < Object.keys(holds).length) await release(Object.fromEntries(held))
}

async function close(native: Addon, cleanup: Cleanup): Promise<void> {
  const { errno } = await native.closeHold(cleanup)
  if (errno !== 0)
    throw new FlockerError('INTERNAL', `A temporary hold could not be released (errno ${errno})`, { errno })
}

/**
 * Releases holds in one pool: all or none. lzc_release.
 *
 * @param holds tag, or tags, by snapshot's full name
 * @throws ManyError with each name's own error in `failures`: `NOT_FOUND` (no such snapshot, or no such tag); ZfsError
 *   `PERMISSION_DENIED`
 */
export async function release(holds: Readonly<Record<string, string | readonly string[]>>): Promise<void> {
  const names = Object.keys(holds).map(checkSnapshot)
  checkOnePool(names)
  const [first] = names
  if (first === undefined) return
  const entries = Object.entries(holds).map(([name, tags]) => {
    const list = (typeof tags === 'string' ? [tags] : tags).map(checkTag)
    return [name, nv.list(Object.fromEntries(list.map((tag) => [tag, nv.flag()])))] as const
  })
  const { errno, list } = await openAddon().release(encodeNvlist(Object.fromEntries(entries)))
  throwFailures('be released', errno, list, first)
}

/**
 * A snapshot's holds: when each was made, in Unix seconds, by tag. lzc_get_holds.
 * @throws ZfsError `NOT_FOUND`
 */
export async function getHolds(snapshot: string): Promise<Record<string, bigint>> {
  checkSnapshot(snapshot)
  const { errno, list } = await openAddon().getHolds(snapshot)
  if (errno !== 0) throw zfsError('have its holds read', errno, snapshot)
  return list === undefined ? {} : (decodeNvlist(list) as Record<string, bigint>)
}
