/** Containers of applications: started, stopped, listed, removed. Each call may be made again; what is not ours is left alone. */
import { ContainerError, OwnershipError, ZfsError } from '../errors.js'
import { servedPath } from '../volumes/index.js'
import { type Application, parseApplication, primaryVolume } from './application.js'
import { differences } from './canonical.js'
import { type ContainersHost, exclusively } from './context.js'
import { createOptions, type Place, stopSecondsOf } from './create-options.js'
import { asNoted, noteDesired, restoreDesired } from './desired.js'
import { ask, type Engine, type EngineCall, refusedWith } from './engine.js'
import { pullIfMissing, requireImage } from './images.js'
import { type ContainerInfo, findOurs, infoOf, isAlive, lookUp } from './info.js'
import { applicationOf, labelNames } from './labels.js'
import { unknownContainer } from './probe.js'
import { withdrawRoutes } from './withdraw-routes.js'

/** How an application is started. */
export interface StartContainerOptions {
  signal?: AbortSignal | undefined
  /** Fetch the image from its registry where it is missing. Default: that is an error. */
  pull?: boolean | undefined
  /** Where it runs with another description: stop and remove that container first. Default: that is an error. */
  replace?: boolean | undefined
}

/**
 * Starts an application on this host, which must own and serve its volumes. One that runs as described is left alone, also where its
 * routes changed and it has a volume, whose record keeps them.
 * @throws ArgumentError; OwnershipError `NOT_OWNER`, `IN_USE`, `HANDOFF_UNDER_WAY`, `OWNER_UNCONFIRMED`
 * @throws ContainerError `IMAGE_MISSING`, `NAME_TAKEN`, `CONTAINER_DIFFERS`, `PORT_IN_USE`, `ENGINE_FAILED` and others of the engine: then
 *   nothing of it is left
 */
export async function startContainer(
  context: ContainersHost,
  description: Application,
  options: StartContainerOptions = {},
): Promise<ContainerInfo> {
  const application = parseApplication(description)
  return exclusively(context, application.name, async () => {
    const { signal, pull = false } = options
    const engine = await context.engine(signal)
    const place = await placeFor(context, application)
    const present = await reconcile(context, engine, application, options)
    if (present === undefined) {
      const { image } = application
      if (pull) await pullIfMissing(engine, image, { signal })
      await requireImage(engine, image, context.identity, { signal })
    }
    const before = await noteDesired(context.host, { application, running: true })
    try {
      return await run(engine, application, place, signal)
    } catch (error) {
      await restoreDesired(context.host, application, before)
      throw error
    }
  })
}

/** @internal What this host has for an application. @throws OwnershipError */
export async function placeFor({ host }: ContainersHost, application: Application): Promise<Place> {
  const { name, volumes = [] } = application
  const primary = primaryVolume(application)
  const paths = new Map<string, string>()
  let epoch = 0n
  for (const { volume } of volumes) {
    const { path, owner } = await servedPath(host, volume)
    if (volume === primary) epoch = owner.epoch
    if (path === undefined) {
      throw new ContainerError('INVALID_ARGUMENT', `${name} can't use ${volume}: it is a block volume`, {
        next: 'A container is given filesystems.',
      })
    }
    paths.set(volume, path)
  }
  return { host: host.identity, epoch, paths }
}

/**
 * What is there of an application already, if that may stay.
 * @throws ContainerError `NAME_TAKEN`, `CONTAINER_DIFFERS`
 */
async function reconcile(
  { identity }: ContainersHost,
  engine: Engine,
  application: Application,
  { signal, replace = false }: StartContainerOptions,
): Promise<ContainerInfo | undefined> {
  const { name } = application
  const found = await findOurs(engine, identity, name, { signal })
  if (found === undefined) return undefined
  const changed = differences(found.application, application)
  // Where clients come from is no affair of the container's: the record of the volume has it. Without a volume, its label has.
  const different = primaryVolume(application) === undefined ? changed : changed.filter((field) => field !== 'routes')
  if (different.length === 0) return found
  // What does not run can be made anew: all that is worth keeping is in its volumes.
  if (isAlive(found) && !replace) {
    throw new ContainerError('CONTAINER_DIFFERS', `${name} runs with another description: ${different.join(', ')}`, {
      next: 'To stop it and start the new one: { replace: true }.',
    })
  }
  await stopAndWait(engine, found, signal)
  await discard(engine, found.id, { signal })
  return undefined
}

