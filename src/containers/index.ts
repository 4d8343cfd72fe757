export {
  type Application,
  type ApplicationLink,
  type ApplicationPort,
  type ApplicationRoute,
  type ApplicationVolume,
  type Probe,
  type ProbeTimes,
  parseApplication,
  type RestartPolicy,
} from './application.js'
export {
  type ClusterDescription,
  type PlacedApplication,
  parseCluster,
  type VolumeDescription,
} from './cluster.js'
export { type ComposeOptions, readCompose } from './compose/index.js'
export { ContainersHost, type Member } from './context.js'
export { type ActionOutcome, type DeployOptions, type DeployResult, deploy } from './deploy.js'
export type {
  ApplicationAction,
  BlockCode,
  Blocked,
  DeploymentAction,
  DeploymentPhase,
  DeploymentPlan,
  HostState,
  KnownVolume,
  RunningApplication,
} from './deployment.js'
export { type DeploymentOptions, planDeployment } from './deployment-plan.js'
export type { EngineCall } from './engine.js'
export { type MoveEvent, onMoveEvent } from './events.js'
export { formatAction, formatDeployment } from './format-deployment.js'
export type { ContainerInfo, ContainerState } from './info.js'
export { keepApplications, type Unkept } from './keep.js'
export { learnRoutes } from './learn-routes.js'
export {
  inspectContainer,
  listContainers,
  removeContainer,
  type StartContainerOptions,
  type StopContainerOptions,
  startContainer,
  stopContainer,
} from './lifecycle.js'
export { moveContainer } from './move.js'
export type { MoveOptions, MovePhase, MoveResult } from './move-options.js'
export { type WaitReadyOptions, waitReady } from './probe.js'
export { type RequestedMove, type RequestMoveOptions, requestMove } from './request-move.js'
export { Routes } from './routes.js'
export { serveContainers, startHere } from './serve.js'
export { Supervisor } from './supervise.js'
