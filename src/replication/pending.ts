import type { HeldSnapshot } from './keep.js'
import { isSnapshotName } from './names.js'

/** A snapshot of the source, and the peer (if any) that an earlier push made it for and got no confirmation from. */
export interface MarkedSnapshot extends HeldSnapshot {
  pendingFor: string | undefined
}

export interface PendingVerdicts {
  /** The peer has it: only the last acknowledgement was lost. */
  delivered: MarkedSnapshot[]
  /** It never arrived; a push made it, it has the name that pushes give, and no push will use it again. */
  strays: MarkedSnapshot[]
}

/**
 * Judges what an interrupted push to this peer has left on the source.
 *
 * @param complete whether `onPeer` is all that the peer has; what is not known to be absent there is left alone
 * @param partial the snapshot that the peer has a part of, which it takes to go on
 * @param wanted the one that is to be pushed now, by name
 */
export function judgePending(
  snapshots: readonly MarkedSnapshot[],
  peer: string,
  onPeer: ReadonlySet<bigint>,
  complete: boolean,
  partial?: bigint,
  wanted?: string,
): PendingVerdicts {
  const pending = snapshots.filter(({ pendingFor }) => pendingFor === peer)
  const isStray = ({ name, guid }: MarkedSnapshot): boolean =>
    isSnapshotName(name) && !onPeer.has(guid) && guid !== partial && name !== wanted
  return {
    delivered: pending.filter(({ guid }) => onPeer.has(guid)),
    strays: complete ? pending.filter(isStray) : [],
  }
}
