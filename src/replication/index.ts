export type { LeftOutProperty, WhyLeftOut } from './admit-properties.js'
export type { PropertyOptions } from './choose-properties.js'
export { Claims } from './claims.js'
export type { Guard } from './guard.js'
export { LocalDestination } from './local-destination.js'
export { type Bottleneck, type Load, type LoadedPace, type Pace, rateOf, type Verdict } from './measure/judge.js'
export { type MeasureOptions, type MeasureStage, measurePath, type PathReport } from './measure/measure-path.js'
export { checkVolumeName, readTag, snapshotName, timeStamp } from './names.js'
export { ensureParents } from './parents.js'
export { type LocalHost, Peer, type ReconnectOptions } from './peer.js'
export { FailedSteps } from './planner/failed-steps.js'
export { type NameFilter, nameFilter, type Pattern } from './planner/filter.js'
export { formatBytes, formatFindings, formatPlan, planTotals } from './planner/format-plan.js'
export { planTree, type TreePlanOptions } from './planner/plan-tree.js'
export {
  type DatasetType,
  type SnapshotOrigin,
  type Tree,
  type TreeDataset,
  type TreeSnapshot,
  withSnapshotNow,
} from './planner/tree.js'
export type * from './planner/tree-plan.js'
export type { Progress } from './progress.js'
export { type Pruned, type PruneOptions, prune } from './prune.js'
export { pullVolume } from './pull.js'
export { type PushSource, pushVolume } from './push.js'
export type { SnapshotHooks, SnapshotMoment } from './quiesce.js'
export type { OurHold, PartialTrace } from './read-traces.js'
export { type Removal, type RemoveStaleOptions, removeStale } from './remove-stale.js'
export {
  planReplication,
  type ReplicationPlan,
  replicate,
  type TreeProgress,
  type TreeReplicationOptions,
  type TreeReplicationResult,
} from './replicate.js'
export type { ReplicationOptions, ReplicationResult, ResumedStream } from './replication.js'
export {
  decideRetention,
  type Retained,
  type Retention,
  type RetentionPeer,
  type RetentionPolicy,
  type RetentionReason,
  type RetentionSituation,
  type RetentionSnapshot,
} from './retention.js'
export type { Retry, RetryOptions } from './retry.js'
export type { StepOutcome } from './run-steps.js'
export { type ServeSettings, serve } from './serve.js'
export { describeAge, type Stale } from './stale.js'
export {
  type Lag,
  type PartialStatus,
  type PeerReplica,
  type PeerStatus,
  type ReceivedStatus,
  readStatus,
  readStatuses,
  type StatusOptions,
  type StatusPoint,
  type VolumeStatus,
} from './status.js'
export {
  type Circumstances,
  codeOf,
  onReplicationEvent,
  type PlanStepFacts,
  type ReplicationEvent,
  type Step as ReplicationStep,
  type StreamFacts,
} from './steps.js'
export { isTransient } from './transient.js'
export type { Ends, ThisHost } from './tree-sides.js'
