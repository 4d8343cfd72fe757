import { ArgumentError } from '../errors.js'
import { isSnapshotName } from './names.js'
import { type NameFilter, nameFilter } from './planner/filter.js'
import { newestFirst, newestOf, type SnapshotPoint } from './planner/inventory.js'

/**
 * Which snapshots of a dataset to keep. A snapshot stays if any rule keeps it; without any rule all stay.
 *
 * The rules for time count periods that have a snapshot, from the newest back, and keep the newest snapshot of each. So a
 * host that makes none for a while loses none for it, and what is kept of a period that is over never changes. zrepl's grid does
 * both (its right edge is the newest snapshot, and it destroys a bucket's oldest first); sanoid and restic count the same way. Periods
 * are those of the calendar, in UTC; weeks begin on Monday (ISO 8601).
 */
export interface RetentionPolicy {
  /** The newest so many. */
  last?: number
  hourly?: number
  daily?: number
  weekly?: number
  monthly?: number
  yearly?: number
  /**
   * The only snapshots that may be destroyed, and that the rules count, by the part of the name after the `@`. Default: those
   * that this package has made.
   */
  touches?: NameFilter
}

export interface RetentionSnapshot extends SnapshotPoint {
  /** In Unix seconds. */
  creation: bigint
  /** How many holds it has (zfsprops(7), userrefs). */
  userrefs?: bigint | undefined
  /** The peer that it was made for and that has not confirmed it. */
  pendingFor?: string | undefined
  /** Whether a clone comes from it. */
  cloned?: boolean | undefined
}

/** What goes on around the dataset. */
export interface RetentionSituation {
  /** The time of the decision. */
  now: Date
  /** The peers that this dataset is replicated to, or from. */
  peers?: readonly RetentionPeer[]
}

export interface RetentionPeer {
  name: string
  /**
   * The GUIDs of the points that it and this host have in common: those of its cursors, or of its history. The newest of them that
   * is a snapshot here stays. `undefined` where it is not known: then any snapshot may be the one, and all stay.
   */
  common: readonly bigint[] | undefined
  /** The GUIDs of the snapshot and the base of a stream that was interrupted, which it takes to go on. */
  partial?: readonly bigint[]
}

/** Why a snapshot is kept. */
export type RetentionReason =
  | 'untouchable'
  | 'no-rules'
  | 'newest'
  | 'held'
  | 'cloned'
  | 'pending'
  | 'base'
  | 'partial'
  | 'unknown-peer'
  | 'future'
  | 'last'
  | Period
  | 'expired'

/** A snapshot that is kept, and why. */
export interface Retained<S extends RetentionSnapshot> {
  snapshot: S
  reason: RetentionReason
  /** A sentence for people. */
  why: string
}

export interface Retention<S extends RetentionSnapshot> {
  /** Newest first. */
  keep: Retained<S>[]
  /** Oldest first. */
  destroy: Retained<S>[]
}

const periods = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const
type Period = (typeof periods)[number]

/**
 * Decides what to keep of a dataset's snapshots. Whatever the policy: the newest stays, and so does what has a hold or a clone, what
 * waits for a peer's confirmation, what a peer needs as its base or to go on with an interrupted stream, and what the
 * policy may not touch.
 *
 * @param snapshots of one dataset, in any order
 * @throws ArgumentError `INVALID_ARGUMENT`: a count is not a whole number of at least zero, or the time is none
 */
export function decideRetention<S extends RetentionSnapshot>(
  snapshots: readonly S[],
  policy: RetentionPolicy,
  situation: RetentionSituation,
): Retention<S> {
  checkPolicy(policy, situation)
  const history = newestFirst(snapshots)
  const kept = new Map<S, Omit<Retained<S>, 'snapshot'>>()
  const keep = (snapshot: S | undefined, reason: RetentionReason, why: string): void => {
    if (snapshot !== undefined && !kept.has(snapshot)) kept.set(snapshot, { reason, why })
  }
  keepUntouchable(history, policy, keep)
  const counted = history.filter((snapshot) => !kept.has(snapshot))
  keepNeeded(history, situation, keep)
  keepByRules(counted, policy, situation.now, keep)
  const retention: Retention<S> = { keep: [], destroy: [] }
  for (const snapshot of history) {
    const found = kept.get(snapshot)
    if (found !== undefined) retention.keep.push({ snapshot, ...found })
    else retention.destroy.push({ snapshot, reason: 'expired', why: 'no rule keeps it and nothing needs it' })
  }
  retention.destroy.reverse()
  return retention
}

type Keep<S> = (snapshot: S | undefined, reason: RetentionReason, why: string) => void

