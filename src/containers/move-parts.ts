/** What the kinds of moves have in common. */
import { FlockerError } from '../errors.js'
import { isTransient, type Peer } from '../replication/index.js'
import type { HandoffOptions } from '../volumes/index.js'
import type { Application } from './application.js'
import type { ContainersHost } from './context.js'
import type { Engine } from './engine.js'
import { announceMove } from './events.js'
import type { ContainerInfo } from './info.js'
import type { MoveOptions, MovePhase } from './move-options.js'
import { MovePhases } from './move-phases.js'

export interface Move {
  context: ContainersHost
  engine: Engine
  peer: Peer
  /** As it runs here. */
  application: Application
  /** As it is to run there. */
  wanted: Application
  container: ContainerInfo
  options: MoveOptions
  phases: MovePhases
  epoch: bigint
}

/** The phases of a move, which are logged and announced as they begin. */
export function phasesOf(context: ContainersHost, name: string, peer: Peer, { onPhase }: MoveOptions): MovePhases {
  const { logger } = context.host
  const tell = (phase: MovePhase): void => {
    const event = { application: name, from: context.identity, to: peer.identity, phase }
    logger.info(event, 'moves an application')
    announceMove(event)
  }
  const onLate = (error: unknown): void => logger.error({ err: error, application: name }, 'onPhase failed')
  return new MovePhases(`Moving ${name} to ${peer.identity}`, onPhase, tell, onLate)
}

/** The handoff may have been committed, and then it is another's to say. */
export function ignoreOthers(error: unknown): void {
  if (!(error instanceof FlockerError) || error.code !== 'NOT_OWNER') throw error
}

/** Those that are the handoff's own. */
export function handoffOptions({
  holdMilliseconds: _h,
  readyMilliseconds: _r,
  clockMilliseconds: _c,
  onPhase: _p,
  image: _i,
  as: _a,
  ...handoff
}: MoveOptions): HandoffOptions {
  return handoff
}

/** Whether it is over in a moment: a peer that has just come back does not serve its volumes yet. */
export function mayPass(error: unknown): boolean {
  const codes = ['OWNER_UNCONFIRMED', 'HANDOFF_UNDER_WAY', 'ENGINE_UNAVAILABLE']
  return isTransient(error) || (error instanceof FlockerError && codes.includes(error.code))
}
