import { type Logger, pino } from 'pino'
import { ArgumentError, type NamedPoint, ZfsError } from './errors.js'
import { chooseEngine, closePool, defaultEngine, openPool, version } from './lzc/index.js'
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
  checkRules,
  connect,
  listen,
  loadCredentials,
  type Rule,
  type Server,
} from './transport/index.js'
import { type CreateVolumeOptions, checkRoot, createVolume, openVolume, type Volume } from './volumes/index.js'

/** The TCP port that agents listen on unless told otherwise. */
export const defaultPort = 4523

/** The pool of an embedded host that names none. */
const embeddedPool = 'embedded'
/** The pool's file is sparse: it takes what is in it. So no stream is too large for it that fits on the disk below. */
const embeddedBytes = 1024n ** 4n

/** What {@link openHost} needs: where volumes live, and who this host is. */
export interface HostOptions {
  /**
   * A directory for a pool in a file, used by OpenZFS in this process: no kernel module, no root. Made where it is missing; the
   * pool is `embedded` (in `embedded.zpool`) unless `pool` or `root` names another. Volumes are block volumes. docs/embedded.md
   * With FLOCKER_ZFS_ENGINE=embedded it is FLOCKER_ZFS_DIRECTORY, or `./data`, if not given; a pool that the program has open is used.
   */
  embedded?: string
  /** The pool in which volumes live, below `POOL/flocker`. Give this or `root`. */
  pool?: string
  /** The dataset below which volumes live, such as `tank/data`. */
  root?: string
  /** A directory with ca.pem, host.pem and host.key (`flocker-zfs certs`), or their contents. */
  credentials: string | Credentials
  /** Where to log; silent by default. */
  logger?: Logger
}

/** Where {@link Host.listen} serves, and whom. */
export interface ListenOptions {
  /** Default: 4523; 0 for any free one. */
  port?: number
  /** Address to listen on. Default: all. */
  address?: string
  /** Who may do what with which datasets of this host; nobody may do anything by default. */
  authorize: readonly Rule[]
}

/** How {@link Host.connect} dials a peer. */
export interface ConnectOptions {
  signal?: AbortSignal
  /** For the connection, TLS and the hello together. Default: 10 seconds. */
  timeoutMilliseconds?: number
  /** Accept only this identity, in place of one that names the address dialled. */
  expectIdentity?: string
}

/** This machine as a member of a cluster: its volumes, the peers it dials, the peers it serves. Made by {@link openHost}. */
export class Host implements AsyncDisposable {
  readonly #claims = new Claims()
  readonly #servers = new Set<Server>()
  readonly #peers = new Set<Peer>()
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
  ) {}

  /** @internal This host, as what replicates sees it. */
  get local(): LocalHost {
    const { identity, root, logger } = this
    return { identity, root, logger, claims: this.#claims }
  }

  /** The name in this host's certificate. */
  get identity(): string {
    return this.credentials.identity
  }

  /**
   * Creates a volume `ROOT/name` and mounts it at `/flocker/name` (for the default root), or with `size` a block volume.
   * @throws ZfsError `EXISTS`, ArgumentError `INVALID_ARGUMENT`, NotSupportedError: an embedded host has block volumes only
   */
  async createVolume(name: string, options?: CreateVolumeOptions): Promise<Volume> {
    return createVolume(this.root, name, options)
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
   * Connects to a peer's agent over mutual TLS.
   *
   * @param address `HOST` or `HOST:PORT`, `[IPV6]:PORT`; the default port is 4523
   * @throws TransportError `PEER_UNREACHABLE`, `TLS_FAILED`, `VERSION`; TimeoutError `TIMEOUT`; AbortError `ABORTED`
   */
  async connect(address: string, options: ConnectOptions = {}): Promise<Peer> {
    const { host, port } = parseAddress(address)
    const { credentials, logger } = this
    const target = { host, port, credentials, hello: this.#hello(), logger, ...options }
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

  /**
   * Serves peers: what each may do is said by `authorize`.
   * @returns the server; closing the host closes it too
   * @throws ArgumentError `INVALID_ARGUMENT` for a rule that could never match
   */
  async listen(options: ListenOptions): Promise<Server> {
    const { credentials, logger } = this
    checkRules(options.authorize)
    const server = await listen({
      port: options.port ?? defaultPort,
      ...(options.address === undefined ? {} : { host: options.address }),
      credentials,
      hello: this.#hello(),
      handlers: serve({ ...this.local, rules: options.authorize }),
      logger,
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
    const servers = [...this.#servers].map((server) => server.close())
    const peers = [...this.#peers].map((peer) => peer.close())
    await Promise.all([...servers, ...peers])
    await this.#claims.settled()
    if (this.#closed) return
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
  const loaded = typeof credentials === 'string' ? await loadCredentials(credentials) : credentials
  chooseEngine(embedded === undefined ? defaultEngine() : 'embedded')
  const { module } = await version()
  const pool = poolOf(root)
  const opened = embedded !== undefined && (await openEmbedded(embedded, pool, options.embedded === undefined))
  const close = async (): Promise<void> => (opened ? closePool(pool) : undefined)
  return new Host(root, loaded, module, options.logger ?? pino({ enabled: false }), close)
}

/** Where a program that FLOCKER_ZFS_ENGINE gives the embedded engine, and that says no directory, keeps its pools. */
function defaultDirectory(): string | undefined {
  return defaultEngine() === 'embedded' ? (process.env.FLOCKER_ZFS_DIRECTORY ?? './data') : undefined
}

/** Opens a pool; false where the program has one of that name open, from wherever it is, and does not say where it should be. */
async function openEmbedded(directory: string, pool: string, byDefault: boolean): Promise<boolean> {
  try {
    await openPool(directory, pool, { size: embeddedBytes })
    return true
  } catch (error) {
    if (byDefault && error instanceof ZfsError && error.code === 'EXISTS') return false
    throw error
  }
}

function poolOf(root: string): string {
  return root.split('/', 1)[0] ?? root
}

function chooseRoot({ embedded, pool, root }: HostOptions): string {
  if (pool !== undefined && root !== undefined) throw new ArgumentError('Give either pool or root')
  if (pool === undefined && root === undefined && embedded === undefined) {
    throw new ArgumentError('Give either pool or root, or embedded')
  }
  const chosen = root ?? `${pool ?? embeddedPool}/flocker`
  checkRoot(chosen)
  return chosen
}

function parseAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]/\s]+))(?::(\d{1,5}))?$/.exec(address)
  const port = match?.[3] === undefined ? defaultPort : Number(match[3])
  const host = match?.[1] ?? match?.[2]
  if (host === undefined || port < 1 || port > 65535) {
    throw new ArgumentError(`${JSON.stringify(address)} is not an address: HOST, HOST:PORT or [IPV6]:PORT`)
  }
  return { host, port }
}
