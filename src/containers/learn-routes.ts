import { FlockerError } from '../errors.js'
import type { ContainersHost } from './context.js'
import { readRoutes } from './messages.js'

/** Asks the other hosts where clients of what runs there are to be led: a proxy that was just started knows nothing yet. */
export async function learnRoutes(context: ContainersHost, signal: AbortSignal): Promise<void> {
  const { logger } = context.host
  for (const peer of await context.peers(signal)) {
    try {
      const { applications } = await peer.connection.request(readRoutes, {}, { signal, timeoutMilliseconds: 10_000 })
      for (const { name, epoch, routes, run } of applications) {
        await context.routes.change(name, epoch, { kind: 'set', routes, run }, signal)
      }
    } catch (error) {
      if (signal.aborted || !(error instanceof FlockerError)) throw error
      logger.warn({ err: error, peer: peer.identity }, 'a host did not say where its applications are')
    }
  }
}
