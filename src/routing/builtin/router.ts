import { RoutingError } from '../../errors.js'
import { checkConflict, checkTarget, type FullRouteAddress, normaliseAddress, routeKey } from '../address.js'
import { unknownRoute } from '../faults.js'
import type {
  DisconnectOptions,
  RouteAddress,
  RouteHoldOptions,
  RouteInfo,
  Router,
  RouterOptions,
  RouteTarget,
  RoutingOptions,
} from '../router.js'
import { Serial } from '../serial.js'
import { checkHold, type RouterSettings, routerSettings } from '../settings.js'
import { Front, frontKey } from './front.js'
import { Route } from './route.js'

/**
 * The proxy in this process: needs nothing, and lives as long as the process. `tls` and `http` are told apart by the first bytes of a connection,
 * which go on to the target as they came; nothing is decrypted, and no header is added.
 *
 * Of `http` only the first request of a connection is looked at: the connection then stays with its target, also for requests that name another
 * host, and until `disconnect` or its end also after a switch. Where a client's connections carry requests for several hosts (an HTTP proxy in
 * front of this one), use HAProxy, which chooses for each request.
 *
 * A target that is a name is looked up for each connection. `close` ends every connection.
 * @throws ArgumentError an option is out of range
 */
export function openBuiltInRouter(options: RouterOptions = {}): Promise<Router> {
  return Promise.resolve().then(() => new BuiltInRouter(routerSettings(options)))
}

class BuiltInRouter implements Router {
  readonly #settings: RouterSettings
  readonly #fronts = new Map<string, Front>()
  readonly #serial = new Serial()
  #closed: Promise<void> | undefined

  constructor(settings: RouterSettings) {
    this.#settings = settings
  }

  async set(address: RouteAddress, target: RouteTarget | undefined, options: RoutingOptions = {}): Promise<void> {
    const full = normaliseAddress(address)
    const checked = target && checkTarget(target)
    await this.#run(`setting ${routeKey(full)}`, options, async () => {
      const route = this.#find(full) ?? (await this.#create(full))
      route.set(checked)
    })
  }

  async hold(address: RouteAddress, options: RouteHoldOptions): Promise<void> {
    const key = routeKey(address)
    const milliseconds = checkHold(options.deadlineMilliseconds)
    await this.#run(`holding ${key}`, options, async () => this.#get(address).hold(milliseconds))
  }

  async release(address: RouteAddress, options: RoutingOptions = {}): Promise<void> {
    await this.#run(`releasing ${routeKey(address)}`, options, async () => this.#get(address).release())
  }

  async remove(address: RouteAddress, options: RoutingOptions = {}): Promise<void> {
    const full = normaliseAddress(address)
    await this.#run(`removing ${routeKey(full)}`, options, async () => {
      const front = this.#fronts.get(frontKey(full))
      const route = this.#find(full)
      if (front === undefined || route === undefined) return
      front.routes.delete(route.key)
      route.close()
      if (front.routes.size === 0) {
        this.#fronts.delete(frontKey(full))
        await front.close()
      }
    })
  }

  list(options: RoutingOptions = {}): Promise<RouteInfo[]> {
    return this.#run('listing the routes', options, async () =>
      this.#routes()
        .map(({ info }) => info)
        .sort((one, other) => (one.key < other.key ? -1 : 1)),
    )
  }

  async disconnect(address: RouteAddress, options: DisconnectOptions = {}): Promise<number> {
    const full = normaliseAddress(address)
    const target = options.target && checkTarget(options.target)
    const what = `disconnecting clients of ${routeKey(full)}`
    return await this.#run(what, options, async () => this.#find(full)?.disconnect(target) ?? 0)
  }

  close(): Promise<void> {
    this.#closed ??= this.#serial.run('closing the router', undefined, async () => {
      for (const route of this.#routes()) route.close()
      await Promise.all([...this.#fronts.values()].map((front) => front.close()))
    })
    return this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #run<T>(what: string, { signal }: RoutingOptions, work: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new RoutingError('ROUTER_CLOSED', `${what}: the router was closed`))
    return this.#serial.run(what, signal, work)
  }

  #routes(): Route[] {
    return [...this.#fronts.values()].flatMap((front) => [...front.routes.values()])
  }

  #find(address: FullRouteAddress): Route | undefined {
    return this.#fronts.get(frontKey(address))?.routes.get(routeKey(address))
  }

  #get(address: RouteAddress): Route {
    const route = this.#find(normaliseAddress(address))
    if (route === undefined) throw unknownRoute(address)
    return route
  }

  async #create(address: FullRouteAddress): Promise<Route> {
    const others = this.#routes().map((route) => route.address)
    checkConflict(address, others)
    const front = this.#fronts.get(frontKey(address)) ?? (await Front.open(address, this.#settings))
    this.#fronts.set(frontKey(address), front)
    const route = new Route(address, this.#settings)
    front.routes.set(route.key, route)
    return route
  }
}
