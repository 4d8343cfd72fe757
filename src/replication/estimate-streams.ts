import { newestOf } from './planner/inventory.js'
import type { IncrementalBase } from './planner/plan.js'
import { fullName, type Tree, type TreeDataset } from './planner/tree.js'
import { isSend, type SendStep, type Step, type TreePlan } from './planner/tree-plan.js'
import type { Source } from './sides.js'

/** How many estimates are asked for at once. */
const atOnce = 8

/**
 * Estimates the streams of a plan, in bytes. A stream of a snapshot that is yet to be taken (its GUID is 0) has what the dataset
 * has now, as it takes room on disk.
 *
 * @param volume the root's name below the source's root
 * @param tree the source's, without snapshots that are yet to be taken
 */
export async function estimateStreams(
  source: Source,
  volume: string,
  tree: Tree,
  plan: TreePlan,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<Step, bigint>> {
  const sizes = new Map<Step, bigint>()
  const datasets = new Map(tree.datasets.map((dataset) => [fullName(tree.root, dataset.name), dataset]))
  const queue = plan.steps.filter(isSend)
  const work = async (): Promise<void> => {
    for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
      const dataset = datasets.get(step.source)
      const size = dataset && (await new Estimate(source, volume, dataset, signal).of(step))
      if (size !== undefined) sizes.set(step, size)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return sizes
}

class Estimate {
  constructor(
    private readonly source: Source,
    private readonly volume: string,
    private readonly dataset: TreeDataset,
    private readonly signal: AbortSignal | undefined,
  ) {}

  async of(step: SendStep): Promise<bigint | undefined> {
    const base = 'from' in step ? step.from : undefined
    if (step.to.guid === 0n) return this.#upToNow(base)
    const size = await this.#between(base, step.to)
    const kept = step.kind === 'resume' ? step.resume.bytes : 0n
    return size > kept ? size - kept : 0n
  }

  async #upToNow(base: IncrementalBase | undefined): Promise<bigint | undefined> {
    const { referenced, written, snapshots } = this.dataset
    if (base === undefined) return referenced
    const newest = newestOf(snapshots)
    if (written === undefined || newest === undefined || newest.guid === base.guid) return written
    return written + (await this.#between(base, newest))
  }

  #between(base: IncrementalBase | undefined, { name, guid, createtxg }: SendStep['to']): Promise<bigint> {
    const volume = fullName(this.volume, this.dataset.name)
    return this.source.estimate({ volume, base, target: { name, guid, createtxg, ours: false } }, this.signal)
  }
}
