/** Moves an application that does not run: its volume goes to the other host, which starts it. */
import { ContainerError } from '../errors.js'
import type { Peer } from '../replication/index.js'
import { handoffForApplication, openVolume, thisProcess } from '../volumes/index.js'
import { primaryVolume } from './application.js'
import { handOverCompanions } from './companions.js'
import { type ContainersHost, containersOf, exclusively } from './context.js'
import { type DesiredHere, noteDesired, requireDesired } from './desired.js'
import type { Engine } from './engine.js'
import { type ContainerInfo, findOurs, isAlive } from './info.js'
import { discard } from './lifecycle.js'
import { prepare, wantedOf } from './move-check.js'
import type { MoveOptions, MoveResult } from './move-options.js'
import { handoffOptions, ignoreOthers, phasesOf } from './move-parts.js'
import { changeAll, startThere } from './move-start.js'

/**
 * Hands the volume of an application that does not run over to a peer, and has it started there. Rights and errors as of
 * {@link moveContainer}. What fails before the volume's owner has changed leaves all as it was; what fails afterwards leaves it stopped there.
 * @throws ContainerError `CONTAINER_RUNNING`: it runs by now; `CONTAINER_UNKNOWN`: no volume of this host's tells of it
 */
export async function moveStopped(name: string, peer: Peer, options: MoveOptions = {}): Promise<MoveResult> {
  const context = containersOf(peer.host)
  return exclusively(context, name, async () => {
    const { signal } = options
    const engine = await context.engine(signal)
    const left = await findOurs(engine, context.identity, name, { signal })
    if (left !== undefined && isAlive(left)) {
      throw new ContainerError('CONTAINER_RUNNING', `${name} runs on ${context.identity}`, {
        next: 'Move it as one that runs.',
      })
    }
    const desired = await requireDesired(context.host, name)
    const wanted = wantedOf(desired.application, options)
    const phases = phasesOf(context, name, peer, options)
    const known = left?.application.image === wanted.image ? left.imageId : undefined
    const imageBytes = await prepare({ engine, peer, wanted, imageId: known, options, phases })
    const move = { context, peer, application: desired.application, wanted, options, phases }
    const began = performance.now()
    const handoff = await handOver(move, desired)
    phases.commit()
    context.leading.delete(name)
    await handOverCompanions(move)
    const { routes, run } = await startThere(move, undefined)
    const fronts = await phases.run('switch', undefined, () =>
      changeAll(move, handoff.epoch, { kind: 'set', routes, run }),
    )
    const pauseMilliseconds = performance.now() - began
    await phases.run('tidy', undefined, () => tidy(context, engine, left))
    return {
      application: name,
      host: peer.identity,
      epoch: handoff.epoch,
      pauseMilliseconds,
      milliseconds: phases.total(),
      phases: phases.times(),
      imageBytes,
      handoff,
      fronts,
    }
  })
}

async function handOver(
  { context, peer, wanted, options, phases }: Parameters<typeof startThere>[0] & { context: ContainersHost },
  before: DesiredHere,
) {
  const { host } = context
  // As long as this process lives nobody starts it here; and there not before it is asked to.
  const held = { host: context.identity, process: await thisProcess() }
  await noteDesired(host, { application: wanted, running: false, held })
  try {
    const volume = await openVolume(host.root, primaryVolume(before.application) as string)
    const result = await handoffForApplication(volume, peer, {
      ...handoffOptions(options),
      onPhase: (phase) => {
        if (phase === 'copy') phases.begin('copy')
        if (phase === 'freeze') phases.begin('push')
      },
    })
    phases.add('copy', result.phases.prepare + result.phases.copy)
    const { freeze, push, commit, take } = result.phases
    phases.add('push', freeze + push + commit + take)
    return result
  } catch (error) {
    const { application, running } = before
    await noteDesired(host, { application, running }).catch(ignoreOthers)
    throw error
  }
}

/** What is left here is no fault of the move's. */
async function tidy(context: ContainersHost, engine: Engine, left: ContainerInfo | undefined): Promise<void> {
  if (left === undefined) return
  try {
    await discard(engine, left.id)
  } catch (error) {
    context.host.logger.warn({ err: error, application: left.name }, 'what is left of the application stays here')
  }
}