/** @internal Makes the container, if it is not there, and starts it, if it does not run. */
export async function run(
  engine: Engine,
  application: Application,
  place: Place,
  signal?: AbortSignal,
): Promise<ContainerInfo> {
  const { name } = application
  let found = await findOurs(engine, place.host, name, { signal })
  // What an earlier ownership has left may have other paths, and has ended for reasons of its own.
  if (found !== undefined && !isAlive(found) && (found.epoch !== place.epoch || found.state === 'dead')) {
    await discard(engine, found.id, { signal })
    found = undefined
  }
  const id = found?.id ?? (await create(engine, createOptions(application, place), place.host, signal))
  try {
    if (found?.state !== 'running') await start(engine, id, name, signal)
  } catch (error) {
    if (found === undefined) await discard(engine, id)
    throw error
  }
  return requireOurs(engine, place.host, name, { signal })
}

async function create(
  engine: Engine,
  options: ReturnType<typeof createOptions>,
  host: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const { name } = options
  try {
    const made = await ask(`make the container ${name}`, { signal }, (abortSignal) =>
      engine.docker.createContainer({ ...options, abortSignal }),
    )
    return made.id
  } catch (error) {
    if (refusedWith(error) !== 409) throw error
    // Another process of this host was a moment earlier.
    return (await requireOurs(engine, host, name, { signal })).id
  }
}

/** What the engines say of a port that something else has. */
const portTaken = /port is already allocated|address already in use|failed to expose ports|bind.*in use/i

async function start({ docker }: Engine, id: string, name: string, signal: AbortSignal | undefined): Promise<void> {
  const container = docker.getContainer(id)
  try {
    await ask(`start the container ${name}`, { signal }, (abortSignal) => container.start({ abortSignal }))
  } catch (error) {
    // It ran already.
    if (refusedWith(error) === 304) return
    if (!(error instanceof ContainerError) || !portTaken.test(error.message)) throw error
    throw new ContainerError('PORT_IN_USE', `A port of ${name} is in use on this host: ${error.message}`, {
      cause: error,
      next: 'Give the application another port of the host, or stop what has it.',
    })
  }
}

/** How long the engine may take beyond what the container may, in milliseconds. */
const graceMilliseconds = 60_000

/** @internal Stops a container, and sees that it has. */
export async function stopAndWait(
  engine: Engine,
  container: ContainerInfo,
  signal?: AbortSignal,
): Promise<ContainerInfo | undefined> {
  const { id, name, application } = container
  if (isAlive(container)) {
    const seconds = stopSecondsOf(application)
    const call = { signal, timeoutMilliseconds: seconds * 1000 + graceMilliseconds }
    try {
      await ask(`stop the container ${name}`, call, (abortSignal) =>
        engine.docker.getContainer(id).stop({ t: seconds, abortSignal }),
      )
    } catch (error) {
      // It has ended already, or is gone.
      const status = refusedWith(error)
      if (status !== 304 && status !== 404) throw error
    }
  }
  const found = await lookUp(engine, id, { signal })
  if (found?.State.Running) {
    throw new ContainerError('CONTAINER_RUNNING', `${name} runs on, though the engine says that it has stopped it`, {
      next: `Look at it: docker inspect ${name}`,
    })
  }
  return found === undefined ? undefined : { ...container, ...stopped(found.State) }
}

function stopped({ Status, ExitCode, FinishedAt }: { Status: string; ExitCode: number; FinishedAt: string }) {
  return { state: Status as ContainerInfo['state'], exitStatus: ExitCode, endedAt: new Date(FinishedAt) }
}

/** @internal Removes a container that does not run. */
export async function discard({ docker }: Engine, id: string, call: EngineCall = {}): Promise<void> {
  try {
    await ask(`remove the container ${id.slice(0, 12)}`, call, (abortSignal) =>
      docker.getContainer(id).remove({ force: false, v: true, abortSignal }),
    )
  } catch (error) {
    if (refusedWith(error) !== 404) throw error
  }
}

/** What stopping and removing can be told. */
export interface StopContainerOptions {
  signal?: AbortSignal | undefined
}

/**
 * Stops an application of this host's, and waits until it has: it is killed after its `stopSeconds`. It stays stopped, also on a host
 * that its volume moves to. One that is stopped, or is not there, is left alone.
 * @returns its container, if there is one
 * @throws ContainerError `NAME_TAKEN`, and those of the engine
 */
