import type { z } from 'zod'
import { TransportError } from '../errors.js'
import type { Method } from '../transport/index.js'
import type { Peer } from './peer.js'

/**
 * Asks a peer what it answers twice: with an event once it is ready for a stream or has one, and with how that has ended.
 * @param instead what it has done, for the error, where it ends well without having been ready
 */
export async function askTwice<P extends z.ZodType, R extends z.ZodType, E extends z.ZodType>(
  { connection, identity }: Pick<Peer, 'connection' | 'identity'>,
  method: Method<P, R, E>,
  params: z.output<P>,
  signal: AbortSignal,
  instead: string,
): Promise<{ ready: z.output<E>; outcome: Promise<z.output<R>> }> {
  let admit: (event: z.output<E>) => void
  const welcome = new Promise<z.output<E>>((resolve) => {
    admit = resolve
  })
  const outcome = connection.request(method, params, { signal, onEvent: (event) => admit(event) })
  const refused = outcome.then<never>(() => {
    throw new TransportError('PROTOCOL', `${identity} ${instead}`)
  })
  return { ready: await Promise.race([welcome, refused]), outcome }
}
