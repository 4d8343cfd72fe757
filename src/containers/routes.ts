/** The routes of applications on this host's proxy, and who has said where they lead. */
import type { Logger } from 'pino'
import { RoutingError } from '../errors.js'
import { parseRouteKey, type RouteAddress, type Router, routeKey } from '../routing/index.js'
import type { RouteChange } from './messages.js'

interface Known {
  application: string
  /** The epoch of the volume's owner that has said so. */
  epoch: bigint
  /** The run of its container that clients are led to, where that was said. */
  run?: string | undefined
}

/** Changes routes as owners of applications say, and refuses what an earlier owner says. A host without a proxy takes all that in and does nothing. */
export class Routes {
  readonly #known = new Map<string, Known>()

  constructor(
    readonly router: Router | undefined,
    private readonly logger: Logger,
  ) {}

  /**
   * @param epoch of the owner that says so
   * @throws RoutingError `ROUTE_STALE`: a later owner has spoken; `ROUTE_CONFLICT`: another application has the address; and what the proxy
   *   throws
   */
  async change(application: string, epoch: bigint, change: RouteChange, signal?: AbortSignal): Promise<void> {
    const { router } = this
    const wanted = addressesOf(change).map((text) => parseRouteKey(text))
    for (const address of wanted) this.#check(routeKey(address), application, epoch)
    const before = new Map(this.#known)
    for (const address of wanted) {
      const key = routeKey(address)
      const run = change.kind === 'set' ? change.run : before.get(key)?.run
      if (change.kind === 'remove') this.#known.delete(key)
      else this.#known.set(key, { application, epoch, run })
    }
    this.logger.info({ application, epoch: String(epoch), change }, 'routes change')
    if (router === undefined) return
    if (change.kind === 'set') {
      for (const { address: text, target } of change.routes) {
        const address = parseRouteKey(text)
        const fresh = before.get(routeKey(address))?.run !== change.run
        // Those of a run that has ended: the host that it was on may be gone without a word, and their clients would wait for it.
        if (fresh && before.has(routeKey(address))) await router.disconnect(address, { target, signal })
        await router.set(address, target, { signal })
        if (fresh) await router.disconnect(address, { signal })
      }
      return
    }
    for (const address of wanted) await this.#apply(router, address, change, signal)
  }

  async #apply(
    router: Router,
    address: RouteAddress,
    change: Exclude<RouteChange, { kind: 'set' }>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    try {
      if (change.kind === 'hold') await router.hold(address, { deadlineMilliseconds: change.milliseconds, signal })
      else if (change.kind === 'release') await router.release(address, { signal })
      else await router.remove(address, { signal })
    } catch (error) {
      // It leads nowhere here yet, so nobody need wait.
      if (!(error instanceof RoutingError) || error.code !== 'ROUTE_UNKNOWN') throw error
    }
  }

  #check(key: string, application: string, epoch: bigint): void {
    const known = this.#known.get(key)
    if (known === undefined) return
    if (known.application !== application) {
      throw new RoutingError('ROUTE_CONFLICT', `${key} leads to ${known.application}, not to ${application}`, {
        next: `Take the route from ${known.application} first.`,
      })
    }
    if (epoch < known.epoch) {
      throw new RoutingError('ROUTE_STALE', `${application} has an owner since epoch ${known.epoch}, not ${epoch}`)
    }
  }
}

function addressesOf(change: RouteChange): readonly string[] {
  return change.kind === 'set' ? change.routes.map(({ address }) => address) : change.addresses
}
