/** Moves an application to another host, its volume along, while its clients wait at the front. */

import { setTimeout as wait } from 'node:timers/promises'
import {
  AbortError,
  ArgumentError,
  ContainerError,
  FlockerError,
  NotSupportedError,
  type TransportError,
  throwIfAborted,
} from '../errors.js'
import { isTransient, type Peer } from '../replication/index.js'
import {
  type HandoffOptions,
  type HandoffResult,
  handoffForApplication,
  openVolume,
  thisProcess,
} from '../volumes/index.js'
import { type Application, parseApplication, primaryVolume } from './application.js'
import { type ContainersHost, containersOf, exclusively } from './context.js'
import { asNoted, type Desired, noteDesired } from './desired.js'
import type { Engine } from './engine.js'
import { announceMove } from './events.js'
import { exec } from './exec.js'
import { findImage, requireImage } from './images.js'
import { type ContainerInfo, isAlive } from './info.js'
import { discard, placeFor, requireOurs, run, stopAndWait } from './lifecycle.js'
import { checkApplication, type RouteChange, startApplication } from './messages.js'
import type { MoveOptions, MoveResult } from './move-options.js'
import { MovePhases } from './move-phases.js'
import { waitReady } from './probe.js'
import { havePulled, sendImage } from './send-image.js'
import { withdrawRoutes } from './withdraw-routes.js'

const defaultHold = 60_000
const defaultReady = 60_000
const defaultClock = 60_000
const checkpointMilliseconds = 60_000
const stopGrace = 90_000
/** How long to try to have the application started there, once the peer owns its volume, beyond the time it may take, in milliseconds. */
const tellMilliseconds = 60_000
const againMilliseconds = 250

