import type { Peer } from '../replication/index.js'
import { moveApplication } from './messages.js'
import type { MoveOptions, MovePhase } from './move-options.js'
import { allPhases } from './move-phases.js'

/** What a move on another host's behalf can be told. */
export type RequestMoveOptions = Pick<
  MoveOptions,
  'signal' | 'as' | 'image' | 'holdMilliseconds' | 'readyMilliseconds' | 'onPhase'
> & {
  /** It does not run: its volume is handed over, and it is started there. Default: one that doesn't run is an error. */
  stopped?: boolean
}

/** What a move that was asked for has done. */
export interface RequestedMove {
  epoch: bigint
  pauseMilliseconds: number
  milliseconds: number
  /** How long each phase took, in milliseconds. */
  phases: Readonly<Record<MovePhase, number>>
  imageBytes: bigint
  /** How often the volume was copied before the application was stopped, and stream bytes in all. */
  rounds: number
  bytes: bigint
  fronts: readonly string[]
}

/**
 * Asks the host that runs an application to move it to another one, which must be among its own `peers`. As {@link moveContainer} there, with
 * its errors. The asked host must allow this one `run`.
 * @param from the host that runs it
 * @param to the identity of the host that is to run it
 */
export async function requestMove(
  name: string,
  from: Peer,
  to: string,
  options: RequestMoveOptions = {},
): Promise<RequestedMove> {
  const { signal, onPhase, ...rest } = options
  const moved = await from.connection.request(
    moveApplication,
    { name, to, ...rest },
    {
      ...(signal === undefined ? {} : { signal }),
      ...(onPhase === undefined ? {} : { onEvent: ({ phase }) => onPhase(phase as MovePhase) }),
    },
  )
  return { ...moved, phases: allPhases(moved.phases) }
}
