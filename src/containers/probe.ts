/** Whether an application is ready: running is not. */
import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { ContainerError, throwIfAborted } from '../errors.js'
import { type Application, hostPort, type Probe } from './application.js'
import type { Engine } from './engine.js'
import { exec } from './exec.js'
import { type ContainerInfo, findOurs } from './info.js'
import { probeTimes, waitingInterval } from './probe-times.js'

const defaultReadyMilliseconds = 60_000

/** How to wait for an application to be ready. */
export interface WaitReadyOptions {
  signal?: AbortSignal | undefined
  /** In all, in milliseconds. Default: one minute. */
  timeoutMilliseconds?: number | undefined
  /** In place of the description's health probe: whether it is ready. What it throws is taken for no. */
  probe?: ((container: ContainerInfo, signal: AbortSignal) => boolean | Promise<boolean>) | undefined
}

/**
 * Waits until an application's container runs, and its probe says that it is ready.
 * @throws ContainerError `NOT_READY`: it ended, or was not ready in time; `CONTAINER_UNKNOWN`; AbortError
 */
export async function waitReady(
  engine: Engine,
  host: string,
  name: string,
  options: WaitReadyOptions = {},
): Promise<ContainerInfo> {
  const { signal, timeoutMilliseconds = defaultReadyMilliseconds } = options
  const deadline = AbortSignal.timeout(timeoutMilliseconds)
  const stop = signal === undefined ? deadline : AbortSignal.any([signal, deadline])
  let last = 'it was not tried'
  for (;;) {
    throwIfAborted(signal, `Waiting for ${name}`)
    const container = await findOurs(engine, host, name, { signal })
    if (container === undefined) throw unknownContainer(name, host)
    if (container.state === 'exited' || container.state === 'dead') throw ended(container)
    const { health } = container.application
    const began = performance.now()
    if (container.state === 'running') {
      const failure = await tryOnce(engine, container, options.probe, stop)
      if (failure === undefined) return container
      last = failure
    }
    if (deadline.aborted) {
      throw new ContainerError('NOT_READY', `${name} was not ready within ${timeoutMilliseconds} ms: ${last}`, {
        next: `Look at it: docker logs ${name}`,
      })
    }
    // A command in a container can cost it more than its own start: it has at least half of the time for that.
    const pause = Math.max(intervalOf(health), performance.now() - began)
    await wait(pause, undefined, { signal: stop }).catch(ignoreAbort)
  }
}

/** @internal Whether a container that runs is ready now. */
export async function isReady(engine: Engine, container: ContainerInfo, signal: AbortSignal): Promise<boolean> {
  return (await tryOnce(engine, container, undefined, signal)) === undefined
}

/** The engine's own tries are to see that it stays well: nobody is to wait for the next of those. */
function intervalOf(health: Probe | undefined): number {
  return health?.kind === 'container' ? waitingInterval : probeTimes(health).intervalMilliseconds
}

function ignoreAbort(error: Error): void {
  if (error.name !== 'AbortError') throw error
}

export function unknownContainer(name: string, host: string): ContainerError {
  return new ContainerError('CONTAINER_UNKNOWN', `There is no container ${name} on ${host}`)
}

function ended({ name, exitStatus }: ContainerInfo): ContainerError {
  return new ContainerError('NOT_READY', `${name} has ended with status ${exitStatus}`, {
    next: `Look at it: docker logs ${name}`,
  })
}

/** @returns why it is not ready */
async function tryOnce(
  engine: Engine,
  container: ContainerInfo,
  callback: WaitReadyOptions['probe'],
  signal: AbortSignal,
): Promise<string | undefined> {
  const { application } = container
  const { health } = application
  const limit = AbortSignal.any([signal, AbortSignal.timeout(probeTimes(health).timeoutMilliseconds)])
  try {
    if (callback !== undefined) return (await callback(container, limit)) ? undefined : 'the probe said no'
    if (health !== undefined) return await probeWith(engine, container, health, limit)
    return container.health === undefined || container.health === 'healthy' ? undefined : `it is ${container.health}`
  } catch (error) {
    return (error as Error).message
  }
}

async function probeWith(
  engine: Engine,
  container: ContainerInfo,
  health: Probe,
  signal: AbortSignal,
): Promise<string | undefined> {
  switch (health.kind) {
    case 'container':
      return container.health === 'healthy' ? undefined : probeContainer(engine, container, health.command, signal)
    case 'tcp':
      return probeTcp(placeOf(container, health.port), signal)
    case 'http':
      return probeHttp(placeOf(container, health.port), health, signal)
  }
}

/** The engine tries now and then: whoever waits tries at once. */
async function probeContainer(
  engine: Engine,
  container: ContainerInfo,
  command: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (command === undefined) return container.health === undefined ? noHealthCheck : `it is ${container.health}`
  const { status, output } = await exec(engine, container.id, command, { signal })
  return status === 0 ? undefined : `status ${status} of its probe: ${output.trim().slice(-200)}`
}

const noHealthCheck = 'its image has no health check, and its description gives no command'

interface Place {
  host: string
  port: number
}

/**
 * Where a container's port is found on its own host: by the container's address, if it has one. The published port may be accepted by
 * a proxy of the engine's before the program in the container listens.
 */
export function placeOf(
  { application, addresses }: Pick<ContainerInfo, 'application' | 'addresses'>,
  port: number,
): Place {
  const [address] = addresses
  return address === undefined ? { host: '127.0.0.1', port: publishedPort(application, port) } : { host: address, port }
}

/** The host's port that leads to one of an application's. */
export function publishedPort({ ports = [] }: Application, port: number): number {
  const found = ports.find(({ container }) => container === port)
  return found === undefined ? port : hostPort(found)
}

async function probeTcp(place: Place, signal: AbortSignal): Promise<undefined> {
  const socket = connect(place)
  try {
    await once(socket, 'connect', { signal })
    return undefined
  } finally {
    socket.destroy()
  }
}

async function probeHttp(
  place: Place,
  { path, status }: Extract<Probe, { kind: 'http' }>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const asked = request({ ...place, path, signal, agent: false, headers: { connection: 'close' } })
  asked.end()
  const [response] = (await once(asked, 'response')) as [import('node:http').IncomingMessage]
  response.destroy()
  const code = response.statusCode ?? 0
  const good = status === undefined ? code >= 200 && code < 400 : code === status
  return good ? undefined : `GET ${path}: ${code}`
}
