/** The snapshots that the replication of a tree takes, all at one moment. */
import type { Logger } from 'pino'
import { snapshotName } from './names.js'
import { nameFilter } from './planner/filter.js'
import { planTree } from './planner/plan-tree.js'
import { fullName, type Tree, withSnapshotNow } from './planner/tree.js'
import { isSend } from './planner/tree-plan.js'
import { takeQuietly } from './quiesce.js'
import type { TreeReplicationOptions } from './replicate.js'
import type { DestinationTree, Source, Target } from './sides.js'
import type { Sides } from './tree-sides.js'

/** What both sides have. */
export interface Trees {
  source: Tree
  destination: DestinationTree
}

/** The tree as it is once snapshots were taken, which have GUID 0 here. */
export function withNow(tree: Tree, { datasets }: TreeReplicationOptions): Tree {
  const selects = nameFilter(datasets)
  const now = withSnapshotNow(tree, snapshotName(new Date()))
  const unchanged = new Map(tree.datasets.map((dataset) => [dataset.name, dataset]))
  return { ...now, datasets: now.datasets.map((one) => (selects(one.name) ? one : (unchanged.get(one.name) ?? one))) }
}

/**
 * Takes a snapshot of what a plan with it would send, and adds it to the source's tree.
 * @returns the snapshots, by the names below the volume
 */
export async function takeSnapshots(
  { source, peer, volume }: Sides,
  trees: Trees,
  options: TreeReplicationOptions,
): Promise<ReadonlyMap<string, Target>> {
  if (options.snapshot === 'existing') return new Map()
  const { steps } = planTree(withNow(trees.source, options), trees.destination, options)
  const { root } = trees.source
  const sent = steps.filter((step) => isSend(step) && step.to.guid === 0n)
  const names = [...new Set(sent.map((step) => step.source.slice(root.length + 1)))]
  if (names.length === 0) return new Map()
  source.checkTakes(names)
  const taken = await takeQuietly({
    what: `replication of ${root}`,
    volume,
    peer: peer.identity,
    hooks: options,
    signal: options.signal,
    take: () => source.takeSnapshots(volume, names, options.signal),
    nameOf: nameOfAll,
    withdraw: async (targets) => {
      for (const [name, target] of targets) await source.withdraw(fullName(volume, name), target)
    },
  })
  const datasets = trees.source.datasets.map((dataset) => {
    const target = taken.get(dataset.name)
    if (target === undefined) return dataset
    const { name, guid, createtxg } = target
    return { ...dataset, snapshots: [...dataset.snapshots, { name, guid, createtxg, pending: true }] }
  })
  trees.source = { root, datasets }
  return taken
}

/** Snapshots of one moment have one name. */
function nameOfAll(targets: ReadonlyMap<string, Target>): string {
  const [target] = targets.values()
  return (target as Target).name
}

/**
 * Takes back those that nothing has come of: they are of no use to anybody. What can't be removed now, the next replication removes.
 * @param attempted the GUIDs of those whose streams were begun
 */
export async function withdrawUnused(
  source: Source,
  volume: string,
  taken: ReadonlyMap<string, Target>,
  attempted: ReadonlySet<bigint>,
  logger: Logger,
): Promise<void> {
  for (const [name, target] of taken) {
    if (attempted.has(target.guid)) continue
    try {
      await source.withdraw(fullName(volume, name), target)
    } catch (error) {
      logger.warn({ err: error, snapshot: target.name, name }, 'a snapshot that was not sent could not be removed')
    }
  }
}
