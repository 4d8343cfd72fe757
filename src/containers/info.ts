import type { ContainerInspectInfo } from 'dockerode'
import { ContainerError } from '../errors.js'
import type { Application } from './application.js'
import { ask, type Engine, type EngineCall, refusedWith } from './engine.js'
import { applicationOf, epochOf } from './labels.js'

/** How a container stands, in the engine's words. */
export type ContainerState = 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead'

/** What the engine knows of an application's container. */
export interface ContainerInfo {
  name: string
  /** The engine's own, 64 hexadecimal digits. */
  id: string
  state: ContainerState
  /** The application as it was described when the container was made. */
  application: Application
  /** Since which epoch its host owns the volume, when it was made; 0 for one without. */
  epoch: bigint
  /** The image's, not its name: `sha256:...`. */
  imageId: string
  /** The status it ended with, of one that has. */
  exitStatus: number | undefined
  startedAt: Date | undefined
  endedAt: Date | undefined
  /** What its own health check says, if it has one. */
  health: 'starting' | 'healthy' | 'unhealthy' | undefined
  /** Its addresses in the engine's networks; none in the host's. */
  addresses: readonly string[]
}

/** A container as the engine has it, ours or not; `undefined` where there is none. */
export async function lookUp(
  engine: Engine,
  nameOrId: string,
  call: EngineCall = {},
): Promise<ContainerInspectInfo | undefined> {
  try {
    return await ask(`look at the container ${nameOrId}`, call, (abortSignal) =>
      engine.docker.getContainer(nameOrId).inspect({ abortSignal }),
    )
  } catch (error) {
    if (refusedWith(error) === 404) return undefined
    throw error
  }
}

/**
 * This host's container of that name.
 * @returns `undefined` where no container has the name
 * @throws ContainerError `NAME_TAKEN`: it is none of ours
 */
export async function findOurs(
  engine: Engine,
  host: string,
  name: string,
  call: EngineCall = {},
): Promise<ContainerInfo | undefined> {
  const found = await lookUp(engine, name, call)
  if (found === undefined) return undefined
  const info = infoOf(found, host)
  if (info !== undefined) return info
  throw new ContainerError('NAME_TAKEN', `There is a container ${name} on ${host} that this host has not started`, {
    next: 'It is left alone. Remove or rename it, or give the application another name.',
  })
}

/** What is known of a container of ours; `undefined` for any other. */
export function infoOf(found: ContainerInspectInfo, host: string): ContainerInfo | undefined {
  const application = applicationOf(found.Config.Labels, host)
  if (application === undefined) return undefined
  const { State, NetworkSettings } = found
  const state = State.Status as ContainerState
  const ended = state === 'exited' || state === 'dead'
  const networks = Object.values(NetworkSettings?.Networks ?? {})
  return {
    name: found.Name.replace(/^\//, ''),
    id: found.Id,
    state,
    application,
    epoch: epochOf(found.Config.Labels),
    imageId: found.Image,
    exitStatus: ended ? State.ExitCode : undefined,
    startedAt: dateOf(State.StartedAt),
    endedAt: ended ? dateOf(State.FinishedAt) : undefined,
    health: healthOf(State.Health?.Status),
    addresses: networks.map(({ IPAddress }) => IPAddress).filter((address) => address !== undefined && address !== ''),
  }
}

/** The engine's "never" is the year 1. */
function dateOf(text: string): Date | undefined {
  const date = new Date(text)
  return Number.isNaN(date.getTime()) || date.getUTCFullYear() < 1970 ? undefined : date
}

function healthOf(status: string | undefined): ContainerInfo['health'] {
  return status === 'starting' || status === 'healthy' || status === 'unhealthy' ? status : undefined
}

/** Names one run of a container: from one start to its end. */
export const runOf = ({ id, startedAt }: Pick<ContainerInfo, 'id' | 'startedAt'>): string =>
  `${id.slice(0, 12)} ${startedAt?.getTime() ?? 0}`

/** Whether a program of it may still be at its volumes. */
export const isAlive = ({ state }: Pick<ContainerInfo, 'state'>): boolean =>
  state === 'running' || state === 'paused' || state === 'restarting' || state === 'removing'
