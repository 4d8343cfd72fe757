/** What peers may ask of this host about applications, each within its rights. */
import { ContainerError } from '../errors.js'
import type { ServeSettings } from '../replication/index.js'
import { authorize, type Handler, handle, isAuthorized, type RequestContext } from '../transport/index.js'
import { type Application, primaryVolume } from './application.js'
import { checkHere } from './check.js'
import type { ContainersHost } from './context.js'
import { asNoted, requireDesired } from './desired.js'
import { findImage, loadImage, pullIfMissing, requireImage } from './images.js'
import { findOurs, runOf } from './info.js'
import { removeContainer, startContainer, stopContainer } from './lifecycle.js'
import {
  changeRoutes,
  checkApplication,
  loadApplicationImage,
  moveApplication,
  pullApplicationImage,
  readRoutes,
  removeApplication,
  startApplication,
  stopApplication,
} from './messages.js'
import { moveContainer } from './move.js'
import { moveStopped } from './move-stopped.js'
import { waitReady } from './probe.js'
import type { RequestedMove, RequestMoveOptions } from './request-move.js'
import { serveDeployment } from './serve-deployment.js'
import { routesOf } from './where.js'
import { withdrawRoutes } from './withdraw-routes.js'

export function serveContainers(settings: ServeSettings, context: ContainersHost): Handler[] {
  const { root, rules } = settings
  const gate = (name: string, peer: string): void => authorize(rules, peer, 'run', `${root}/${name}`)
  return [
    handle(checkApplication, async ({ application }, { peer, signal }) => {
      gate(application.name, peer)
      const mayTake = (volume: string): void => {
        for (const verb of ['receive', 'own'] as const) authorize(rules, peer, verb, `${root}/${volume}`)
      }
      const { problems, imageId } = await checkHere(context, application, mayTake, signal)
      return { problems, now: Date.now(), ...(imageId === undefined ? {} : { imageId }) }
    }),
    handle(loadApplicationImage, async ({ name, image }, request) => {
      gate(name, request.peer)
      return { imageId: await receiveImage(context, image, request) }
    }),
    handle(pullApplicationImage, async ({ name, image }, { peer, signal }) => {
      gate(name, peer)
      const engine = await context.engine(signal)
      await pullIfMissing(engine, image, { signal })
      return { imageId: (await requireImage(engine, image, context.identity, { signal })).id }
    }),
    handle(startApplication, async ({ name, application, replace = false, readyMilliseconds }, request) => {
      const { peer, signal } = request
      gate(name, peer)
      const wanted = application ?? (await requireDesired(context.host, name)).application
      if (wanted.name !== name) throw new ContainerError('INVALID_ARGUMENT', `${wanted.name} is not ${name}`)
      for (const { volume } of wanted.volumes ?? []) authorize(rules, peer, 'own', `${root}/${volume}`)
      const onStarted = (): void => request.emit({ phase: 'ready' })
      return startHere(context, wanted, { replace, readyMilliseconds, signal, onStarted })
    }),
    handle(moveApplication, async ({ name, to, ...options }, { peer, signal, emit }) => {
      gate(name, peer)
      const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
      return moveFrom(context, name, to, { ...given, signal, onPhase: (phase) => emit({ phase }) })
    }),
    handle(stopApplication, async ({ name }, { peer, signal }) => {
      gate(name, peer)
      await stopContainer(context, name, { signal })
      return {}
    }),
    ...serveDeployment(settings, context),
    handle(removeApplication, async ({ name }, { peer, signal }) => {
      gate(name, peer)
      await removeContainer(context, name, { signal, stop: true })
      return {}
    }),
    handle(changeRoutes, async ({ application, epoch, change }, { peer, signal }) => {
      gate(application, peer)
      await context.routes.change(application, epoch, change, signal)
      return {}
    }),
    handle(readRoutes, (_, { peer }) => {
      const shown = [...context.leading].filter(([name]) => isAuthorized(rules, peer, 'run', `${root}/${name}`))
      return { applications: shown.map(([name, { epoch, routes, run }]) => ({ name, epoch, routes, run })) }
    }),
  ]
}

/** @internal Moves an application of this host's to another one. */
export async function moveFrom(
  context: ContainersHost,
  name: string,
  to: string,
  { stopped = false, ...options }: RequestMoveOptions,
): Promise<RequestedMove & { phases: Record<string, number>; fronts: string[] }> {
  const target = await context.reach(to, options.signal)
  const moved = await (stopped ? moveStopped : moveContainer)(name, target, options)
  const { handoff, application: _, host: _h, fronts, ...rest } = moved
  return { ...rest, fronts: [...fronts], rounds: handoff?.rounds ?? 0, bytes: handoff?.bytes ?? 0n }
}

/** @internal Starts an application here, waits until it is ready, and has clients led to it. */
export async function startHere(
  context: ContainersHost,
  application: Application,
  options: { replace: boolean; readyMilliseconds: number; signal?: AbortSignal; onStarted?: () => void },
) {
  const { name } = application
  const { signal, replace, readyMilliseconds, onStarted } = options
  const began = performance.now()
  const before = await routesBefore(context, application, signal)
  const container = await startContainer(context, application, { signal, replace })
  const started = performance.now()
  onStarted?.()
  const engine = await context.engine(signal)
  await waitReady(engine, context.identity, name, { signal, timeoutMilliseconds: readyMilliseconds })
  const ready = performance.now()
  const routes = routesOf(context, application)
  const epoch = primaryVolume(application) === undefined ? 0n : container.epoch
  const run = runOf(container)
  if (routes.length > 0) await context.routes.change(name, epoch, { kind: 'set', routes, run }, signal)
  await withdrawRoutes(context, name, epoch, { before, after: routes, signal })
  // All other hosts are told in the background: whoever waits for this one must not wait for those that are off.
  context.nudge()
  return { startMilliseconds: started - began, readyMilliseconds: ready - started, epoch, routes, run }
}

/** The routes that it has as long as nothing is changed. */
async function routesBefore(
  context: ContainersHost,
  application: Application,
  signal: AbortSignal | undefined,
): Promise<Application['routes']> {
  const engine = await context.engine(signal)
  const found = await findOurs(engine, context.identity, application.name, { signal })
  return found && (await asNoted(context.host, found.application)).routes
}

/** It asks for the archive once the engine is ready to take it. */
async function receiveImage(
  context: ContainersHost,
  image: string,
  request: RequestContext<{ ticket: string }>,
): Promise<string> {
  const { signal } = request
  const engine = await context.engine(signal)
  const present = await findImage(engine, image, { signal })
  const { archive, loaded } = loadImage(engine, { signal })
  const offer = request.offerData()
  request.emit({ ticket: offer.ticket })
  const moving = offer.channel(signal).then((channel) => channel.receive(archive, { signal }))
  await Promise.all([moving, loaded])
  const { id } = await requireImage(engine, image, context.identity, { signal })
  if (present !== undefined && present.id !== id) {
    context.host.logger.warn({ image, before: present.id, id }, 'the name of an image has moved on to another')
  }
  return id
}
