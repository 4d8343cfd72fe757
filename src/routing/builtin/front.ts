/** One port at which the built-in proxy listens, with the routes behind it. */
import { createServer, type Server, type Socket } from 'node:net'
import { type FullRouteAddress, routeKey } from '../address.js'
import { listenError } from '../faults.js'
import type { RouterSettings } from '../settings.js'
import { readClientHello } from './client-hello.js'
import { KEEP_ALIVE } from './dial.js'
import { readOpening } from './reader.js'
import { type Refusal, refuse } from './refusal.js'
import { readRequestHead } from './request-head.js'
import type { Route } from './route.js'

/** How many clients of a port may be about to say what they want. */
const MOST_OPENINGS = 4096
const BACKLOG = 4096

/** What a front is found by: its routes share it. */
export function frontKey(address: FullRouteAddress): string {
  return address.kind === 'tcp' ? routeKey(address) : `${address.kind}:${address.port}`
}

export class Front {
  readonly #server: Server
  readonly #openings = new Set<Socket>()
  /** By their keys. */
  readonly routes = new Map<string, Route>()

  private constructor(
    readonly address: FullRouteAddress,
    readonly settings: RouterSettings,
  ) {
    const options = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true, ...KEEP_ALIVE }
    this.#server = createServer(options, (client) => {
      // A client that resets its connection is gone, and that is all there is to it.
      client.on('error', () => undefined)
      void this.#serve(client)
    })
  }

  /** @throws RoutingError `PORT_IN_USE`, `PORT_DENIED`, `ROUTER_FAILED` */
  static async open(address: FullRouteAddress, settings: RouterSettings): Promise<Front> {
    const front = new Front(address, settings)
    const host = (address.kind === 'tcp' && address.address) || settings.address
    await new Promise<void>((resolve, reject) => {
      front.#server.once('error', (cause) => reject(listenError(host, address.port, cause)))
      front.#server.listen({ host, port: address.port, backlog: BACKLOG }, resolve)
    })
    return front
  }

  /** Stops listening. Connections of its routes are not its affair. */
  async close(): Promise<void> {
    for (const client of this.#openings) client.destroy()
    // It calls back when the last connection is gone, which may be long after the port is free.
    this.#server.close()
    await new Promise((resolve) => setImmediate(resolve))
  }

  async #serve(client: Socket): Promise<void> {
    const { kind } = this.address
    const found = kind === 'tcp' ? this.routes.get(routeKey(this.address)) : await this.#choose(client, kind)
    if (found === undefined) client.destroy()
    else if (typeof found !== 'string') await found.serve(client)
    else if (!client.destroyed) refuse(client, kind, found)
  }

  /** The route that the client asks for, or why there is none. */
  async #choose(client: Socket, kind: 'tls' | 'http'): Promise<Route | Refusal> {
    if (this.#openings.size >= MOST_OPENINGS) return 'unavailable'
    this.#openings.add(client)
    const parse = kind === 'tls' ? readClientHello : readRequestHead
    const opening = await readOpening(client, parse, this.settings.openingMilliseconds)
    this.#openings.delete(client)
    if (opening.kind === 'named') return this.routes.get(`${kind}:${this.address.port}:${opening.name}`) ?? 'unknown'
    return kind === 'tls' && opening.kind === 'unnamed' ? 'unknown' : 'invalid'
  }
}
