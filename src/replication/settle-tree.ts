import type { Logger } from 'pino'
import { FlockerError, throwIfAborted } from '../errors.js'
import { isSnapshotName } from './names.js'
import type { BookmarkPoint } from './planner/inventory.js'
import { fullName, type Tree, type TreeDataset } from './planner/tree.js'
import type { Source } from './sides.js'

interface Settling {
  source: Source
  /** The root's name below the host's. */
  volume: string
  /** Claims a dataset by its volume's name. */
  claim: (volume: string) => () => void
  /** Leaves alone what the destination has nothing of: it is still to be sent. */
  sparing?: boolean
}

/**
 * Puts in order what earlier replications to this destination have left on the source, dataset by dataset. Where that fails, what they
 * have left is replicated like all the rest.
 * @returns the source's tree as it is then
 */
export async function settleTree(
  { source: side, volume, claim, sparing = false }: Settling,
  source: Tree,
  destination: Tree,
  logger: Logger,
  signal: AbortSignal | undefined,
): Promise<Tree> {
  const there = whatIsThere(destination)
  const datasets: TreeDataset[] = []
  for (const dataset of source.datasets) {
    throwIfAborted(signal, 'Settling what earlier replications have left')
    if (!dataset.snapshots.some(({ pending, userrefs = 0n }) => pending || userrefs > 0n)) {
      datasets.push(dataset)
      continue
    }
    const name = fullName(volume, dataset.name)
    try {
      datasets.push(await settleOne(side, name, dataset, there, claim, !sparing, signal))
    } catch (error) {
      if (!(error instanceof FlockerError)) throw error
      logger.warn({ err: error, volume: name }, 'what earlier replications have left could not be settled')
      datasets.push(dataset)
    }
  }
  return { ...source, datasets }
}

/** The source's tree as {@link settleTree} would leave it. */
export function foreseeSettled(source: Tree, destination: Tree): Tree {
  const there = whatIsThere(destination)
  const datasets = source.datasets.map((dataset) => ({
    ...dataset,
    snapshots: dataset.snapshots.filter(
      ({ name, guid, pending }) =>
        !pending || !isSnapshotName(name) || there.guids.has(guid) || there.partial.has(guid),
    ),
  }))
  return { ...source, datasets }
}

interface There {
  /** Snapshots. */
  guids: ReadonlySet<bigint>
  /** Those of which there is a part. */
  partial: ReadonlySet<bigint>
}

/** By GUID, whatever the destination calls it: a dataset may be about to be renamed. */
function whatIsThere(destination: Tree): There {
  const [guids, partial] = [new Set<bigint>(), new Set<bigint>()]
  for (const dataset of destination.datasets) {
    for (const { guid } of dataset.snapshots) guids.add(guid)
    if (typeof dataset.partial === 'object') partial.add(dataset.partial.toguid)
  }
  return { guids, partial }
}

async function settleOne(
  side: Source,
  volume: string,
  dataset: TreeDataset,
  there: There,
  claim: (volume: string) => () => void,
  complete: boolean,
  signal: AbortSignal | undefined,
): Promise<TreeDataset> {
  const guids = new Set(
    dataset.snapshots.filter(({ pending, guid }) => pending && there.guids.has(guid)).map(({ guid }) => guid),
  )
  const partial = dataset.snapshots.find(({ guid }) => there.partial.has(guid))?.guid
  const release = claim(volume)
  try {
    const { snapshots, bookmarks } = await side.inspect(volume, { guids, complete, partial }, signal)
    const left = new Set(snapshots.map(({ guid }) => guid))
    const kept = dataset.snapshots.filter(({ guid }) => left.has(guid))
    return {
      ...dataset,
      bookmarks: withNew(dataset.bookmarks, bookmarks),
      snapshots: kept.map((point) => (guids.has(point.guid) ? { ...point, pending: false } : point)),
    }
  } finally {
    release()
  }
}

/** A peer may tell the newest bookmarks only; settling makes some, and destroys none. */
function withNew(known: readonly BookmarkPoint[], told: readonly BookmarkPoint[]): BookmarkPoint[] {
  const byName = new Map([...known, ...told].map((point) => [point.name, point]))
  return [...byName.values()]
}