function keepUntouchable<S extends RetentionSnapshot>(history: S[], { touches }: RetentionPolicy, keep: Keep<S>): void {
  const mayTouch = touches === undefined ? isSnapshotName : nameFilter(touches)
  for (const snapshot of history) {
    if (!mayTouch(snapshot.name)) keep(snapshot, 'untouchable', 'the policy may not touch it')
  }
}

function keepNeeded<S extends RetentionSnapshot>(
  history: S[],
  { now, peers = [] }: RetentionSituation,
  keep: Keep<S>,
): void {
  keep(history[0], 'newest', 'it is the newest')
  const bases = basesOf(history, peers)
  const parts = new Map(peers.flatMap(({ name, partial = [] }) => partial.map((guid) => [guid, name])))
  const unknown = peers.find(({ common }) => common === undefined)?.name
  const seconds = BigInt(Math.floor(now.getTime() / 1000))
  for (const snapshot of history) {
    const { guid, userrefs = 0n, cloned, pendingFor, creation } = snapshot
    const base = bases.get(guid)
    const part = parts.get(guid)
    if (userrefs > 0n) keep(snapshot, 'held', `it has ${userrefs} ${userrefs === 1n ? 'hold' : 'holds'}`)
    if (cloned) keep(snapshot, 'cloned', 'a clone comes from it')
    if (pendingFor !== undefined) keep(snapshot, 'pending', `${pendingFor} has not confirmed it yet`)
    if (base !== undefined) keep(snapshot, 'base', `it is the newest that ${base} has too`)
    if (part !== undefined) keep(snapshot, 'partial', `${part} has a part of a stream that needs it`)
    if (unknown !== undefined) keep(snapshot, 'unknown-peer', `it is not known what ${unknown} has`)
    if (creation > seconds) keep(snapshot, 'future', 'by the clock it is not made yet, so its age is not known')
  }
}

/** By GUID: the peer that needs the snapshot as the base of the next increment. */
function basesOf(history: readonly RetentionSnapshot[], peers: readonly RetentionPeer[]): Map<bigint, string> {
  const bases = new Map<bigint, string>()
  for (const { name, common } of peers) {
    const guids = new Set(common)
    const base = newestOf(history.filter(({ guid }) => guids.has(guid)))
    if (base !== undefined) bases.set(base.guid, name)
  }
  return bases
}

function keepByRules<S extends RetentionSnapshot>(
  counted: readonly S[],
  policy: RetentionPolicy,
  now: Date,
  keep: Keep<S>,
): void {
  const { last } = policy
  if (last === undefined && periods.every((period) => policy[period] === undefined)) {
    for (const snapshot of counted) keep(snapshot, 'no-rules', 'the policy has no rule')
    return
  }
  const past = counted.filter(({ creation }) => Number(creation) * 1000 <= now.getTime())
  for (const snapshot of past.slice(0, last ?? 0)) keep(snapshot, 'last', `it is one of the newest ${last}`)
  for (const period of periods) keepGrid(past, period, policy[period] ?? 0, keep)
}

function keepGrid<S extends RetentionSnapshot>(past: readonly S[], period: Period, count: number, keep: Keep<S>): void {
  const seen = new Set<string>()
  for (const snapshot of past) {
    if (seen.size >= count) return
    const bucket = bucketOf(snapshot.creation, period)
    if (seen.has(bucket)) continue
    seen.add(bucket)
    keep(snapshot, period, `it is the newest of ${bucket}, and ${count} ${period} ${count === 1 ? 'is' : 'are'} kept`)
  }
}

/** The period of the UTC calendar that a time is in, such as `2026-11-24T20`, `2026-W48`. */
function bucketOf(creation: bigint, period: Period): string {
  const time = new Date(Number(creation) * 1000)
  const text = time.toISOString()
  if (period === 'weekly') return weekOf(time)
  return text.slice(0, { hourly: 13, daily: 10, monthly: 7, yearly: 4 }[period])
}

const dayMilliseconds = 86_400_000

/** ISO 8601: a week belongs to the year that its Thursday is in. */
function weekOf(time: Date): string {
  const sinceMonday = (time.getUTCDay() + 6) % 7
  const thursday = new Date(time.getTime() + (3 - sinceMonday) * dayMilliseconds)
  const year = thursday.getUTCFullYear()
  const week = Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * dayMilliseconds)) + 1
  return `${year}-W${String(week).padStart(2, '0')}`
}

function checkPolicy(policy: RetentionPolicy, { now }: RetentionSituation): void {
  if (Number.isNaN(now.getTime())) throw new ArgumentError('The time of the decision is not a time')
  for (const rule of ['last', ...periods] as const) {
    const count = policy[rule]
    if (count === undefined || (Number.isSafeInteger(count) && count >= 0)) continue
    throw new ArgumentError(`${rule} must be a whole number of at least zero, not ${count}`)
  }
}
