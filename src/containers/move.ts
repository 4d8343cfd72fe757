/** Moves an application to another host, its volume along, while its clients wait at the front. */
import { ContainerError } from '../errors.js'
import type { Peer } from '../replication/index.js'
import { type HandoffResult, handoffForApplication, openVolume, thisProcess } from '../volumes/index.js'
import { type Application, primaryVolume } from './application.js'
import { copyCompanions, handOverCompanions } from './companions.js'
import { containersOf, exclusively } from './context.js'
import { asNoted, type Desired, noteDesired } from './desired.js'
import { exec } from './exec.js'
import { isAlive } from './info.js'
import { discard, placeFor, requireOurs, run, stopAndWait } from './lifecycle.js'
import { prepare, wantedOf } from './move-check.js'
import type { MoveOptions, MoveResult } from './move-options.js'
import { handoffOptions, ignoreOthers, type Move, phasesOf } from './move-parts.js'
import { changeAll, startThere } from './move-start.js'
import { waitReady } from './probe.js'

const defaultHold = 60_000
const checkpointMilliseconds = 60_000
const stopGrace = 90_000

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

type Moved = Pick<MoveResult, 'epoch' | 'pauseMilliseconds' | 'handoff' | 'fronts'>

/** One without volumes may run twice for a moment. */
async function moveStateless(move: Move): Promise<Moved> {
  const { context, application, options, phases } = move
  const { signal } = options
  const began = performance.now()
  const started = await startThere(move, signal)
  const fronts = await phases.run('switch', undefined, () =>
    changeAll(move, 0n, { kind: 'set', routes: started.routes, run: started.run }),
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
    await copyCompanions(move)
    handoff = await handOver(move, stopping)
  } catch (error) {
    await noteDesired(context.host, { application, running: true }).catch(ignoreOthers)
    throw error
  }
  phases.commit()
  context.leading.delete(application.name)
  // It is the peer's from here on: nothing of what follows can be taken back.
  const started = await finish(move, async () => {
    await handOverCompanions(move)
    return startThere(move, undefined)
  })
  const fronts = await phases.run('switch', undefined, () =>
    changeAll(move, handoff.epoch, { kind: 'set', routes: started.routes, run: started.run }),
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
      // Why it could not be stopped is what the move ends with.
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