interface Move {
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

/**
 * Moves an application of this host's to a peer: checks that the peer can run it, brings the image and the volume there while it is in use,
 * has clients wait, stops it, brings the rest, makes the peer the owner of the volume, has it started there, waits until it is ready, and
 * leads the clients there. Whatever fails before the volume's owner has changed, it runs here again. Afterwards it is the peer's to run,
 * which goes on trying. The peer must allow this host `run`, `receive` and `own`.
 *
 * @param application its name, or itself
 * @throws ContainerError `DESTINATION_UNREADY`, `CONTAINER_UNKNOWN`, `NOT_READY` (it does not run here), `IMAGE_MISSING`,
 *   `CLOCK_DIFFERS`: nothing was stopped
 * @throws all that {@link handoffVolume} can end with: it runs here
 * @throws ContainerError `MOVE_UNFINISHED`: the peer owns the volume, and could not start the application yet
 */
export async function moveContainer(
  application: string | Pick<Application, 'name'>,
  peer: Peer,
  options: MoveOptions = {},
): Promise<MoveResult> {
  const context = containersOf(peer.host)
  const name = typeof application === 'string' ? application : application.name
  return exclusively(context, name, async () => {
    const { signal } = options
    const engine = await context.engine(signal)
    const container = await requireOurs(engine, context.identity, name, { signal })
    if (container.state !== 'running') {
      throw new ContainerError('NOT_READY', `${name} does not run on ${context.identity}: it is ${container.state}`, {
        next: 'Start it, or move its volume alone.',
      })
    }
    const phases = phasesOf(context, name, peer, options)
    const described = await asNoted(context.host, container.application)
    const wanted = wantedOf(described, options)
    const { epoch } = container
    const move: Move = { context, engine, peer, application: described, wanted, container, options, phases, epoch }
    const imageId = wanted.image === described.image ? container.imageId : undefined
    const imageBytes = await prepare({ ...move, imageId })
    const moved = primaryVolume(described) === undefined ? await moveStateless(move) : await moveStateful(move)
    return {
      application: name,
      host: peer.identity,
      imageBytes,
      ...moved,
      milliseconds: phases.total(),
      phases: phases.times(),
    }
  })
}

/** @internal The phases of a move, which are logged and announced as they begin. */
export function phasesOf(context: ContainersHost, name: string, peer: Peer, { onPhase }: MoveOptions): MovePhases {
  return new MovePhases(`Moving ${name} to ${peer.identity}`, onPhase, (phase) => {
    const event = { application: name, from: context.identity, to: peer.identity, phase }
    context.host.logger.info(event, 'moves an application')
    announceMove(event)
  })
}

/** @internal As what it is to run there. @throws ArgumentError */
export function wantedOf(application: Application, { as = application }: Pick<MoveOptions, 'as'>): Application {
  const wanted = parseApplication(as)
  const volumes = ({ volumes = [] }: Application): string => volumes.map(({ volume }) => volume).join(' ')
  if (wanted.name === application.name && volumes(wanted) === volumes(application)) return wanted
  throw new ArgumentError(`${application.name} is to be moved as something else: with another name or other volumes`)
}

/** @internal Checks and brings what can be checked and brought while the application runs. @returns bytes of the image that were sent */
export async function prepare({
  engine,
  peer,
  wanted: application,
  imageId: known,
  options,
  phases,
}: Pick<Move, 'engine' | 'peer' | 'wanted' | 'options' | 'phases'> & {
  imageId: string | undefined
}): Promise<bigint> {
  const { signal, image = 'stream' } = options
  if ((application.volumes ?? []).length > 1) {
    throw new NotSupportedError(`${application.name} has more than one volume: they can't change hands in one step`, {
      next: 'Put all of its data below one volume.',
    })
  }
  const imageId = await phases.run('check', signal, () => checkPeer(peer, application, options))
  const here = known ?? (await findImage(engine, application.image, { signal }))?.id
  if (here !== undefined) await requireImage(engine, here, peer.host.identity, { signal })
  return phases.run('image', signal, async () => {
    if (imageId !== undefined && (here === undefined || imageId === here)) return 0n
    if (image === 'stream' && here !== undefined) return sendImage(engine, peer, application, signal)
    if (image === 'pull') await havePulled(peer, application, here, signal)
    else {
      throw new ContainerError('IMAGE_MISSING', `${peer.identity} lacks the image ${application.image}`, {
        peer: peer.identity,
        next: "Load it there; or have this host's sent: { image: 'stream' }.",
      })
    }
    return 0n
  })
}

/** @returns the ID of the image of that name there @throws ContainerError `DESTINATION_UNREADY`, `CLOCK_DIFFERS` */
async function checkPeer(
  peer: Peer,
  application: Application,
  { signal, clockMilliseconds = defaultClock }: MoveOptions,
): Promise<string | undefined> {
  const asked = Date.now()
  const { problems, imageId, now } = await peer.connection.request(
    checkApplication,
    { application },
    signal && { signal },
  )
  const answered = Date.now()
  if (problems.length > 0) {
    const [first] = problems
    throw new ContainerError(
      'DESTINATION_UNREADY',
      `${peer.identity} can't run ${application.name}: ${problems.map(({ code, message }) => `${message} [${code}]`).join('; ')}`,
      { peer: peer.identity, ...(first?.code === 'NOT_AUTHORIZED' ? { next: 'Its rules must allow it.' } : {}) },
    )
  }
  const off = now < asked ? asked - now : Math.max(0, now - answered)
  if (off > clockMilliseconds) {
    throw new ContainerError('CLOCK_DIFFERS', `The clocks of ${peer.identity} and this host differ by ${off} ms`, {
      peer: peer.identity,
      next: 'Set them; or say how much they may differ: { clockMilliseconds }.',
    })
  }
  return imageId
}

type Moved = Pick<MoveResult, 'epoch' | 'pauseMilliseconds' | 'handoff' | 'fronts'>

/** One without volumes may run twice for a moment. */
async function moveStateless(move: Move): Promise<Moved> {
  const { context, application, options, phases } = move
  const { signal } = options
  const began = performance.now()
  const started = await startThere(move, signal)
  const fronts = await phases.run('switch', undefined, () =>
    changeAll(move, 0n, { kind: 'set', routes: started.routes }),
  )
  const pauseMilliseconds = performance.now() - began
  context.leading.delete(application.name)
  await tidy(move)
  return { epoch: 0n, pauseMilliseconds, handoff: undefined, fronts }
}

async function moveStateful(move: Move): Promise<Moved> {
  const { context, application, phases } = move
  await hold(move)
  const stopping = { began: 0, stopped: undefined as Promise<unknown> | undefined }
  let handoff: HandoffResult
  try {
    handoff = await handOver(move, stopping)
  } catch (error) {
    await noteDesired(context.host, { application, running: true }).catch(ignoreOthers)
    throw error
  }
  context.leading.delete(application.name)
  // It is the peer's from here on: nothing of what follows can be taken back.
  const started = await finish(move, () => startThere(move, undefined))
  const fronts = await phases.run('switch', undefined, () =>
    changeAll(move, handoff.epoch, { kind: 'set', routes: started.routes }),
  )
  const pauseMilliseconds = performance.now() - stopping.began
  await tidy(move)
  return { epoch: handoff.epoch, pauseMilliseconds, handoff, fronts }
}

/** From then on no other process of this host touches it, as long as this one lives. What is noted goes along with the volume. */
async function hold({ context, wanted }: Move): Promise<void> {
  const held: Desired['held'] = { host: context.identity, process: await thisProcess() }
  await noteDesired(context.host, { application: wanted, running: true, held })
}

/** @internal The handoff may have been committed, and then it is another's to say. */
export function ignoreOthers(error: unknown): void {
  if (!(error instanceof FlockerError) || error.code !== 'NOT_OWNER') throw error
}

/** @internal Those that are the handoff's own. */
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

async function handOver(
  move: Move,
  stopping: { began: number; stopped: Promise<unknown> | undefined },
): Promise<HandoffResult> {
  const { context, application, peer, options, phases } = move
  const { host } = context
  const { stopSeconds = 30 } = application
  const volume = await openVolume(host.root, primaryVolume(application) as string)
  const result = await handoffForApplication(volume, peer, {
    ...handoffOptions(options),
    hookMilliseconds: checkpointMilliseconds + stopSeconds * 1000 + stopGrace,
    onPhase: (phase) => {
      if (phase === 'copy') phases.begin('copy')
      if (phase === 'freeze') phases.begin('push')
    },
    quiesce: ({ signal }) => quiet(move, stopping, signal),
    resume: async () => {
      await stopping.stopped?.catch(() => undefined)
      await goOn(move)
    },
  })
  const { prepare, copy, freeze, push, commit, take } = result.phases
  phases.add('copy', prepare + copy)
  phases.add('push', freeze + push + commit + take)
  return result
}

/** Makes the application write out what it can, has clients wait, and stops it. */
async function quiet(
  { context, engine, application, container, phases, options, epoch }: Move,
  stopping: { began: number; stopped: Promise<unknown> | undefined },
  signal: AbortSignal,
): Promise<void> {
  const { beforeStop, name, routes = [] } = application
  if (beforeStop !== undefined) {
    await phases.run('checkpoint', signal, async () => {
      const call = { signal, timeoutMilliseconds: checkpointMilliseconds }
      const { status, output } = await exec(engine, container.id, beforeStop, call)
      if (status !== 0)
        throw new Error(`beforeStop of ${name} ended with status ${status}: ${output.trim().slice(-500)}`)
    })
  }
  stopping.began = performance.now()
  if (routes.length > 0) {
    await phases.run('hold', signal, async () => {
      const { holdMilliseconds: milliseconds = defaultHold } = options
      const addresses = routes.map(({ address }) => address)
      await context.announce(name, epoch, { kind: 'hold', addresses, milliseconds }, signal)
    })
  }
  const stopped = phases.run('stop', signal, () => stopAndWait(engine, container, signal))
  stopping.stopped = stopped
  await stopped
}

/** It stays here: it runs again, and clients are led to it. */
async function goOn({ context, engine, application, epoch }: Move): Promise<void> {
  const { name, routes = [] } = application
  const running = await run(engine, application, await placeFor(context, application))
  await waitReady(engine, context.identity, running.name)
  const addresses = routes.map(({ address }) => address)
  if (addresses.length > 0) await context.announce(name, epoch, { kind: 'release', addresses })
}

/** @throws ContainerError `MOVE_UNFINISHED` */
async function finish<T>({ application, peer }: Move, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    throw new ContainerError(
      'MOVE_UNFINISHED',
      `${peer.identity} owns the volume of ${application.name}, and does not run it yet: ${(cause as Error).message}`,
      {
        peer: peer.identity,
        cause,
        next: `It goes on trying, as long as its agent runs. See what keeps it: docker logs ${application.name}`,
      },
    )
  }
}

