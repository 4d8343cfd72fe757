import type { SendFlags } from '../../lzc/index.js'
import type { ResumeToken } from '../../stream/index.js'
import type { MarkedSnapshot } from '../pending.js'
import type { BookmarkPoint, Inventory, SnapshotPoint } from './inventory.js'
import { baseWithGuid, type IncrementalBase } from './plan.js'

/** Where to go on with an interrupted stream, and how to make the same stream again. */
export interface ResumePoint {
  object: bigint
  offset: bigint
  /** Bytes of the stream that have arrived. */
  bytes: bigint
  flags: Required<Omit<SendFlags, 'saved'>>
}

export type PartialVerdict<P extends SnapshotPoint = MarkedSnapshot> =
  | { kind: 'resume'; target: P; base: IncrementalBase | undefined; resume: ResumePoint }
  | { kind: 'stale'; reason: string }

/**
 * Judges whether the rest of an interrupted stream can be sent from here. A token comes from the peer and can name anything, so
 * nothing is sent for what it says: only for what this host has under the GUIDs in it.
 *
 * @param raw whether streams of this dataset are raw
 * @param origin the snapshot that the dataset is a clone of
 */
export function judgePartial<P extends SnapshotPoint>(
  token: ResumeToken,
  local: { dataset: string; snapshots: readonly P[]; bookmarks: readonly BookmarkPoint[] },
  raw: boolean,
  origin?: SnapshotPoint,
): PartialVerdict<P> {
  const target = local.snapshots.find(({ guid }) => guid === token.toguid)
  if (target === undefined) {
    return stale(`it is a part of ${token.toname} (guid ${token.toguid}), which ${local.dataset} does not have`)
  }
  if (token.redactSnapshots !== undefined || token.bookRedactSnapshots !== undefined) {
    return stale('its stream was redacted')
  }
  if (token.raw !== raw) {
    return stale(token.raw ? 'its stream was raw, and would not be now' : 'its stream was not raw, and would be now')
  }
  if (token.fromguid === undefined) return resumeAt(token, target, undefined)
  const base = baseOf(token.fromguid, local, origin)
  if (base === undefined || !isBefore(base, target)) {
    return stale(`its stream starts from guid ${token.fromguid}, of which there is neither snapshot nor bookmark now`)
  }
  return resumeAt(token, target, base)
}

function baseOf(guid: bigint, local: Inventory, origin: SnapshotPoint | undefined): IncrementalBase | undefined {
  return origin?.guid === guid ? { kind: 'snapshot', ...origin } : baseWithGuid(local, guid)
}

function isBefore(base: SnapshotPoint, target: SnapshotPoint): boolean {
  return base.createtxg < target.createtxg
}

function resumeAt<P extends SnapshotPoint>(
  token: ResumeToken,
  target: P,
  base: IncrementalBase | undefined,
): PartialVerdict<P> {
  const { object, offset, bytes, largeBlocks, embedded, compressed, raw } = token
  return {
    kind: 'resume',
    target,
    base,
    resume: { object, offset, bytes, flags: { largeBlocks, embedded, compressed, raw } },
  }
}

function stale(reason: string): { kind: 'stale'; reason: string } {
  return { kind: 'stale', reason }
}
