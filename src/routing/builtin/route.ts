/** One route of the built-in proxy: its target, who waits for it and who is connected to it. */
import { setMaxListeners } from 'node:events'
import type { Socket } from 'node:net'
import { type FullRouteAddress, isSameTarget, routeKey } from '../address.js'
import type { RouteInfo, RouteState, RouteTarget } from '../router.js'
import type { RouterSettings } from '../settings.js'
import { dial, pause } from './dial.js'
import { refuse } from './refusal.js'
import { join, reset } from './tunnel.js'

/** How soon a target that did not accept is tried again. */
const RETRY_MILLISECONDS = 50

interface Tunnel {
  readonly target: RouteTarget
  readonly far: Socket
}

export class Route {
  readonly key: string
  #target: RouteTarget | undefined
  #hold: 'none' | 'held' | 'expired' = 'none'
  #holdTimer: NodeJS.Timeout | undefined
  /** Fires at the next change, for those who wait for one. */
  #change = newChange()
  readonly #waiting = new Set<Socket>()
  readonly #tunnels = new Map<Socket, Tunnel>()

  constructor(
    readonly address: FullRouteAddress,
    readonly settings: RouterSettings,
  ) {
    this.key = routeKey(address)
  }

  get state(): RouteState {
    if (this.#hold === 'held') return 'held'
    return this.#hold === 'expired' || this.#target === undefined ? 'none' : 'open'
  }

  get info(): RouteInfo {
    const counts = { open: this.#tunnels.size, waiting: this.#waiting.size }
    return { key: this.key, address: this.address, target: this.#target, state: this.state, ...counts }
  }

  set(target: RouteTarget | undefined): void {
    this.#target = target
    this.release()
  }

  hold(milliseconds: number): void {
    clearTimeout(this.#holdTimer)
    this.#hold = 'held'
    this.#holdTimer = setTimeout(() => this.#endHold('expired'), milliseconds)
    this.#changed()
  }

  release(): void {
    this.#endHold('none')
  }

  /** Ends the connections to the target, or to all but the present one, and returns how many there were. */
  disconnect(target: RouteTarget | undefined): number {
    let count = 0
    for (const [client, tunnel] of this.#tunnels) {
      if (target === undefined ? isSameTarget(tunnel.target, this.#target) : !isSameTarget(tunnel.target, target))
        continue
      reset(client)
      reset(tunnel.far)
      count++
    }
    return count
  }

  /** Refuses those who wait, and ends every connection. */
  close(): void {
    this.set(undefined)
    this.disconnect(undefined)
    for (const client of this.#waiting) reset(client)
  }

  /** Takes a client to the target, now or when there is one to go to, or refuses it. */
  async serve(client: Socket): Promise<void> {
    const full = this.#waiting.size >= this.settings.waitingClients
    this.#waiting.add(client)
    const tunnel = full ? undefined : await this.#reach(client)
    this.#waiting.delete(client)
    if (tunnel === undefined) {
      if (!client.destroyed) refuse(client, this.address.kind, 'unavailable')
      return
    }
    this.#tunnels.set(client, tunnel)
    for (const [one, other] of [
      [client, tunnel.far],
      [tunnel.far, client],
    ] as const) {
      one.once('close', () => other.destroyed && this.#tunnels.delete(client))
    }
    join(client, tunnel.far)
  }

  /** Undefined: the client is gone, or nobody will serve it. */
  async #reach(client: Socket): Promise<Tunnel | undefined> {
    for (;;) {
      const change = this.#change.signal
      if (client.destroyed || this.state === 'none') return undefined
      if (this.state === 'held') await pause(Number.POSITIVE_INFINITY, change)
      else {
        const tunnel = await this.#tryTarget(this.#target as RouteTarget, change)
        if (!change.aborted) {
          if (tunnel !== undefined && client.destroyed) tunnel.far.destroy()
          return client.destroyed ? undefined : tunnel
        }
        tunnel?.far.destroy()
      }
    }
  }

  /** Tries until it accepts, the time is over, or the route is changed. */
  async #tryTarget(target: RouteTarget, change: AbortSignal): Promise<Tunnel | undefined> {
    const deadline = performance.now() + this.settings.connectMilliseconds
    for (let left = deadline - performance.now(); left > 0 && !change.aborted; left = deadline - performance.now()) {
      const far = await dial(target, left, change)
      if (far !== undefined) return { target, far }
      await pause(Math.min(RETRY_MILLISECONDS, left), change)
    }
    return undefined
  }

  #endHold(how: 'none' | 'expired'): void {
    clearTimeout(this.#holdTimer)
    this.#hold = how
    this.#changed()
  }

  #changed(): void {
    const before = this.#change
    this.#change = newChange()
    before.abort()
  }
}

function newChange(): AbortController {
  const change = new AbortController()
  setMaxListeners(0, change.signal)
  return change
}