/** @internal Has it started there. What the loss of a connection has cut short is asked for again. */
export async function startThere(
  { peer, wanted: application, options, phases }: Pick<Move, 'peer' | 'wanted' | 'options' | 'phases'>,
  signal: AbortSignal | undefined,
): Promise<{ routes: Extract<RouteChange, { kind: 'set' }>['routes'] }> {
  const { name } = application
  const { readyMilliseconds = defaultReady } = options
  const stateless = primaryVolume(application) === undefined
  const deadline = performance.now() + readyMilliseconds + tellMilliseconds
  phases.begin('start')
  for (;;) {
    try {
      const params = { name, readyMilliseconds, ...(stateless ? { application } : {}) }
      const started = await peer.connection.request(startApplication, params, signal && { signal })
      phases.add('start', started.startMilliseconds)
      phases.add('ready', started.readyMilliseconds)
      return started
    } catch (error) {
      throwIfAborted(signal, `Starting ${name} on ${peer.identity}`)
      if (!mayPass(error) || performance.now() > deadline) throw error
      await again(peer, deadline)
    }
  }
}

/** A peer that has just come back serves its volumes in a moment. */
function mayPass(error: unknown): boolean {
  const codes = ['OWNER_UNCONFIRMED', 'HANDOFF_UNDER_WAY', 'ENGINE_UNAVAILABLE']
  return isTransient(error) || (error instanceof FlockerError && codes.includes(error.code))
}

