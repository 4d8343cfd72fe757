import { ArgumentError } from '../errors.js'
import { zfsError } from './errors.js'
import { addonWith } from './functions.js'
import { checkBookmarkName, checkOnePool, checkSnapshot } from './names.js'
import { encodeNvlist, nv } from './nvlist.js'

/**
 * Makes a redaction bookmark of a snapshot: send() with it leaves out every block that the clones' snapshots named here have
 * changed (zfs-redact(8)). Reads all of these snapshots, so it takes long. lzc_redact.
 *
 * @param bookmark its short name
 * @param redactionSnapshots full names of snapshots of clones of `snapshot`
 * @throws ZfsError `NOT_FOUND`, `EXISTS`, `NOT_ANCESTOR` (not a clone's snapshot), `REDACTED`, `REDACTION_MISMATCH` (a redaction by
 *   other snapshots has that bookmark), `PERMISSION_DENIED`; NotSupportedError (the pool lacks the feature); ArgumentError
 */
export async function redact(snapshot: string, bookmark: string, redactionSnapshots: readonly string[]): Promise<void> {
  checkSnapshot(snapshot)
  checkBookmarkName(bookmark)
  const names = redactionSnapshots.map(checkSnapshot)
  if (names.length === 0) throw new ArgumentError('A redaction needs at least one snapshot to be redacted by')
  checkOnePool([snapshot, ...names])
  const flags = Object.fromEntries(names.map((name) => [name, nv.flag()]))
  const { errno } = await addonWith('lzc_redact').redact(snapshot, bookmark, encodeNvlist(flags))
  if (errno !== 0) throw zfsError('be redacted', errno, snapshot)
}
