import { randomUUID } from 'node:crypto'
import { ArgumentError, throwIfAborted } from '../errors.js'
import { checkPropertyOptions } from './choose-properties.js'
import { estimateStreams } from './estimate-streams.js'
import { asSaid, LocalDestination } from './local-destination.js'
import { LocalSource } from './local-source.js'
import { checkVolumeName, snapshotName } from './names.js'
import { type LocalHost, Peer } from './peer.js'
import { nameFilter } from './planner/filter.js'
import { planTree, type TreePlanOptions } from './planner/plan-tree.js'
import { fullName, type Tree, withSnapshotNow } from './planner/tree.js'
import { type Finding, isSend, type SendStep, type Step, type TreePlan } from './planner/tree-plan.js'
import type { Progress } from './progress.js'
import { exclusively, takeTurn } from './push.js'
import { takeQuietly } from './quiesce.js'
import { RemoteDestination } from './remote-destination.js'
import { RemoteSource } from './remote-source.js'
import type { Replication, ReplicationOptions } from './replication.js'
import { runSteps, type StepOutcome } from './run-steps.js'
import { foreseeSettled, settleTree } from './settle-tree.js'
import type { Destination, DestinationTree, Source, Target } from './sides.js'
import { takeStep } from './take-step.js'

/** This host, as `openHost` makes it. */
export interface ThisHost {
  readonly identity: string
  /** @internal */
  readonly local: LocalHost
}

/** Where a tree goes from and to: one is this host, the other a peer that it is connected with. */
export interface Ends {
  from: ThisHost | Peer
  to: ThisHost | Peer
}

/** What {@link replicate} and {@link planReplication} can be told, besides what {@link TreePlanOptions} say. */
export interface TreeReplicationOptions
  extends Omit<ReplicationOptions, 'snapshot' | 'onProgress' | 'onDivergence' | 'partial' | 'retry' | 'onRetry'>,
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
  /** What became of each step, in the order of the plan. */
  outcomes: StepOutcome[]
  /** What there was no step for. */
  findings: Finding[]
  /** How many outcomes of each kind. */
  done: number
  failed: number
  leftOut: number
  /** Stream bytes sent. */
  bytes: bigint
  milliseconds: number
}

/**
 * Brings a volume and all below it to another host, or from there: plans by GUID (docs/trees.md), takes the snapshots of all at one
 * moment, and runs the plan's steps, each of whose streams is held, resumed and confirmed as {@link pushVolume}'s is. A step that
 * fails stops those that need it, and no others; the outcomes tell. Running it again goes on from there.
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
  const sides = chooseSides(volume, ends)
  checkOptions(options)
  const { peer, source } = sides
  const dataset = fullName(peer.host.root, volume)
  const what = `replication of ${dataset} ${sides.direction} ${peer.identity}`
  return exclusively(peer, what, dataset, options, async ({ self, limiter }) => {
    const started = performance.now()
    const logger = peer.host.logger.child({ transferId: randomUUID(), dataset, peer: peer.identity })
    const announce = async (name: string): Promise<void> => {
      const own = fullName(peer.host.root, name)
      const { guard } = peer.host
      if (sides.direction === 'to') await guard?.pushing(own, name, peer, options.signal)
      else await guard?.pulling(own, name, peer, options.signal)
    }
    const common = { self, limiter, logger, announce }
    await announce(volume)
    const trees = await readTrees(sides, options)
    trees.source = await settleTree(sides, trees.source, trees.destination, common.logger, options.signal)
    const taken = await takeSnapshots(sides, trees, options)
    const attempted = new Set<bigint>()
    try {
      const plan = planTree(trees.source, trees.destination, options)
      logger.info({ steps: plan.steps.length, findings: plan.findings.length }, 'planned')
      const outcomes = await run({ sides, trees, plan, options, common, attempted })
      throwIfAborted(options.signal, what)
      return { ...summary(plan, outcomes), milliseconds: performance.now() - started }
    } finally {
      await withdrawUnused(source, volume, taken, attempted, common)
    }
  })
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
  const sides = chooseSides(volume, ends)
  checkOptions(options)
  const { source, destination } = await readTrees(sides, options)
  const settled = foreseeSettled(source, destination)
  const plan = planTree(options.snapshot === 'existing' ? settled : withNow(settled, options), destination, options)
  return { ...plan, sizes: await estimateStreams(sides.source, volume, settled, plan, options.signal) }
}

export interface Sides {
  source: Source
  destination: Destination
  peer: Peer
  volume: string
  direction: 'to' | 'from'
  /** Claims a dataset of the source, by its volume's name, as a push or a pull of it alone does. */
  claim: (volume: string) => () => void
}

