import { isSnapshotName } from './names.js'
import { newestOf } from './planner/inventory.js'
import type { Cursor, OurHold, Traces } from './read-traces.js'

/** Something that a replication has left and that none will use again. */
export interface Stale {
  /**
   * What removing it does. `hold`: releases it. `mark`: takes the mark off the snapshot, which stays. `snapshot`: destroys it; a
   * replication made it, and no peer has it. `cursor`: destroys the bookmark. `partial`: destroys what has been received of an
   * unfinished stream.
   */
  kind: 'hold' | 'mark' | 'snapshot' | 'cursor' | 'partial'
  /** The full name of the snapshot, the bookmark or the dataset. */
  name: string
  /** The GUID of the snapshot, or of the one that it was made from; of a `partial` that of the stream's, where it is known. */
  guid: bigint | undefined
  /** The hold's tag. */
  tag: string | undefined
  peer: string | undefined
  /** A sentence for people. */
  why: string
}

/** What a peer has said that it has of the volume. */
export interface AskedPeer {
  peer: string
  guids: ReadonlySet<bigint>
  /** Whether these are all. */
  complete: boolean
  /** The GUID of the snapshot that it has a part of. */
  partial: bigint | undefined
}

/** What else there is to go by. */
export interface StaleSituation {
  now: Date
  /** What nobody has gone on with for so long is abandoned, in milliseconds. */
  staleMilliseconds: number
  /** Whether this process is receiving the dataset. */
  receiving: boolean
  /** The peers that were asked. What is known of one is better than any age. */
  asked?: readonly AskedPeer[]
}

/**
 * Judges what of the traces in a dataset no replication will use again. It errs on the safe side: what a process is at work with, what a
 * peer may go on with, and the point from which its next stream starts are never stale, and nothing that isn't ours is.
 */
export function judgeStale(traces: Traces, situation: StaleSituation): Stale[] {
  const holds = traces.holds.filter((hold) => isHoldStale(traces, situation, hold) !== undefined)
  return [
    ...holds.map((hold) => staleHold(traces, situation, hold)),
    ...pendingOf(traces, situation, holds),
    ...cursorsOf(traces, situation),
    ...partialOf(traces, situation),
  ]
}

function staleHold(traces: Traces, situation: StaleSituation, hold: OurHold): Stale {
  const { snapshot, guid, tag, peer } = hold
  const why = isHoldStale(traces, situation, hold) ?? ''
  return { kind: 'hold', name: `${traces.dataset}@${snapshot}`, guid, tag, peer, why }
}

/** Why a hold is stale; `undefined` where it isn't. */
function isHoldStale(
  traces: Traces,
  situation: StaleSituation,
  { kind, peer, guid, created }: OurHold,
): string | undefined {
  if (kind === 'transfer' || peer === undefined || isBusy(traces, guid)) return undefined
  if (kind === 'to') return whyNotOnItsWay(traces, situation, { peer, guid, since: created })
  const received = traces.holds.filter((other) => other.kind === 'from' && other.peer === peer)
  const newest = newestOf(traces.snapshots.filter((point) => received.some((other) => other.guid === point.guid)))
  return newest?.guid === guid ? undefined : `a newer snapshot from ${peer} is held`
}

/** Temporary holds end with their process. */
function isBusy({ holds }: Traces, guid: bigint): boolean {
  return holds.some((hold) => hold.kind === 'transfer' && hold.guid === guid)
}

/** What is younger may be about to be sent: a push takes its snapshot before it begins the stream. */
const youngMilliseconds = 600_000

/** Why a snapshot that was to go to a peer does not go there any more; `undefined` where it may. */
function whyNotOnItsWay(
  { cursors }: Traces,
  { now, staleMilliseconds, asked = [] }: StaleSituation,
  { peer, guid, since }: { peer: string; guid: bigint; since: Date },
): string | undefined {
  if (cursors.some((cursor) => cursor.peer === peer && cursor.guid === guid)) return `${peer} has confirmed it`
  const there = asked.find((each) => each.peer === peer)
  if (there?.partial === guid || there?.guids.has(guid)) return undefined
  const age = now.getTime() - since.getTime()
  if (there?.complete && age >= Math.min(youngMilliseconds, staleMilliseconds)) return `${peer} has nothing of it`
  if (age < staleMilliseconds) return undefined
  return `it was to go to ${peer} ${describeAge(age)} ago, and nobody has gone on with it`
}

/** Marked snapshots that are not held, but for holds that are stale themselves. */
function pendingOf(traces: Traces, situation: StaleSituation, staleHolds: readonly OurHold[]): Stale[] {
  const { dataset, snapshots, cursors } = traces
  return snapshots.flatMap(({ name, guid, creation, userrefs = 0n, pendingFor: peer, cloned }): Stale[] => {
    if (peer === undefined || isBusy(traces, guid)) return []
    const about = { name: `${dataset}@${name}`, guid, tag: undefined, peer }
    if (cursors.some((cursor) => cursor.peer === peer && cursor.guid === guid)) {
      return [{ kind: 'mark', ...about, why: `${peer} has confirmed it` }]
    }
    const released = staleHolds.filter((hold) => hold.guid === guid).length
    if (userrefs > BigInt(released) || cloned || !isSnapshotName(name)) return []
    const why = whyNotOnItsWay(traces, situation, { peer, guid, since: new Date(Number(creation) * 1000) })
    return why === undefined ? [] : [{ kind: 'snapshot', ...about, why }]
  })
}

/** Cursors besides the newest that the peer has. Only the peer can tell: it may have been rolled back to an older one. */
function cursorsOf({ dataset, cursors }: Traces, { asked = [] }: StaleSituation): Stale[] {
  return asked.flatMap(({ peer, guids, complete }) => {
    const own = cursors.filter((cursor) => cursor.peer === peer)
    const base = newestOf(own.filter(({ guid }) => guids.has(guid)))
    if (base === undefined || !complete) return []
    return own
      .filter(({ guid }) => guid !== base.guid)
      .map(({ name, guid }) => {
        const why = `${peer}'s next stream starts from ${base.name}`
        return { kind: 'cursor' as const, name: `${dataset}#${name}`, guid, tag: undefined, peer, why }
      })
  })
}

function partialOf({ dataset, partial }: Traces, { now, staleMilliseconds, receiving }: StaleSituation): Stale[] {
  if (partial === undefined || receiving) return []
  const { decoded, unreadable, since } = partial
  const about = { kind: 'partial' as const, name: dataset, guid: decoded?.toguid, tag: undefined, peer: undefined }
  if (unreadable !== undefined) return [{ ...about, why: `its resume token can't be read: ${unreadable}` }]
  const age = since === undefined ? 0 : now.getTime() - since.getTime()
  if (since === undefined || age < staleMilliseconds) return []
  return [{ ...about, why: `its receive began ${describeAge(age)} ago, and nobody has finished it` }]
}

const units = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
] as const

/** An age for people, in its largest unit. */
export function describeAge(milliseconds: number): string {
  const [unit, length] = units.find(([, each]) => milliseconds >= each) ?? ['second', 1000]
  const count = Math.max(0, Math.floor(milliseconds / length))
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}

/** A peer's newest cursor. */
export function newestCursor(cursors: readonly Cursor[], peer: string): Cursor | undefined {
  return newestOf(cursors.filter((cursor) => cursor.peer === peer))
}
