import type { SnapshotPoint } from './inventory.js'
import type { ResumePoint } from './partial.js'
import type { Divergence, IncrementalBase } from './plan.js'

/** What a planner says about two trees. All names are full names; the host is the one that the field names. */
export interface TreePlan {
  /** Full name of the root on the source. */
  source: string
  /** Full name of the root on the destination. */
  destination: string
  /**
   * To be run in this order: renames first, parents before children, origins before clones. A step's names are those at its
   * time. Where a step fails, others can't be run: FailedSteps tells which. Planning again goes on from wherever that ended.
   */
  steps: Step[]
  /** Where there is no step, and what can't be done without somebody's decision. A dataset that is current has neither. */
  findings: Finding[]
}

interface StepOf<Kind extends string> {
  kind: Kind
  /** The dataset on the source. */
  source: string
  /** Its replica on the destination, as it is called when the step begins. */
  destination: string
  /** A sentence for people. */
  why: string
}

/** The replica and all below it gets another name. */
export interface RenameStep extends StepOf<'rename'> {
  /** The new name, which is free, and whose parent is there. */
  to: string
  /** Only to make room: a later step gives it its own name. */
  temporary: boolean
}

/** An empty filesystem, `canmount=off`, for replicas to be below: the source's is not replicated, or has no snapshot yet. */
export interface CreateStep extends StepOf<'create'> {}

/** Destroys what an interrupted receive has left, and nothing that was received whole. Only where the caller said so. */
export interface DiscardStep extends StepOf<'discard'> {}

interface SendOf<Kind extends string> extends StepOf<Kind> {
  /** The source's snapshot to send. */
  to: SnapshotPoint
  /**
   * The full name under which it is received: the source's name for it, unless the replica calls another snapshot so; then
   * the GUID is appended.
   */
  snapshot: string
  /** An encrypted dataset's blocks go as they are on disk. */
  raw: boolean
}

/** A full stream: the replica does not exist. */
export interface FullStep extends SendOf<'full'> {}

/** The replica ends in the snapshot with `from`'s GUID. */
export interface IncrementalStep extends SendOf<'incremental'> {
  from: IncrementalBase
}

/** The replica does not exist, and is received as a clone of a snapshot that the destination has. */
export interface CloneStep extends SendOf<'clone'> {
  /** On the source. */
  from: IncrementalBase
  /** The destination's snapshot with the same GUID: full name, at the time of the step. */
  origin: string
  /** The source's dataset whose steps bring the origin; `undefined` where it is there already. */
  after: string | undefined
}

/** The rest of an interrupted stream. */
export interface ResumeStep extends SendOf<'resume'> {
  from: IncrementalBase | undefined
  resume: ResumePoint
}

export type SendStep = FullStep | IncrementalStep | CloneStep | ResumeStep
/** A step of a tree's replication, by `kind`, in the order in which they are taken. */
export type Step = RenameStep | CreateStep | DiscardStep | SendStep

interface FindingOf<Kind extends string> {
  kind: Kind
  source: string
  destination: string
  why: string
}

/** Nothing can be sent without losing something on the destination; see docs/divergence.md. */
export interface DivergedFinding extends FindingOf<'diverged'> {
  reason: Divergence['reason'] | 'type-mismatch'
  /** The newest point that both have, by its name on the destination. */
  common: SnapshotPoint | undefined
  /** The destination's snapshots since, newest first: what a rollback, or starting again, would lose. */
  onlyOnDestination: readonly SnapshotPoint[]
  /** The source's snapshots since, newest first. */
  onlyOnSource: readonly SnapshotPoint[]
}

/** The destination has a dataset that the source does not have any more. Never destroyed, nor changed. */
export interface OrphanFinding {
  kind: 'orphan'
  /** As it is called when all steps have been run. */
  destination: string
  snapshots: number
  /** The source's dataset that it shares history with, where there is one: it is a second copy, or a diverged one. */
  related: string | undefined
  why: string
}

/** What an interrupted receive has left there is in the way, and can't be gone on with. */
export interface PartialStaleFinding extends FindingOf<'partial-stale'> {}

/** The replica can't take the streams that this dataset makes. */
export interface RefusedFinding extends FindingOf<'refused'> {
  reason: 'not-encrypted' | 'iv-set'
}

/** Not there yet, and the policy is not to begin anything. */
export interface InitialRefusedFinding extends FindingOf<'initial-refused'> {}

/** The source has no snapshot (that the filter lets through) to send. */
export interface NoSnapshotFinding extends FindingOf<'no-snapshot'> {}

/**
 * The replica can't have its name. Where it exists, it stays where it is and is kept up to date there; where it doesn't, there
 * are no steps for it.
 */
export interface BlockedFinding extends FindingOf<'blocked'> {
  reason: 'name-taken' | 'parent-missing' | 'parent-unusable'
  /** The name that it should have. */
  wanted: string
}

/** Something about a tree that its user should know, by `kind`. Some of them are why a step is not in the plan. */
export type Finding =
  | DivergedFinding
  | OrphanFinding
  | PartialStaleFinding
  | RefusedFinding
  | InitialRefusedFinding
  | NoSnapshotFinding
  | BlockedFinding

export function isSend(step: Step): step is SendStep {
  return step.kind === 'full' || step.kind === 'incremental' || step.kind === 'clone' || step.kind === 'resume'
}