function chooseSides(volume: string, { from, to }: Ends): Sides {
  checkVolumeName(volume)
  const [peer, host] = from instanceof Peer ? [from, to] : [to, from]
  if (!(peer instanceof Peer) || host instanceof Peer || host.local === undefined) {
    throw new ArgumentError('Of from and to, one is this host and the other a peer that it is connected with')
  }
  const self = host.local
  if (peer.host.claims !== self.claims) {
    throw new ArgumentError(`${peer.identity} was connected by another host than ${host.identity}`)
  }
  const claimAs = (action: string, direction: string) => (name: string) => {
    const dataset = fullName(self.root, name)
    return takeTurn(peer, `${action} of ${dataset} ${direction} ${peer.identity}`, dataset)
  }
  const common = { peer, volume }
  const logger = self.logger.child({ peer: peer.identity })
  if (peer === from) {
    const [source, destination] = [new RemoteSource(peer), new LocalDestination({ ...self, logger }, asSaid)]
    return { ...common, source, destination, direction: 'from', claim: claimAs('pull', 'from') }
  }
  const datasetOf = (name: string): string => {
    checkVolumeName(name)
    return fullName(self.root, name)
  }
  const source = new LocalSource(self.identity, peer.identity, datasetOf, logger)
  const destination = new RemoteDestination(peer)
  return { ...common, source, destination, direction: 'to', claim: claimAs('push', 'to') }
}

function checkOptions({ concurrency = 1, snapshot = 'now', snapshots, properties }: TreeReplicationOptions): void {
  if (properties !== undefined) checkPropertyOptions(properties)
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

interface Trees {
  source: Tree
  destination: DestinationTree
}

async function readTrees(
  { source, destination, volume }: Sides,
  { recursive = true, signal }: TreeReplicationOptions,
): Promise<Trees> {
  const there = await destination.readTree(volume, recursive, signal)
  return { source: await source.readTree(volume, recursive, signal), destination: there }
}

function withNow(tree: Tree, { datasets }: TreeReplicationOptions): Tree {
  const selects = nameFilter(datasets)
  const now = withSnapshotNow(tree, snapshotName(new Date()))
  const unchanged = new Map(tree.datasets.map((dataset) => [dataset.name, dataset]))
  return { ...now, datasets: now.datasets.map((one) => (selects(one.name) ? one : (unchanged.get(one.name) ?? one))) }
}

/** Takes a snapshot of what a plan with it would send, and adds it to the source's tree. */
async function takeSnapshots(
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

interface Run {
  sides: Sides
  trees: Trees
  plan: TreePlan
  options: TreeReplicationOptions
  common: Pick<Replication, 'self' | 'limiter' | 'logger' | 'announce'>
  /** Gets the GUIDs of the snapshots whose streams were begun. */
  attempted: Set<bigint>
}

async function run({ sides, trees, plan, options, common, attempted }: Run): Promise<StepOutcome[]> {
  const { onProgress, snapshot: _, concurrency = 1, ...others } = options
  const { signal } = others
  const reporting = (step: SendStep) =>
    onProgress && { onProgress: (progress: Progress) => onProgress({ ...progress, step }) }
  const pending = new Set<bigint>()
  for (const { snapshots } of trees.source.datasets)
    for (const point of snapshots) if (point.pending) pending.add(point.guid)
  let lost = false
  void sides.peer.closed.then(() => {
    lost = true
  })
  const { source, destination, volume, claim } = sides
  const context = { ...common, source, destination, volume, claim, plan, pending, tokens: trees.destination.tokens }
  return runSteps(plan.steps, {
    concurrency,
    signal,
    isLost: () => lost,
    run: (step) => {
      if (isSend(step)) attempted.add(step.to.guid)
      return takeStep({ ...context, options: { ...others, ...(isSend(step) ? reporting(step) : {}) } }, step)
    },
  })
}

/** What has not been on its way is of no use to anybody; what can't be removed now, the next replication removes. */
async function withdrawUnused(
  source: Source,
  volume: string,
  taken: ReadonlyMap<string, Target>,
  attempted: ReadonlySet<bigint>,
  { logger }: Pick<Replication, 'logger'>,
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

function summary(plan: TreePlan, outcomes: StepOutcome[]): Omit<TreeReplicationResult, 'milliseconds'> {
  const count = (kind: StepOutcome['kind']): number => outcomes.filter((outcome) => outcome.kind === kind).length
  return {
    source: plan.source,
    destination: plan.destination,
    outcomes,
    findings: plan.findings,
    done: count('done'),
    failed: count('failed'),
    leftOut: count('left-out'),
    bytes: outcomes.reduce((sum, outcome) => sum + (outcome.kind === 'done' ? outcome.bytes : 0n), 0n),
  }
}
