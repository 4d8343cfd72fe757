/**
 * Routing: one address for clients, whichever host runs the application. docs/routing.md
 *
 * @module routing
 */
export {
  checkConflict,
  checkTarget,
  type FullRouteAddress,
  isSameTarget,
  normaliseAddress,
  parseRouteKey,
  routeKey,
} from './address.js'
export { openBuiltInRouter } from './builtin/router.js'
export { type HaproxyOptions, openHaproxyRouter } from './haproxy/router.js'
export type {
  DisconnectOptions,
  HttpAddress,
  RouteAddress,
  RouteHoldOptions,
  RouteInfo,
  Router,
  RouterOptions,
  RouteState,
  RouteTarget,
  RoutingOptions,
  TcpAddress,
  TlsAddress,
} from './router.js'
