import { randomUUID } from 'node:crypto'
import { ArgumentError } from '../errors.js'
import { checkPropertyOptions } from './choose-properties.js'
import { estimateStreams } from './estimate-streams.js'
import { snapshotName } from './names.js'
import { nameFilter } from './planner/filter.js'
import { planTree, type TreePlanOptions } from './planner/plan-tree.js'
import { fullName } from './planner/tree.js'
import type { Finding, SendStep, Step, TreePlan } from './planner/tree-plan.js'
import type { Progress } from './progress.js'
import { exclusively } from './push.js'
import type { ReplicationOptions } from './replication.js'
import { checkRetry } from './retry.js'
import type { StepOutcome } from './run-steps.js'
import { foreseeSettled } from './settle-tree.js'
import { readTrees, TreeReplication } from './tree-attempts.js'
import { chooseSides, type Ends } from './tree-sides.js'
import { withNow } from './tree-snapshots.js'

/** What {@link replicate} and {@link planReplication} can be told, besides what {@link TreePlanOptions} say. */
export interface TreeReplicationOptions
  extends Omit<ReplicationOptions, 'snapshot' | 'onProgress' | 'onDivergence' | 'partial'>,
    TreePlanOptions {
  /** Whether all that is below the volume goes too. Default: true. */
  recursive?: boolean
  /**
   * `now`, the default: take a snapshot of all datasets that can be brought up to date, at one moment, and send up to that.
   * `existing`: send what snapshots there are.
   */
  snapshot?: 'now' | 'existing'
  /** How many streams may flow at once, 1 to 32. Default: 1. */
  concurrency?: number
  /** Called at most five times a second for each stream, and once at its end. */
  onProgress?: (progress: TreeProgress) => void
}

/** Where one stream of a tree's replication stands. */
export interface TreeProgress extends Progress {
  step: SendStep
}

/** A plan with estimated sizes, as `formatPlan(plan, plan.sizes)` prints it. */
export interface ReplicationPlan extends TreePlan {
  /** Estimated stream sizes in bytes. What is in a snapshot that is yet to be taken is what is written until now. */
  sizes: ReadonlyMap<Step, bigint>
}

/** What the replication of a tree has done. */
export interface TreeReplicationResult {
  /** Full name of the root on the sending host. */
  source: string
  /** Full name of the root on the receiving host. */
  destination: string
  /** What became of each step, in the order of the plan; where some were tried again, of the plans one after the other. */
  outcomes: StepOutcome[]
  /** What there was no step for. */
  findings: Finding[]
  /** How many outcomes of each kind. */
  done: number
  failed: number
  leftOut: number
  /** Stream bytes sent, of the steps that are done. */
  bytes: bigint
  /** Of all attempts. */
  milliseconds: number
  /** How many attempts left something that was tried again. */
  retries: number
}

/**
 * Brings a volume and all below it to another host, or from there: plans by GUID (docs/trees.md), takes the snapshots of all at one
 * moment, and runs the plan's steps, each of whose streams is held, resumed and confirmed as {@link pushVolume}'s is. A step that
 * fails stops those that need it, and no others; the outcomes tell. Running it again goes on from there. With `retry` it does so
 * itself for what goes away by itself, with the same snapshots and a new plan, and leaves alone what failed otherwise.
 *
 * @param volume its name below both hosts' roots
 * @throws ArgumentError `INVALID_ARGUMENT`; ZfsError `NOT_FOUND`: there is no such volume; ReplicationError `SENDER_BUSY`
 * @throws AbortError `ABORTED`, TimeoutError `TIMEOUT`, by the signal
 * @throws TransportError, NotAuthorizedError: before there was a plan; ReplicationError `HOOK_FAILED`
 */
export async function replicate(
  volume: string,
  ends: Ends,
  options: TreeReplicationOptions = {},
): Promise<TreeReplicationResult> {
  checkOptions(options)
  const { peer, direction } = chooseSides(volume, ends, randomUUID())
  const dataset = fullName(peer.host.root, volume)
  const what = `replication of ${dataset} ${direction} ${peer.identity}`
  return exclusively(peer, what, dataset, options, (common) => new TreeReplication(volume, ends, options, common).run())
}

/**
 * Tells what {@link replicate} would do with the same options, and changes nothing on either side. The snapshots that it would take
 * have GUID 0 here.
 *
 * @returns the plan, with the estimated size of each stream
 * @throws as {@link replicate} before there is a plan
 */
export async function planReplication(
  volume: string,
  ends: Ends,
  options: TreeReplicationOptions = {},
): Promise<ReplicationPlan> {
  checkOptions(options)
  const sides = chooseSides(volume, ends, randomUUID())
  const { source, destination } = await readTrees(sides, options)
  const settled = foreseeSettled(source, destination)
  const plan = planTree(options.snapshot === 'existing' ? settled : withNow(settled, options), destination, options)
  return { ...plan, sizes: await estimateStreams(sides.source, volume, settled, plan, options.signal) }
}

function checkOptions({
  concurrency = 1,
  snapshot = 'now',
  snapshots,
  properties,
  retry,
}: TreeReplicationOptions): void {
  if (properties !== undefined) checkPropertyOptions(properties)
  if (retry !== undefined) checkRetry(retry)
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 32) {
    throw new ArgumentError(`${concurrency} streams can't flow at once: 1 to 32`)
  }
  if (snapshot !== 'now' && snapshot !== 'existing') throw new ArgumentError("snapshot is 'now' or 'existing'")
  if (snapshot === 'now' && !nameFilter(snapshots)(snapshotName(new Date()))) {
    throw new ArgumentError('The filter lets no snapshot through that is taken now', {
      next: "Give snapshot: 'existing', or let flocker-* through.",
    })
  }
}
