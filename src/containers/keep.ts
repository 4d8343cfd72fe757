/** Each application where the owner of its volume is, and nowhere else: after a crash, after a move that was cut short, after a promotion. */
import { ContainerError, FlockerError } from '../errors.js'
import { isProcessAlive } from '../volumes/index.js'
import { type Application, primaryVolume } from './application.js'
import { findStragglers, sendStraggler } from './companions.js'
import { applicationKey, type ContainersHost, exclusively } from './context.js'
import { type DesiredHere, noteDesired, readAllDesired } from './desired.js'
import type { Engine } from './engine.js'
import { type ContainerInfo, findOurs, isAlive, runOf } from './info.js'
import { discard, listContainers, placeFor, run, stopAndWait } from './lifecycle.js'
import { waitReady } from './probe.js'
import { countEnd, verdictOn } from './restart-rules.js'
import { routesOf } from './where.js'
import { withdrawRoutes } from './withdraw-routes.js'

/** An application that does not stand as it should yet. */
export interface Unkept {
  application: string
  why: Error
}

/**
 * Starts the applications of the volumes that this host owns and serves, stops those of volumes that it does not own any more, and has
 * clients led to what runs.
 * @returns those that could not be brought to where they belong
 */
export async function keepApplications(context: ContainersHost, signal?: AbortSignal): Promise<Unkept[]> {
  // One that is slow to be ready does not keep the others waiting.
  const stateful = (await readAllDesired(context.host)).map((desired) =>
    attempt(desired.application.name, signal, () => keep(context, desired, signal)),
  )
  const all = await Promise.all([...stateful, leadStateless(context, signal)])
  // Once what used them here has ended.
  const stragglers = (await findStragglers(context)).map((straggler) =>
    attempt(straggler.companion.name, signal, () => sendStraggler(context, straggler, signal)),
  )
  return [...all, ...(await Promise.all(stragglers))].flat()
}

async function attempt(
  application: string,
  signal: AbortSignal | undefined,
  run: () => Promise<void>,
): Promise<Unkept[]> {
  try {
    await run()
    return []
  } catch (error) {
    if (signal?.aborted) throw error
    return [{ application, why: error instanceof Error ? error : new Error(String(error)) }]
  }
}

async function keep(context: ContainersHost, seen: DesiredHere, signal: AbortSignal | undefined): Promise<void> {
  const { name } = seen.application
  // Whoever is at it will bring it to where it belongs, or leave it to the next turn.
  if (context.host.claims.has(applicationKey(name)) || (await isHeld(context, seen))) return
  await exclusively(context, name, async () => {
    const again = await readAllDesired(context.host)
    const desired = again.find(({ volume, application }) => volume === seen.volume && application.name === name)
    if (desired === undefined || (await isHeld(context, desired))) return
    const engine = await context.engine(signal)
    const found = await findOurs(engine, context.identity, name, { signal })
    if (!desired.owned) await leave(context, engine, found, signal)
    else if (!desired.running) await rest(engine, found, signal)
    else if (desired.served) await keepRunning(context, engine, desired, found, signal)
  })
}

/** Whether another process of this machine is at it. */
async function isHeld({ identity }: ContainersHost, { held }: DesiredHere): Promise<boolean> {
  return held !== undefined && held.host === identity && (await isProcessAlive(held.process))
}

/** Somebody else owns the volume: whatever runs here of the application ends. */
async function leave(
  { host, identity }: ContainersHost,
  engine: Engine,
  found: ContainerInfo | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (found === undefined) return
  if (isAlive(found)) host.logger.warn({ application: found.name, host: identity }, 'stops what another host owns')
  await stopAndWait(engine, found, signal)
  await discard(engine, found.id, { signal })
}

async function rest(engine: Engine, found: ContainerInfo | undefined, signal: AbortSignal | undefined): Promise<void> {
  if (found !== undefined && isAlive(found)) await stopAndWait(engine, found, signal)
}

async function keepRunning(
  context: ContainersHost,
  engine: Engine,
  desired: DesiredHere,
  found: ContainerInfo | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { application, owner, held } = desired
  const { name, restart = 'always' } = application
  let container = found
  if (found === undefined || !isAlive(found)) {
    const failures = found?.endedAt === undefined ? undefined : countEnd(context.failures.get(name), found)
    if (failures !== undefined) context.failures.set(name, failures)
    // Whoever stopped it to move it has died over that: it is to run, however it is to be restarted otherwise.
    const policy = held === undefined ? restart : 'always'
    const verdict = verdictOn(found, policy, owner.epoch, held === undefined ? failures : undefined, Date.now())
    if (verdict.kind === 'stay') return
    if (verdict.kind === 'wait') throw failing(name, failures?.count ?? 0, verdict.milliseconds)
    if (held !== undefined) await noteDesired(context.host, { application, running: true })
    context.host.logger.info({ application: name }, 'starts the application')
    container = await run(engine, application, await placeFor(context, application), signal)
  }
  await lead(context, engine, container as ContainerInfo, application.routes, owner.epoch, signal)
}

function failing(name: string, count: number, milliseconds: number): FlockerError {
  return new FlockerError(
    'NOT_READY',
    `${name} has ended ${count} times soon after it was started: it is started again in ${Math.ceil(milliseconds / 1000)} s`,
    { next: `Look at it: docker logs ${name}` },
  )
}

/** Has clients led to it, once it is ready. */
async function lead(
  context: ContainersHost,
  engine: Engine,
  { name, application, ...container }: ContainerInfo,
  addresses: Application['routes'],
  epoch: bigint,
  signal: AbortSignal | undefined,
): Promise<void> {
  const run = runOf(container)
  const mark = `${run} ${epoch}`
  const known = context.leading.get(name)
  if (known?.mark !== mark) await waitReady(engine, context.identity, name, { signal })
  // Where its ports are is the container's to say.
  const routes = routesOf(context, { ...application, routes: addresses })
  await withdrawRoutes(context, name, epoch, { before: known?.routes, after: routes, signal })
  context.leading.set(name, { mark, epoch, run, routes })
  if (routes.length > 0) await context.announce(name, epoch, { kind: 'set', routes, run }, signal)
}

/** Those without a volume are kept running by the engine; their clients are led to them here. */
async function leadStateless(context: ContainersHost, signal: AbortSignal | undefined): Promise<Unkept[]> {
  const listed = await listContainers(context, { signal }).catch((error: unknown) => {
    // Without an engine nothing runs that clients could be led to.
    if (error instanceof ContainerError) return []
    throw error
  })
  const led = listed.filter(
    ({ application, name, state }) =>
      state === 'running' &&
      (application.routes ?? []).length > 0 &&
      primaryVolume(application) === undefined &&
      !context.host.claims.has(applicationKey(name)),
  )
  const all = led.map(({ id, name }) =>
    attempt(name, signal, () =>
      exclusively(context, name, async () => {
        const engine = await context.engine(signal)
        const found = await findOurs(engine, context.identity, name, { signal })
        if (found?.id !== id || found.state !== 'running') return
        await lead(context, engine, found, found.application.routes, 0n, signal)
      }),
    ),
  )
  return (await Promise.all(all)).flat()
}
