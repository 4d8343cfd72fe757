export {
  changeApplication,
  type NotedApplication,
  readApplications,
  servedPath,
} from './applications.js'
export type { Offset, ReadableRange } from './block.js'
export type { HandoffOptions, HandoffPhase, HandoffResult } from './change-hands.js'
export { datasetOf, type VolumesHost } from './context.js'
export { onVolumeEvent, type VolumeEvent, type VolumeStep } from './events.js'
export { type FollowOptions, type FollowReport, follow } from './follow.js'
export { VolumeGuard } from './guard.js'
export { acquireVolume, handoffForApplication, handoffVolume } from './handoff.js'
export { acquireLease, type Lease, type LeaseOptions, releaseLease, renewLease } from './leases.js'
export {
  type CloneVolumeOptions,
  type CreateVolumeOptions,
  cloneVolume,
  createVolume,
  type DestroyVolumeOptions,
  destroyVolume,
  inspectVolume,
  listVolumes,
  resizeVolume,
  type Size,
  type VolumeInfo,
} from './manage.js'
export type { Ownership } from './ownership.js'
export type { PrecopyOptions } from './precopy.js'
export { isAlive as isProcessAlive, thisProcess } from './process.js'
export { describePromotion, type Promoted, type PromoteOptions, type Promotion, promoteHere } from './promote.js'
export { longestValue } from './record.js'
export { listOtherDatasets, type Reach, recover, settleHere, type Unsettled } from './recover.js'
export type { OwnershipRegistry, VolumeKey } from './registry.js'
export { serveVolumes } from './serve.js'
export { serveUnconfirmed } from './serve-unconfirmed.js'
export { checkRoot, openVolume, Volume } from './volume.js'
