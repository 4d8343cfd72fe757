import type { SendFlags } from '../lzc/index.js'
import type { ResumeToken } from '../stream/index.js'
import type { SnapshotPoint } from './inventory.js'
import type { LocalInventory } from './local.js'
import type { MarkedSnapshot } from './pending.js'
import { basesByGuid, type IncrementalBase } from './plan.js'

/** Where to go on with an interrupted stream, and how to make the same stream again. */
export interface ResumePoint {
  object: bigint
  offset: bigint
  /** Bytes of the stream that have arrived. */
  bytes: bigint
  flags: Required<Omit<SendFlags, 'saved'>>
}

export type PartialVerdict =
  | { kind: 'resume'; target: MarkedSnapshot; base: IncrementalBase | undefined; resume: ResumePoint }
  | { kind: 'stale'; reason: string }

/**
 * Judges whether the rest of an interrupted stream can be sent from here. A token comes from the peer and can name anything, so
 * nothing is sent for what it says: only for what this host has under the GUIDs in it.
 *
 * @param raw whether streams of this dataset are raw
 */
export function judgePartial(token: ResumeToken, local: LocalInventory, raw: boolean): PartialVerdict {
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
  const base = basesByGuid(local).get(token.fromguid)
  if (base === undefined || !isBefore(base, target)) {
    return stale(`its stream starts from guid ${token.fromguid}, of which there is neither snapshot nor bookmark now`)
  }
  return resumeAt(token, target, base)
}

function isBefore(base: SnapshotPoint, target: SnapshotPoint): boolean {
  return base.createtxg < target.createtxg
}

function resumeAt(token: ResumeToken, target: MarkedSnapshot, base: IncrementalBase | undefined): PartialVerdict {
  const { object, offset, bytes, largeBlocks, embedded, compressed, raw } = token
  return {
    kind: 'resume',
    target,
    base,
    resume: { object, offset, bytes, flags: { largeBlocks, embedded, compressed, raw } },
  }
}

function stale(reason: string): PartialVerdict {
  return { kind: 'stale', reason }
}
