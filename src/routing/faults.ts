import { isIP } from 'node:net'
import { RoutingError } from '../errors.js'
import { routeKey } from './address.js'
import type { RouteAddress } from './router.js'

/** The error for a port that could not be listened at. */
export function listenError(host: string, port: number, cause: NodeJS.ErrnoException): RoutingError {
  const where = isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`
  if (cause.code === 'EADDRINUSE') {
    return new RoutingError('PORT_IN_USE', `Another program listens at ${where}`, {
      cause,
      next: `Find it with: ss -ltnp 'sport = ${port}'`,
    })
  }
  if (cause.code === 'EACCES') {
    return new RoutingError('PORT_DENIED', `This user may not listen at ${where}`, {
      cause,
      next: 'Ports below 1024 need root, or the capability CAP_NET_BIND_SERVICE.',
    })
  }
  return new RoutingError('ROUTER_FAILED', `Can't listen at ${where}: ${cause.message}`, { cause })
}

/** The error for a route that was never set. */
export function unknownRoute(address: RouteAddress): RoutingError {
  return new RoutingError('ROUTE_UNKNOWN', `There is no route ${routeKey(address)}`, { next: 'Set it first.' })
}