async function again(peer: Peer, deadline: number): Promise<void> {
  await wait(againMilliseconds)
  const left = Math.max(1, deadline - performance.now())
  try {
    await peer.reconnect({ signal: AbortSignal.timeout(Math.ceil(Math.min(left, 10_000))) })
  } catch (error) {
    // Said by the next request, if it stays so until the deadline.
    if (error instanceof AbortError || !(error instanceof FlockerError)) throw error as TransportError
  }
}

/** @internal Here, and on every host of the cluster that can be reached. */
export async function changeAll(
  { context, application, wanted }: Pick<Move, 'context' | 'application' | 'wanted'>,
  epoch: bigint,
  change: RouteChange,
): Promise<string[]> {
  await withdrawRoutes(context, application.name, epoch, { before: application.routes, after: wanted.routes })
  if ((wanted.routes ?? []).length === 0) return []
  return context.announce(application.name, epoch, change)
}

/** What is left here has no use any more; whatever keeps it from being removed is the engine's to say, and no fault of the move's. */
async function tidy({ context, engine, application, phases }: Move): Promise<void> {
  await phases.run('tidy', undefined, async () => {
    try {
      const left = await requireOurs(engine, context.identity, application.name)
      if (isAlive(left)) await stopAndWait(engine, left)
      await discard(engine, left.id)
    } catch (error) {
      context.host.logger.warn(
        { err: error, application: application.name },
        'what is left of the application stays here',
      )
    }
  })
}
