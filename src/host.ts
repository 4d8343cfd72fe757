import { type Logger, pino } from 'pino'
import {
  type Application,
  type ClusterDescription,
  type ContainerInfo,
  ContainersHost,
  type DeployOptions,
  type DeployResult,
  deploy,
  type EngineCall,
  inspectContainer,
  keepApplications,
  learnRoutes,
  listContainers,
  type Member,
  Routes,
  removeContainer,
  type StartContainerOptions,
  type StopContainerOptions,
  Supervisor,
  serveContainers,
  startContainer,
  stopContainer,
  type Unkept,
  type WaitReadyOptions,
  waitReady,
} from './containers/index.js'
import { type NamedPoint, TransportError } from './errors.js'
import { type ConnectOptions, defaultPort, type HostOptions, type ListenOptions, parseAddress } from './host-options.js'
import { chooseEngine, closePool, defaultEngine, version } from './lzc/index.js'
import { chooseRoot, defaultDirectory, openEmbedded, poolOf } from './open-pool.js'
import { type Recovery, startRecovery } from './recovery.js'
import {
  Claims,
  LocalDestination,
  type LocalHost,
  Peer,
  type Pruned,
  type PruneOptions,
  prune,
  type Removal,
  type RemoveStaleOptions,
  type RetentionPolicy,
  readStatus,
  readStatuses,
  removeStale,
  type StatusOptions,
  serve,
  type VolumeStatus,
} from './replication/index.js'
import {
  type Connection,
  type Credentials,
  certifiedAddress,
  checkPlane,
  checkRules,
  connect,
  listen,
  loadCredentials,
  type Server,
} from './transport/index.js'
import {
  acquireLease,
  type CloneVolumeOptions,
  type CreateVolumeOptions,
  cloneVolume,
  createVolume,
  type DestroyVolumeOptions,
  datasetOf,
  describePromotion,
  destroyVolume,
  inspectVolume,
  type Lease,
  type LeaseOptions,
  listVolumes,
  onVolumeEvent,
  openVolume,
  type Promoted,
  type PromoteOptions,
  type Promotion,
  promoteHere,
  recover,
  releaseLease,
  renewLease,
  resizeVolume,
  type Size,
  serveUnconfirmed,
  serveVolumes,
  settleHere,
  type Unsettled,
  type Volume,
  VolumeGuard,
  type VolumeInfo,
  type VolumesHost,
} from './volumes/index.js'

export { type ConnectOptions, defaultPort, type HostOptions, type ListenOptions } from './host-options.js'

/** This machine as a member of a cluster: its volumes, the peers it dials, the peers it serves. Made by {@link openHost}. */
export class Host implements AsyncDisposable {
  readonly #claims = new Claims()
  readonly #servers = new Set<Server>()
  readonly #peers = new Set<Peer>()
  /** Of those that this host has connected to by itself, by address. */
  readonly #at = new Map<string, Peer>()
  readonly #guard: VolumeGuard
  readonly #containers: ContainersHost
  #recovery: Recovery | undefined
  #supervisor: Supervisor | undefined
  readonly #ends: (() => void)[] = []
  #closed = false

