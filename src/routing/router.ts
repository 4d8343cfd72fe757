/** What a router is: the front door that clients dial, whichever host runs the application. */

/** A port of its own for one application: whatever is spoken there. */
export interface TcpAddress {
  readonly kind: 'tcp'
  /** From 1 to 65535. */
  readonly port: number
  /** The IP address to listen at, where it is not the router's own. */
  readonly address?: string
}

/** A name in TLS (SNI, RFC 6066, section 3): many share a port. The router does not decrypt. */
export interface TlsAddress {
  readonly kind: 'tls'
  /** Default 443. */
  readonly port?: number
  /** The DNS name that clients ask for; upper and lower case are the same. */
  readonly serverName: string
}

/** A name in HTTP/1 (the Host header, RFC 9110, section 7.2): many share a port. */
export interface HttpAddress {
  readonly kind: 'http'
  /** Default 80. */
  readonly port?: number
  /** The name in the Host header, without a port; upper and lower case are the same. */
  readonly host: string
}

/** Where clients dial an application. */
export type RouteAddress = TcpAddress | TlsAddress | HttpAddress

/** Where the application runs. */
export interface RouteTarget {
  /** IP address or DNS name. */
  readonly host: string
  readonly port: number
}

/**
 * `open`: new connections go to the target. `held`: they wait. `none`: they are refused, because the route has no target or because its hold
 * has passed its deadline.
 */
export type RouteState = 'open' | 'held' | 'none'

/** A route as it is. */
export interface RouteInfo {
  /** The canonical text of the address, as `routeKey` gives it. */
  readonly key: string
  readonly address: RouteAddress
  readonly target: RouteTarget | undefined
  readonly state: RouteState
  /** Connections that are with a target, the present one or a former one. */
  readonly open: number
  /** Connections that wait for the end of a hold, or for a target that does not answer yet. */
  readonly waiting: number
}

/** What every method of a router takes. */
export interface RoutingOptions {
  /** Ends the waiting for an earlier change of the same router. A change that has begun is finished. */
  readonly signal?: AbortSignal | undefined
}

/** How long clients may wait. */
export interface RouteHoldOptions extends RoutingOptions {
  /** From now, at most an hour. Then those that wait are closed, and new ones refused, until `set` or `release`. */
  readonly deadlineMilliseconds: number
}

/** Whose connections to end. */
export interface DisconnectOptions extends RoutingOptions {
  /** The target whose connections end. Default: all but the present one. */
  readonly target?: RouteTarget | undefined
}

/**
 * Sends clients to wherever an application runs. Every method may be called again with the same effect; changes happen one after the other,
 * in the order of the calls. A change touches neither connections nor waiting clients of other routes, and established connections of its own
 * route only where it says so.
 *
 * All methods throw ArgumentError for an address or target that can't be, and RoutingError `ROUTER_CLOSED` after `close`.
 */
export interface Router extends AsyncDisposable {
  /**
   * Creates the route or gives it another target, in one step, and ends its hold: those that wait go to the new target, as do new
   * connections; established ones stay where they are. Without a target the route is there, and refuses.
   * @throws RoutingError `PORT_IN_USE`, `PORT_DENIED`, `ROUTER_FAILED`; then the routes are as they were
   * @throws ArgumentError the port belongs to another kind of address
   */
  set(address: RouteAddress, target: RouteTarget | undefined, options?: RoutingOptions): Promise<void>
  /**
   * From now on new connections wait instead of going to the target. Held again, only the deadline changes.
   * @throws RoutingError `ROUTE_UNKNOWN`
   */
  hold(address: RouteAddress, options: RouteHoldOptions): Promise<void>
  /**
   * Goes on with the target that the route has, also after a hold's deadline.
   * @throws RoutingError `ROUTE_UNKNOWN`
   */
  release(address: RouteAddress, options?: RoutingOptions): Promise<void>
  /** Ends this route and its connections. There need not be one. */
  remove(address: RouteAddress, options?: RoutingOptions): Promise<void>
  /** Every route, sorted by key. */
  list(options?: RoutingOptions): Promise<RouteInfo[]>
  /**
   * Ends the route's established connections to a target it no longer has, such as a host that died: their clients would wait for it.
   * @returns how many were ended
   */
  disconnect(address: RouteAddress, options?: DisconnectOptions): Promise<number>
  /** Ends the router. What becomes of its connections is said by who opened it. */
  close(): Promise<void>
}

/** What both routers are opened with. */
export interface RouterOptions {
  /** The IP address to listen at. Default `0.0.0.0`; `::` is IPv6 and IPv4. */
  readonly address?: string
  /** For how long a client waits for a target that does not accept connections yet, in milliseconds. Default 5000. */
  readonly connectMilliseconds?: number
  /** How many clients of one route may wait; more are refused at once. Default 4096. */
  readonly waitingClients?: number
  /** Within what time a client must have said the name it wants, in milliseconds (`tls`, `http`). Default 10,000. */
  readonly openingMilliseconds?: number
}
