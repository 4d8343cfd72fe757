import { ArgumentError, ContainerError, FlockerError } from '../errors.js'
import type { LocalHost, Peer } from '../replication/index.js'
import type { VolumesHost } from '../volumes/index.js'
import { type Engine, openEngine } from './engine.js'
import { changeRoutes, type RouteChange, type WireRoute } from './messages.js'
import type { Failures } from './restart-rules.js'
import type { Routes } from './routes.js'

/** What a host gives to what runs containers on it. */
export interface ContainersSettings {
  /** Whether applications are kept running here. */
  keeps: boolean
  /** The engine's socket. */
  socketPath: string | undefined
  /** The address at which other hosts reach what runs here. */
  address: string | undefined
  routes: Routes
  /** The other hosts of the cluster, as far as they can be reached. */
  peers(signal?: AbortSignal): Promise<Peer[]>
  /** Each of them by its address: connected, or why it can't be. */
  members(signal?: AbortSignal): Promise<Member[]>
  /** One of them, by its identity. */
  reach(identity: string, signal?: AbortSignal): Promise<Peer>
  /** Has the applications looked after at once. */
  nudge(): void
}

/** Another host of the cluster, if it can be reached. */
export type Member = { address: string } & ({ peer: Peer } | { why: Error })

/** This host, as what runs containers on it sees it. */
export class ContainersHost {
  /** Of containers that end soon after they are started, by name. */
  readonly failures = new Map<string, Failures>()
  /** Where clients of what runs here are led, by application; the mark names the run that was found ready. */
  readonly leading = new Map<string, { mark: string; epoch: bigint; run: string; routes: WireRoute[] }>()
  #engine: Promise<Engine> | undefined

  constructor(
    readonly host: VolumesHost,
    private readonly settings: ContainersSettings,
  ) {
    hosts.set(host.claims, this)
  }

  get identity(): string {
    return this.host.identity
  }

  /** Whether this host was given an engine: one without runs nothing. */
  get keeps(): boolean {
    return this.settings.keeps
  }

  get address(): string | undefined {
    return this.settings.address
  }

  get routes(): Routes {
    return this.settings.routes
  }

  /** Has what is left to do for the applications here done in the background. */
  nudge(): void {
    this.settings.nudge()
  }

  /** The other hosts of the cluster, those that can't be reached too. */
  async members(signal?: AbortSignal): Promise<Member[]> {
    return this.settings.members(signal)
  }

  /** The other hosts of the cluster, as far as they can be reached. */
  async peers(signal?: AbortSignal): Promise<Peer[]> {
    return this.settings.peers(signal)
  }

  /** A peer by its identity. @throws TransportError `PEER_UNREACHABLE` */
  async reach(identity: string, signal?: AbortSignal): Promise<Peer> {
    return this.settings.reach(identity, signal)
  }

  /**
   * The engine; asked for when it is first needed, and again after a failure.
   * @throws ContainerError `ENGINE_UNAVAILABLE`, `ENGINE_PERMISSION`, `ENGINE_FAILED`
   */
  async engine(signal?: AbortSignal): Promise<Engine> {
    if (this.#engine !== undefined) return this.#engine
    const opening = openEngine(this.settings.socketPath, { signal })
    this.#engine = opening
    try {
      return await opening
    } catch (error) {
      this.#engine = undefined
      throw error
    }
  }

  /**
   * Changes routes on this host's proxy and those of all other hosts that can be reached.
   * @returns identities of the hosts that were told
   * @throws RoutingError by this host's own proxy; those of others are logged
   */
  async announce(application: string, epoch: bigint, change: RouteChange, signal?: AbortSignal): Promise<string[]> {
    await this.routes.change(application, epoch, change, signal)
    const peers = await this.settings.peers(signal)
    const told = await Promise.all(peers.map((peer) => this.#tell(peer, application, epoch, change, signal)))
    return [this.identity, ...told.filter((identity) => identity !== undefined)]
  }

  async #tell(
    peer: Peer,
    application: string,
    epoch: bigint,
    change: RouteChange,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    try {
      const timeoutMilliseconds = 10_000
      const options = { timeoutMilliseconds, ...(signal === undefined ? {} : { signal }) }
      await peer.connection.request(changeRoutes, { application, epoch, change }, options)
      return peer.identity
    } catch (error) {
      if (!(error instanceof FlockerError)) throw error
      this.host.logger.warn({ err: error, peer: peer.identity, application }, 'a host did not change its routes')
      return undefined
    }
  }
}

/** Each host's process has one set of claims. */
const hosts = new WeakMap<LocalHost['claims'], ContainersHost>()

/** The containers of a host that `openHost()` has made. */
export function containersOf({ claims }: LocalHost): ContainersHost {
  const host = hosts.get(claims)
  if (host === undefined) throw new ArgumentError('This host was not opened by openHost()')
  return host
}

/** What this process claims as long as it does something with an application. */
export const applicationKey = (name: string): string => `application ${name}`

const busyMilliseconds = 60_000

/**
 * One thing at a time is done with an application in this process.
 * @throws ContainerError `APPLICATION_BUSY`
 */
export async function exclusively<T>({ host }: ContainersHost, name: string, run: () => Promise<T>): Promise<T> {
  const release = await host.claims.takeWithin(applicationKey(name), busyMilliseconds)
  if (release === undefined) {
    throw new ContainerError('APPLICATION_BUSY', `Something else is being done with ${name} in this process`)
  }
  try {
    return await run()
  } finally {
    release()
  }
}
