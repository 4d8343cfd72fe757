/**
 * What a push or a pull of one volume must come to, by what the documentation says (docs/push.md, docs/divergence.md) and the two
 * histories alone. It shares no code with what it judges.
 */
import {
  type DatasetState,
  isHalfThere,
  isPending,
  newestOf,
  type PointState,
  pointsOf,
  type SnapshotState,
  type State,
} from './state.js'

export interface Choice {
  snapshot: string | undefined
  partial: 'resume' | 'discard'
  onDivergence: 'stop' | 'preserve'
}

export interface Before {
  source: State
  destination: State
  /** The volume's name, the same on both. */
  volume: string
  /** The destination's name. */
  peer: string
  /** Names of the destination's datasets that were written to since their newest snapshot. */
  modified: ReadonlySet<string>
}

export type Expected =
  | { kind: 'full' | 'incremental' | 'current'; preserves: boolean }
  /** One of these errors. */
  | { codes: readonly string[] }

/** What is at the destination, once what an interrupted stream has left is out of the way. */
interface There {
  dataset: DatasetState | undefined
  snapshots: readonly PointState[]
}

export function expectedOf(before: Before, choice: Choice): Expected {
  const { source: sources, destination, volume, modified } = before
  const source = sources.get(volume)
  const found = destination.get(volume)
  if (source === undefined) return { codes: ['NOT_FOUND'] }
  if (isHalfThere(source)) return { codes: ['BUSY', 'NOT_FOUND', 'DIVERGED', 'PARTIAL_STALE'] }
  const kept = settled(before, source, choice.snapshot)
  const chosen = choice.snapshot === undefined ? undefined : kept.find(({ name }) => name === choice.snapshot)
  if (choice.snapshot !== undefined && chosen === undefined) return { codes: ['INVALID_ARGUMENT'] }
  const there: There = { dataset: found, snapshots: found?.snapshots ?? [] }
  if (found?.partial !== undefined) {
    if (choice.partial === 'discard') {
      if (isHalfThere(found)) there.dataset = undefined
      if (there.dataset === undefined && hasChildren(destination, volume)) return { codes: ['HAS_DEPENDENTS'] }
    } else {
      const target = goesOn(source, kept, found)
      if (target === undefined) return { codes: ['PARTIAL_STALE'] }
      if (modified.has(volume)) return { codes: ['DESTINATION_MODIFIED'] }
      if (found.snapshots.some(({ name }) => name === target.name)) return { codes: ['EXISTS'] }
      if (chosen?.guid === target.guid)
        return { kind: found.partial.fromguid === undefined ? 'full' : 'incremental', preserves: false }
      there.snapshots = [...found.snapshots, target]
    }
  }
  return planned(before, choice, { source, kept, chosen, there })
}

interface Planning {
  source: DatasetState
  kept: readonly SnapshotState[]
  chosen: SnapshotState | undefined
  there: There
}

function planned(
  { destination, volume, modified }: Before,
  { onDivergence }: Choice,
  { source, kept, chosen, there }: Planning,
): Expected {
  if (there.dataset === undefined) return begun(destination, volume, false)
  if (chosen !== undefined && there.snapshots.some(({ guid }) => guid === chosen.guid)) {
    return { kind: 'current', preserves: false }
  }
  const newest = there.snapshots.at(-1)
  const base = [...kept, ...source.bookmarks].find(({ guid }) => guid === newest?.guid)
  if (base === undefined) return onDivergence === 'stop' ? { codes: ['DIVERGED'] } : begun(destination, volume, true)
  if (chosen !== undefined && chosen.createtxg <= base.createtxg) return { codes: ['SUPERSEDED'] }
  if (modified.has(volume)) return { codes: ['DESTINATION_MODIFIED'] }
  if (there.snapshots.some(({ name }) => name === chosen?.name)) return { codes: ['EXISTS'] }
  return { kind: 'incremental', preserves: false }
}

/** A dataset begins, where its parent can have children. */
function begun(destination: State, volume: string, preserves: boolean): Expected {
  const parents = ancestorsOf(volume).map((name) => destination.get(name))
  if (parents.some((parent) => parent?.type === 'volume')) return { codes: ['WRONG_PARENT'] }
  if (parents.some((parent) => parent !== undefined && isHalfThere(parent)))
    return { codes: ['BUSY', 'WRONG_PARENT', 'NOT_FOUND'] }
  return { kind: 'full', preserves }
}

function ancestorsOf(name: string): string[] {
  const parts = name.split('/')
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join('/'))
}

function hasChildren(state: State, name: string): boolean {
  return [...state.keys()].some((other) => other.startsWith(`${name}/`))
}

/** The source's snapshots but for those that interrupted replications have made and that are of no use, nor wanted now. */
function settled(
  { source: sources, destination, volume, peer }: Before,
  source: DatasetState,
  wanted: string | undefined,
): SnapshotState[] {
  const found = destination.get(volume)
  const origins = [...sources.values()].map(({ origin }) => origin)
  const hasClone = ({ name }: SnapshotState): boolean =>
    origins.some((origin) => origin?.endsWith(`/${volume}@${name}`))
  return source.snapshots.filter(
    (point) =>
      !isPending(point, peer) ||
      point.name === wanted ||
      hasClone(point) ||
      found?.partial?.toguid === point.guid ||
      found?.snapshots.some(({ guid }) => guid === point.guid),
  )
}

/** The snapshot that an interrupted stream was of, where the rest of it can be sent. */
function goesOn(
  source: DatasetState,
  kept: readonly SnapshotState[],
  { partial, snapshots }: DatasetState,
): SnapshotState | undefined {
  const target = kept.find(({ guid }) => guid === partial?.toguid)
  if (target === undefined || partial === undefined) return undefined
  if (snapshots.length > 0 && snapshots.at(-1)?.guid !== partial.fromguid) return undefined
  if (partial.fromguid === undefined) return target
  const base = [...kept, ...source.bookmarks].find(({ guid }) => guid === partial.fromguid)
  return base !== undefined && base.createtxg < target.createtxg ? target : undefined
}

/** Whether a destination's dataset ends in a point of the source's. */
export function follows(replica: DatasetState, source: DatasetState): boolean {
  const newest = newestOf(replica)
  return newest !== undefined && pointsOf(source).some(({ guid }) => guid === newest.guid)
}