  /** @internal */
  constructor(
    /** The dataset below which volumes live. */
    readonly root: string,
    private readonly credentials: Credentials,
    /** OpenZFS version of the loaded kernel module. */
    readonly zfsVersion: string,
    private readonly logger: Logger,
    private readonly closePool: () => Promise<void>,
    private readonly peerAddresses: readonly string[],
    private readonly options: Pick<HostOptions, 'registry' | 'engine' | 'router' | 'address' | 'dataPlane'>,
  ) {
    const { identity } = credentials
    const { registry, engine, router, address = certifiedAddress(credentials) } = options
    const host: VolumesHost = { identity, root, logger, claims: this.#claims, registry }
    this.#guard = new VolumeGuard(host)
    host.guard = this.#guard
    this.#containers = new ContainersHost(host, {
      keeps: engine !== undefined,
      socketPath: typeof engine === 'string' ? engine : undefined,
      address,
      routes: new Routes(router, logger),
      peers: (signal) => this.#reachAll(signal),
      members: (signal) => this.#members(signal),
      reach: (identity, signal) => this.#reach(identity, signal),
      nudge: () => this.#supervisor?.nudge(),
    })
  }

  /** @internal This host, as what replicates sees it. */
  get local(): LocalHost {
    return this.#guard.host
  }

  /** @internal Settles what a crash has left, and goes on with what needs other hosts. */
  async startRecovery(): Promise<void> {
    const unsettled = await settleHere(this.#guard.host)
    for (const { volume, why } of unsettled) this.logger.warn({ volume, err: why }, 'not settled yet')
    this.#recovery = startRecovery((signal) => this.recover({ signal }), this.logger, unsettled.length > 0)
    if (this.options.router !== undefined) this.#learnRoutes()
    if (this.options.engine === undefined) return
    const supervisor = new Supervisor(this.#containers)
    const unsubscribe = onVolumeEvent(({ dataset, step, at }) => {
      if (at === 'end' && (step === 'serve' || step === 'cutOff') && dataset.startsWith(`${this.root}/`))
        supervisor.nudge()
    })
    this.#supervisor = supervisor
    this.#ends.push(unsubscribe)
  }

  /** In the background: clients of what runs elsewhere are led there as soon as those hosts have said so. */
  #learnRoutes(): void {
    const stop = new AbortController()
    this.#ends.push(() => stop.abort())
    learnRoutes(this.#containers, stop.signal).catch((error) => {
      if (!stop.signal.aborted) this.logger.error({ err: error }, 'the other hosts were not asked for routes')
    })
  }

  /** The name in this host's certificate. */
  get identity(): string {
    return this.credentials.identity
  }

  /**
   * Creates a volume `ROOT/name` that this host owns, and mounts it at `/flocker/name` (for the default root), or with `size` a block
   * volume.
   * @throws ZfsError `EXISTS`, ArgumentError `INVALID_ARGUMENT`, NotSupportedError: an embedded host has block volumes only
   */
  async createVolume(name: string, options?: CreateVolumeOptions): Promise<Volume> {
    return createVolume(this.#guard.host, name, options)
  }

  /** All volumes here, this host's own and its replicas of others', by name. Datasets that are no volumes are left out. */
  async listVolumes(): Promise<VolumeInfo[]> {
    return listVolumes(this.#guard.host)
  }

  /**
   * What this host knows of a volume.
   * @throws ZfsError `NOT_FOUND`, also where `ROOT/name` is no volume
   */
  async inspectVolume(name: string): Promise<VolumeInfo> {
    return inspectVolume(this.#guard.host, name)
  }

  /**
   * Changes how much a volume may hold: a filesystem's `refquota`, a block volume's size.
   * @param size bytes, or such as `20 GiB`; `undefined` takes a filesystem's limit away
   * @param options.shrink whether a block volume may become smaller, which cuts its end off
   * @throws OwnershipError `NOT_OWNER`; ZfsError `NO_SPACE`: it holds more; ArgumentError `INVALID_ARGUMENT`
   */
  async resizeVolume(name: string, size: Size | undefined, options?: { shrink?: boolean }): Promise<void> {
    await resizeVolume(this.#guard.host, name, size, options)
  }

  /**
   * Makes a new volume of this host's out of another's data, without copying it; also out of a replica's, if the snapshot is named.
   * @throws OwnershipError `NOT_OWNER`; ZfsError `EXISTS`, `NOT_FOUND`
   */
  async cloneVolume(name: string, newName: string, options?: CloneVolumeOptions): Promise<Volume> {
    return cloneVolume(this.#guard.host, name, newName, options)
  }

  /**
   * Destroys a volume on this host, with its snapshots. What has a lease, a hold, a clone, or a dataset below it, stays.
   * @throws OwnershipError `LEASED`, `NOT_OWNER`, `HANDOFF_UNDER_WAY`; ZfsError `BUSY`: it is held or in use, `HAS_DEPENDENTS`
   */
  async destroyVolume(name: string, options?: DestroyVolumeOptions): Promise<void> {
    await destroyVolume(this.#guard.host, name, options)
  }

  /**
   * Acquires a lease on a volume of this host's: while somebody has one, the volume is neither handed over nor destroyed. A holder that has
   * one already gets it anew, with a greater token.
   * @param holder who it is; any text
   * @throws OwnershipError `LEASED`: somebody else has it, `NOT_OWNER`, `HANDOFF_UNDER_WAY`
   */
  async acquireLease(volume: string, holder: string, options: LeaseOptions = {}): Promise<Lease> {
    return acquireLease(this.#guard.host, volume, holder, options)
  }

  /**
   * Makes a lease last from now on, as {@link acquireLease} would. Only with its token.
   * @throws OwnershipError `LEASE_LOST`
   */
  async renewLease(lease: Pick<Lease, 'volume' | 'token'>, options: LeaseOptions = {}): Promise<Lease> {
    return renewLease(this.#guard.host, lease, options)
  }

  /**
   * Gives a lease back. Only with its token.
   * @throws OwnershipError `LEASE_LOST`
   */
  async releaseLease(lease: Pick<Lease, 'volume' | 'token'>): Promise<void> {
    await releaseLease(this.#guard.host, lease)
  }

  /**
   * Tells what {@link promoteVolume} would lose, and changes nothing.
   * @throws ZfsError `NOT_FOUND`; OwnershipError `OWNED_HERE`, `HANDOFF_INCOMPLETE`: the replica has no snapshot yet
   */
  async describePromotion(volume: string): Promise<Promotion> {
    return describePromotion(this.#guard.host, datasetOf(this.#guard.host, volume))
  }

  /**
   * Makes this host the owner of a volume that it has a replica of, the owner being gone: what was written after the newest snapshot here is
   * lost to it. An owner that comes back keeps that under another name, and has a replica.
   *
   * @throws OwnershipError `FENCE_REFUSED`, and as {@link describePromotion}; whatever `fence` throws
   * @throws ZfsError `KEY_NOT_LOADED`, `NOT_MOUNTABLE`: it owns the volume, and can't serve it yet
   */
  async promoteVolume(volume: string, options: PromoteOptions): Promise<Promoted> {
    const { host } = this.#guard
    return promoteHere(host, datasetOf(host, volume), options)
  }

  /**
   * Serves a volume that this host owns by its own record, and that was not served since this machine was started: without
   * asking the hosts that could have been promoted meanwhile, if `unconfirmed` says so.
   * @throws OwnershipError `NOT_OWNER`, `OWNER_UNCONFIRMED`
   */
  async serveVolume(volume: string, { unconfirmed = false }: { unconfirmed?: boolean } = {}): Promise<void> {
    const { host } = this.#guard
    if (unconfirmed) return serveUnconfirmed(host, datasetOf(host, volume))
    const left = await this.recover()
    const [mine] = left.filter((each) => each.volume === volume)
    if (mine !== undefined) throw mine.why
  }

  /**
   * Brings every volume to where it belongs after a crash: serves those that this host owns, once the hosts that may have been
   * promoted say that they were not; ends handoffs with the other host; makes replicas of what others own by now. Done once by
   * {@link openHost}, and then again in the background for what is left.
   * @returns what is left, and why
   */
  async recover({ signal }: { signal?: AbortSignal } = {}): Promise<Unsettled[]> {
    return recover(this.#guard.host, (identity) => this.#reach(identity, signal), signal)
  }

  /**
   * Finds the volume `ROOT/name`.
   * @throws ZfsError `NOT_FOUND`
   */
  async getVolume(name: string): Promise<Volume> {
    return openVolume(this.root, name)
  }

  /**
   * Gives a diverged replica on this host another name, so that its own is free for a pull.
   * @returns its full name
   * @throws ZfsError `NOT_FOUND`, `BUSY`
   */
  async preserveReplica(volume: string): Promise<string> {
    return new LocalDestination(this.local).preserve(volume)
  }

  /**
   * Rolls a replica on this host back: destroys the snapshots and bookmarks that are newer than `to`, and what was written since.
   * @param losing all newer snapshots; where there are others by now, nothing is done
   * @throws ReplicationError `REPLICA_CHANGED`; ZfsError `NOT_FOUND`, `BUSY`, `HAS_DEPENDENTS`
   */
  async rollbackReplica(volume: string, to: NamedPoint, losing: readonly NamedPoint[]): Promise<void> {
    const guids = losing.map(({ guid }) => guid)
    await new LocalDestination(this.local).rollback(volume, to.guid, guids)
  }

  /**
   * Tells how replication of a volume stands on this host: what each peer has and how far it is behind, what came from whom, and
   * what is stale. With `peer` that one is asked too. Changes nothing. docs/operation.md
   * @throws ZfsError `NOT_FOUND`; with a peer also NotAuthorizedError, TransportError and others
   */
  async status(volume: string, options?: StatusOptions): Promise<VolumeStatus> {
    return readStatus(this.local, volume, options)
  }

  /** As {@link status}, of all volumes that have been replicated from here or to here. */
  async statuses(options?: Omit<StatusOptions, 'peer'>): Promise<VolumeStatus[]> {
    return readStatuses(this.local, options)
  }

  /**
   * Removes what replications of a volume have left on this host and none will use again: what {@link status} calls stale. What a
   * peer may go on with, and what others hold, is never touched.
   * @param options.dryRun only say what would be removed
   * @returns each with whether it was removed, or why not
   * @throws ZfsError `NOT_FOUND`; with a peer also what asking it can end with
   */
  async removeStale(volume: string, options: RemoveStaleOptions = {}): Promise<Removal[]> {
    return removeStale(this.local, volume, options)
  }

  /**
   * Destroys the snapshots of a volume on this host, a source or a replica, that the policy does not keep. What has a hold or a
   * clone, waits for a confirmation, or is the base of a peer's next stream stays, whatever the policy says. All in one transaction.
   * @throws ZfsError `NOT_FOUND`; `BUSY`, `HAS_DEPENDENTS`: one is in use by now, and nothing was destroyed
   * @throws ArgumentError `INVALID_ARGUMENT`
   */
  async prune(volume: string, policy: RetentionPolicy, options?: PruneOptions): Promise<Pruned> {
    return prune(this.local, volume, policy, options)
  }

  /**
   * Starts an application on this host, which must own and serve its volumes. One that runs as described is left alone. It is kept running
   * from then on, wherever its volume is. docs/containers.md
   * @throws ArgumentError; OwnershipError `NOT_OWNER`, `IN_USE`, `HANDOFF_UNDER_WAY`, `OWNER_UNCONFIRMED`
   * @throws ContainerError `IMAGE_MISSING`, `NAME_TAKEN`, `CONTAINER_DIFFERS`, `PORT_IN_USE`, `ENGINE_UNAVAILABLE`, `ENGINE_PERMISSION`,
   *   `ENGINE_FAILED`: nothing is left of it
   */
  async startContainer(application: Application, options?: StartContainerOptions): Promise<ContainerInfo> {
    return startContainer(this.#containers, application, options)
  }

  /**
   * Stops an application of this host's, and waits until it has: it is killed after its `stopSeconds`. It stays stopped, also on a host that
   * its volume moves to. One that is stopped, or is not there, is left alone.
   * @returns its container, if there is one
   * @throws ContainerError `NAME_TAKEN`, and those of the engine
   */
  async stopContainer(name: string, options?: StopContainerOptions): Promise<ContainerInfo | undefined> {
    return stopContainer(this.#containers, name, options)
  }

  /**
   * Removes an application from this host: its container, and what its volume's record says of it. The volume stays, with its data.
   * @param options.stop stop it first; by default one that runs is an error
   * @throws ContainerError `CONTAINER_RUNNING`, `NAME_TAKEN`, and those of the engine
   */
  async removeContainer(name: string, options?: StopContainerOptions & { stop?: boolean }): Promise<void> {
    await removeContainer(this.#containers, name, options)
  }

  /**
   * What the engine knows of an application's container on this host.
   * @throws ContainerError `CONTAINER_UNKNOWN`, `NAME_TAKEN`, and those of the engine
   */
  async inspectContainer(name: string, call?: EngineCall): Promise<ContainerInfo> {
    return inspectContainer(this.#containers, name, call)
  }

  /** All containers of this host's applications, those that have ended too, by name. Other containers are left out. */
  async listContainers(call?: EngineCall): Promise<ContainerInfo[]> {
    return listContainers(this.#containers, call)
  }

  /**
   * Waits until an application of this host's runs, and its health probe says that it is ready.
   * @throws ContainerError `NOT_READY`: it ended, or was not ready in time; `CONTAINER_UNKNOWN`; AbortError `ABORTED`
   */
  async waitReady(name: string, options?: WaitReadyOptions): Promise<ContainerInfo> {
    return waitReady(await this.#containers.engine(options?.signal), this.identity, name, options)
  }

  /**
   * Has a cluster be as it is described, and leaves alone what is so already: asks this host and all of `peers` what they have, plans, and
   * carries the plan out, phase by phase. What depends on a host that can't be asked is not done: it may have the volume, or run the
   * application. `peers` must have all hosts of the cluster; each must allow this one `run` on its root with all below (`ROOT/**`), and
   * `own` where volumes are made or resized. May be done again. docs/deploy.md
   *
   * @param cluster by {@link readCompose}, or an object
   * @returns also where something failed or is blocked: see `converged`
   * @throws ArgumentError `INVALID_ARGUMENT`; AbortError `ABORTED`: what was begun has ended
   */
  async deploy(cluster: ClusterDescription, options?: DeployOptions): Promise<DeployResult> {
    return deploy(this.#containers, cluster, options)
  }

  /**
   * Starts what is to run on the volumes that this host serves, and stops what runs on those that it does not own any more. With
   * `engine` it is done in the background.
   * @returns what is left, and why
   */
  async keepApplications({ signal }: { signal?: AbortSignal } = {}): Promise<Unkept[]> {
    return keepApplications(this.#containers, signal)
  }

  /**
   * Connects to a peer's agent over mutual TLS.
   *
   * @param address `HOST` or `HOST:PORT`, `[IPV6]:PORT`; the default port is 4523
   * @throws TransportError `PEER_UNREACHABLE`, `TLS_FAILED`, `VERSION`; TimeoutError `TIMEOUT`; AbortError `ABORTED`
   */
  async connect(address: string, options: ConnectOptions = {}): Promise<Peer> {
    const { host, port } = parseAddress(address)
    const { credentials, logger } = this
    const target = { host, port, credentials, hello: this.#hello(), logger, ...this.#plane(), ...options }
    const connection = await connect(target)
    const { signal: _, ...again } = { ...target, expectIdentity: connection.identity }
    const peer: Peer = new Peer(connection, this.local, async (signal) => {
      this.#peers.add(peer)
      try {
        return this.#forget(peer, await connect({ ...again, signal }))
      } catch (error) {
        this.#peers.delete(peer)
        throw error
      }
    })
    this.#peers.add(peer)
    this.#forget(peer, connection)
    return peer
  }

  #plane(): Pick<HostOptions, 'dataPlane'> {
    const { dataPlane } = this.options
    return dataPlane === undefined ? {} : { dataPlane }
  }

  /**
   * Serves peers: what each may do is said by `authorize`.
   * @returns the server; closing the host closes it too
   * @throws ArgumentError `INVALID_ARGUMENT` for a rule that could never match, or a property that none can let in
   */
  async listen(options: ListenOptions): Promise<Server> {
    const { credentials, logger } = this
    checkRules(options.authorize)
    const server = await listen({
      port: options.port ?? defaultPort,
      ...(options.address === undefined ? {} : { host: options.address }),
      credentials,
      hello: this.#hello(),
      handlers: [
        ...serve({ ...this.local, rules: options.authorize }),
        ...serveVolumes({ ...this.local, rules: options.authorize }, this.#guard),
        ...serveContainers({ ...this.local, rules: options.authorize }, this.#containers),
      ],
      logger,
      ...this.#plane(),
    })
    this.#servers.add(server)
    return server
  }

  /**
   * Closes every connection, waits until the transfers they carried have let go of their datasets, and closes the pool of an
   * embedded host.
   * @throws ZfsError `BUSY`: something of yours is still using that pool
   */
  async close(): Promise<void> {
    for (const end of this.#ends) end()
    await Promise.all([this.#recovery?.stop(), this.#supervisor?.stop()])
    const servers = [...this.#servers].map((server) => server.close())
    const peers = [...this.#peers].map((peer) => peer.close())
    await Promise.all([...servers, ...peers])
    await this.#claims.settled()
    if (this.#closed) return
    await this.options.router?.close()
    await this.closePool()
    this.#closed = true
  }

  /** As {@link close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Lets go of a peer once its connection has ended. */
  #forget(peer: Peer, connection: Connection): Connection {
    void connection.closed.then(() => this.#peers.delete(peer))
    return connection
  }

  /** A peer by its identity: one that is connected, or one of `peers`. */
  async #reach(identity: string, signal: AbortSignal | undefined): Promise<Peer> {
    const connected = [...this.#peers].find((peer) => peer.identity === identity && peer.isOpen)
    if (connected !== undefined) return connected
    const failures: unknown[] = []
    const found: string[] = []
    for (const address of this.peerAddresses) {
      try {
        const peer = await this.connect(address, signal === undefined ? {} : { signal })
        if (peer.identity === identity) return peer
        found.push(`${address} is ${peer.identity}`)
        await peer.close()
      } catch (error) {
        failures.push(error)
        found.push(`${address}: ${(error as Error).message.split('\n', 1)[0]}`)
      }
    }
    const cause = failures.length > 1 ? new AggregateError(failures) : failures[0]
    const what = `${identity} is at none of the addresses that ${this.identity} was given`
    // A cause stays on the host where it happened: whoever asked from another one has the message alone.
    throw new TransportError('PEER_UNREACHABLE', found.length === 0 ? what : `${what} (${found.join('; ')})`, {
      peer: identity,
      cause,
      next: "Give openHost() the addresses of the cluster's hosts: { peers: [...] }.",
    })
  }

  /** The other hosts of the cluster, as far as they answer within a moment. */
  async #reachAll(signal: AbortSignal | undefined): Promise<Peer[]> {
    const reached = await Promise.all(this.peerAddresses.map((address) => this.#reachAt(address, signal)))
    const peers = [...reached.filter((peer) => peer !== undefined), ...this.#peers].filter((peer) => peer.isOpen)
    return [...new Map(peers.map((peer) => [peer.identity, peer])).values()]
  }

  async #reachAt(address: string, signal: AbortSignal | undefined): Promise<Peer | undefined> {
    try {
      return await this.#dial(address, 3000, signal)
    } catch (error) {
      if (signal?.aborted) throw error
      this.logger.debug({ err: error, address }, 'a host can not be reached')
      return undefined
    }
  }

  async #members(signal: AbortSignal | undefined): Promise<Member[]> {
    const connected = [...this.#peers].filter((peer) => peer.isOpen)
    const dialled = await Promise.all(
      this.peerAddresses.map(async (address) => {
        try {
          return { address, peer: await this.#dial(address, 10_000, signal) }
        } catch (error) {
          if (signal?.aborted) throw error
          return { address, why: error instanceof Error ? error : new Error(String(error)) }
        }
      }),
    )
    return [...connected.map((peer) => ({ address: peer.identity, peer })), ...dialled]
  }

  async #dial(address: string, timeoutMilliseconds: number, signal: AbortSignal | undefined): Promise<Peer> {
    const known = this.#at.get(address)
    if (known?.isOpen) return known
    const peer = await this.connect(address, { timeoutMilliseconds, ...(signal === undefined ? {} : { signal }) })
    this.#at.set(address, peer)
    return peer
  }

  #hello(): { zfs: string } {
    return { zfs: this.zfsVersion }
  }
}

/**
 * Opens this machine's ZFS, or with `embedded` a pool in a file, and credentials.
 *
 * @throws AddonError `ZFS_UNAVAILABLE`, `ZFS_LIBRARY_MISSING`, `ZFS_PERMISSION`: says what to install or to load
 * @throws AddonError `EMBEDDED_MISSING`: says how to build it; ZfsError `POOL_IN_USE`: another process has that pool open
 * @throws ArgumentError `INVALID_ARGUMENT`: neither or both of `pool` and `root`, credentials that don't fit together, or
 *   an embedded host in a process that uses the kernel's OpenZFS, or the reverse
 */
export async function openHost(options: HostOptions): Promise<Host> {
  const { credentials, embedded = defaultDirectory() } = options
  const root = chooseRoot({ ...options, ...(embedded === undefined ? {} : { embedded }) })
  const { logger = pino({ enabled: false }), peers = [], recovery = 'background' } = options
  if (options.dataPlane !== undefined) checkPlane(options.dataPlane, logger)
  const loaded = typeof credentials === 'string' ? await loadCredentials(credentials) : credentials
  chooseEngine(embedded === undefined ? defaultEngine() : 'embedded')
  const { module } = await version()
  const pool = poolOf(root)
  const opened = embedded !== undefined && (await openEmbedded(embedded, pool, options.embedded === undefined))
  const close = async (): Promise<void> => (opened ? closePool(pool) : undefined)
  for (const address of peers) parseAddress(address)
  const host = new Host(root, loaded, module, logger, close, peers, options)
  try {
    if (recovery === 'background') await host.startRecovery()
    return host
  } catch (error) {
    await host.close()
    throw error
  }
}
