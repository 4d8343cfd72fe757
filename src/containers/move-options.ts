import type { Peer } from '../replication/index.js'
import type { HandoffOptions, HandoffResult } from '../volumes/index.js'
import type { Application } from './application.js'

/** What a move does, in its order. An application without volumes is started before it is stopped. */
export type MovePhase =
  | 'check' // whether the other host could run it
  | 'image' // brings the image there, if it is missing
  | 'copy' // brings the volume there, while it is in use
  | 'checkpoint' // the application's `beforeStop`
  | 'hold' // clients wait
  | 'stop' // the container
  | 'push' // the rest of the volume, and the change of its owner
  | 'start' // the container there
  | 'ready' // its health probe
  | 'switch' // clients go there
  | 'tidy' // the container here

/** What {@link moveContainer} can be told. */
export interface MoveOptions
  extends Pick<
    HandoffOptions,
    'signal' | 'limit' | 'onProgress' | 'stallMilliseconds' | 'checkSpace' | 'settledBytes' | 'mostRounds'
  > {
  /** As what it is to run there, by the same name and with the same volumes. Default: as it runs here. */
  as?: Application
  /**
   * What to do where the peer lacks the image. `stream`, the default: send it from here. `pull`: have the peer fetch it from its registry.
   * `require`: nothing is moved.
   */
  image?: 'stream' | 'pull' | 'require'
  /** For how long clients may wait, in milliseconds, before they are refused. Default: one minute. */
  holdMilliseconds?: number
  /** How long the application may take to be ready there, in milliseconds. Default: one minute. */
  readyMilliseconds?: number
  /** How much the clocks of the two hosts may differ, in milliseconds. Default: 60,000. */
  clockMilliseconds?: number
  /** Called as each phase begins. What it throws ends the move, as long as the volume's owner has not changed. */
  onPhase?: (phase: MovePhase) => void
}

/** What a move has done. */
export interface MoveResult {
  application: string
  /** The identity of the host that runs it now. */
  host: string
  /** Since which epoch that host owns the volume; 0 for an application without one. */
  epoch: bigint
  /** From when clients had to wait until they were led to the new place. */
  pauseMilliseconds: number
  milliseconds: number
  /** How long each phase took, in milliseconds. */
  phases: Record<MovePhase, number>
  /** Bytes of the image that were sent; 0 where it was there. */
  imageBytes: bigint
  /** How the volume changed hands. */
  handoff: HandoffResult | undefined
  /** Identities of the hosts whose routes were changed. A host that could not be reached learns of it later. */
  fronts: readonly string[]
}

export interface MoveTarget {
  peer: Peer
  options: MoveOptions
}
