/** What is known of a cluster, and what is to be done in it: the words of the deployment's planner. */
import type { Application } from './application.js'
import type { VolumeDescription } from './cluster.js'

/** A container of ours, as its host tells of it. */
export interface RunningApplication {
  name: string
  /** As it runs there, which may be another than what is wanted. */
  description: Application
  /** `stopped`: by somebody; `exited`: by itself. */
  state: 'running' | 'stopped' | 'exited'
  ready: boolean
}

/** A volume as a host tells of it, its own or a replica. */
export interface KnownVolume {
  name: string
  /** The identity of the host that owns it, as far as that host knows, and since which epoch. */
  owner: string
  epoch: bigint
  /** The most that it may hold, in bytes; `undefined` for no limit. */
  size: bigint | undefined
  /** What counts towards that, in bytes, where it is known. */
  used?: bigint | undefined
  /** Whether its owner has it in service: writable, and mounted. Without it, that isn't known. */
  served?: boolean | undefined
}

/** What is known of a host. An unknown host may have anything. */
export type HostState =
  | { host: string; known: false; why: string }
  | {
      host: string
      known: true
      applications: readonly RunningApplication[]
      volumes: readonly KnownVolume[]
      /** The names of containers that are not ours. */
      foreign: readonly string[]
      /** The names below the root of datasets that are no volumes. */
      others?: readonly string[] | undefined
    }

export type KnownHost = Extract<HostState, { known: true }>

/** One thing to do on a host. */
export type DeploymentAction = { host: string; why: string } & (
  | { kind: 'create'; volume: VolumeDescription }
  /** `from` and `to` in bytes. */
  | { kind: 'resize'; volume: string; from: bigint | undefined; to: bigint }
  /** Stop it if it runs, and remove the container. Its volumes stay. */
  | { kind: 'remove'; application: string }
  /** `host` has it now. `volumes` go with it; at `to` it is started as it is described here. */
  | { kind: 'move'; to: string; application: Application; volumes: readonly string[]; running: boolean }
  /** A container of the same application that doesn't run may be there: it is replaced. */
  | { kind: 'start'; application: Application }
  /** Stop it, and start it as it is described here. */
  | { kind: 'replace'; application: Application; changes: readonly string[] }
  /** Lead its addresses to it as they are described here; it goes on running. */
  | { kind: 'routes'; application: Application; before: Application }
)

/** One that is about an application that is wanted. */
export type ApplicationAction = Extract<DeploymentAction, { kind: 'move' | 'start' | 'replace' | 'routes' }>

/**
 * Why something is not done. `unknown-host`: it depends on what a host has that is unknown. `foreign`: a container that is not ours has
 * the name. `runs-twice`. `two-owners`, `unclear-owner`: hosts disagree on who owns the volume. `unexpected-owner`: a host owns the
 * volume that does not have the application. `not-served`: the owner doesn't have it in service. `missing`: it was to be there already.
 * `lost`: an application uses it, and no host has it. `shrink`: it holds more. `shared`: it can't move without another application.
 * `taken`: a port or an address is in use.
 */
export type BlockCode =
  | 'unknown-host'
  | 'foreign'
  | 'runs-twice'
  | 'two-owners'
  | 'unclear-owner'
  | 'unexpected-owner'
  | 'not-served'
  | 'missing'
  | 'lost'
  | 'shrink'
  | 'shared'
  | 'taken'

/** Something that is wanted and is not done, and why. */
export interface Blocked {
  code: BlockCode
  application?: string
  volume?: string
  why: string
}

/** Actions of one phase do not depend on each other; a phase begins when the one before it is done. */
export interface DeploymentPhase {
  name: 'volumes' | 'removals' | 'moves' | 'starts' | 'later'
  actions: readonly DeploymentAction[]
}

/** What is to be done so that a cluster is as it is described, and what is not done, and why. */
export interface DeploymentPlan {
  /** None is empty. */
  phases: readonly DeploymentPhase[]
  /** What runs where and as it is wanted. */
  unchanged: readonly { application: string; host: string; ready: boolean }[]
  blocked: readonly Blocked[]
  /** Applications that are not wanted, and are left as they are. */
  left: readonly { application: string; host: string; why: string }[]
  /** Hosts of which nothing is known. */
  unknown: readonly { host: string; why: string }[]
  /** Those of the description. */
  notes: readonly string[]
}
