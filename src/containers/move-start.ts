/** The end of a move: the peer starts the application, and clients are led there. */
import { setTimeout as wait } from 'node:timers/promises'
import { AbortError, FlockerError, throwIfAborted } from '../errors.js'
import type { Peer } from '../replication/index.js'
import { primaryVolume } from './application.js'
import { type RouteChange, startApplication } from './messages.js'
import { type Move, mayPass } from './move-parts.js'
import { withdrawRoutes } from './withdraw-routes.js'

const defaultReady = 60_000
/** How long to try to have the application started there, once the peer owns its volume, beyond the time it may take, in milliseconds. */
const tellMilliseconds = 60_000
const againMilliseconds = 250

/** Has it started there. What the loss of a connection has cut short is asked for again. */
export async function startThere(
  { peer, wanted: application, options, phases }: Pick<Move, 'peer' | 'wanted' | 'options' | 'phases'>,
  signal: AbortSignal | undefined,
): Promise<Pick<Extract<RouteChange, { kind: 'set' }>, 'routes' | 'run'>> {
  const { name } = application
  const { readyMilliseconds = defaultReady } = options
  const stateless = primaryVolume(application) === undefined
  const deadline = performance.now() + readyMilliseconds + tellMilliseconds
  phases.begin('start')
  for (;;) {
    try {
      const params = { name, readyMilliseconds, ...(stateless ? { application } : {}) }
      const started = await peer.connection.request(startApplication, params, {
        ...(signal && { signal }),
        onEvent: ({ phase }) => phases.begin(phase),
      })
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

async function again(peer: Peer, deadline: number): Promise<void> {
  await wait(againMilliseconds)
  const left = Math.max(1, deadline - performance.now())
  try {
    await peer.reconnect({ signal: AbortSignal.timeout(Math.ceil(Math.min(left, 10_000))) })
  } catch (error) {
    // Said by the next request, if it stays so until the deadline.
    if (error instanceof AbortError || !(error instanceof FlockerError)) throw error
  }
}

/** Here, and on every host of the cluster that can be reached. */
export async function changeAll(
  { context, application, wanted }: Pick<Move, 'context' | 'application' | 'wanted'>,
  epoch: bigint,
  change: RouteChange,
): Promise<string[]> {
  await withdrawRoutes(context, application.name, epoch, { before: application.routes, after: wanted.routes })
  if ((wanted.routes ?? []).length === 0) return []
  return context.announce(application.name, epoch, change)
}