export async function stopContainer(
  context: ContainersHost,
  name: string,
  { signal }: StopContainerOptions = {},
): Promise<ContainerInfo | undefined> {
  return exclusively(context, name, async () => {
    const engine = await context.engine(signal)
    const found = await findOurs(engine, context.identity, name, { signal })
    if (found === undefined) return undefined
    // First, so that nobody starts it again.
    await unlessOthers(() => noteDesired(context.host, { application: found.application, running: false }))
    return stopAndWait(engine, found, signal)
  })
}

/** A container may be left on a host that has given its volume away: what runs there is not this host's to say any more. */
async function unlessOthers(note: () => Promise<unknown>): Promise<void> {
  try {
    await note()
  } catch (error) {
    const others = error instanceof OwnershipError && error.code === 'NOT_OWNER'
    if (!others && !(error instanceof ZfsError && error.code === 'NOT_FOUND')) throw error
  }
}

/**
 * Removes an application from this host: its container, its routes, and what its volume's record says of it. The volume stays, with its
 * data.
 * @param options.stop stop it first; by default one that runs is an error
 * @throws ContainerError `CONTAINER_RUNNING`, `NAME_TAKEN`, and those of the engine
 */
export async function removeContainer(
  context: ContainersHost,
  name: string,
  { signal, stop = false }: StopContainerOptions & { stop?: boolean } = {},
): Promise<void> {
  await exclusively(context, name, async () => {
    const engine = await context.engine(signal)
    const found = await findOurs(engine, context.identity, name, { signal })
    if (found === undefined) return
    const { routes } = await asNoted(context.host, found.application)
    if (isAlive(found) && !stop) {
      throw new ContainerError('CONTAINER_RUNNING', `${name} runs`, {
        next: 'Stop it first, or have it stopped: { stop: true }.',
      })
    }
    await unlessOthers(() => noteDesired(context.host, { application: found.application, running: false }))
    await stopAndWait(engine, found, signal)
    await discard(engine, found.id, { signal })
    await unlessOthers(() => restoreDesired(context.host, found.application, undefined))
    context.leading.delete(name)
    // A copy without a volume that did not run may be left here while another one serves the clients.
    if (isAlive(found) || primaryVolume(found.application) !== undefined) {
      await withdrawRoutes(context, name, found.epoch, { before: routes, signal })
    }
  })
}

/** The names of all containers that are none of this host's applications. */
export async function listForeign(context: ContainersHost, call: EngineCall = {}): Promise<string[]> {
  const engine = await context.engine(call.signal)
  const listed = await ask('list containers', call, (abortSignal) =>
    engine.docker.listContainers({ all: true, abortSignal }),
  )
  return listed
    .filter(({ Labels }) => applicationOf(Labels, context.identity) === undefined)
    .flatMap(({ Names }) => (Names ?? []).map((name) => name.replace(/^\//, '')))
    .sort()
}

/** All containers of this host's applications, those that have ended too, by name. Others are left out. */
export async function listContainers(context: ContainersHost, call: EngineCall = {}): Promise<ContainerInfo[]> {
  const engine = await context.engine(call.signal)
  const filters = { label: [`${labelNames.host}=${context.identity}`] }
  const listed = await ask('list containers', call, (abortSignal) =>
    engine.docker.listContainers({ all: true, filters, abortSignal }),
  )
  const infos: ContainerInfo[] = []
  for (const { Id } of listed) {
    const found = await lookUp(engine, Id, call)
    const info = found === undefined ? undefined : infoOf(found, context.identity)
    if (info !== undefined) infos.push(info)
  }
  return infos.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/**
 * What the engine knows of an application's container on this host.
 * @throws ContainerError `CONTAINER_UNKNOWN`, `NAME_TAKEN`
 */
export async function inspectContainer(
  context: ContainersHost,
  name: string,
  call: EngineCall = {},
): Promise<ContainerInfo> {
  return requireOurs(await context.engine(call.signal), context.identity, name, call)
}

/** @internal */
export async function requireOurs(
  engine: Engine,
  host: string,
  name: string,
  call: EngineCall = {},
): Promise<ContainerInfo> {
  const found = await findOurs(engine, host, name, call)
  if (found === undefined) throw unknownContainer(name, host)
  return found
}
