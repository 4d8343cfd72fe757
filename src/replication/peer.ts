import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import { AbortError, abortReason, type NamedPoint, throwIfAborted } from '../errors.js'
import type { Connection } from '../transport/index.js'
import type { Claims } from './claims.js'
import type { Guard } from './guard.js'
import { RemoteDestination } from './remote-destination.js'

/** What this host knows of itself. */
export interface LocalHost {
  identity: string
  /** The dataset below which volumes live, such as `tank/flocker`. */
  root: string
  claims: Claims
  logger: Logger
  /** Who owns what; without one, nobody owns anything. */
  guard?: Guard | undefined
}

/** How to connect again. */
export interface ReconnectOptions {
  signal?: AbortSignal
}

/** Another host of the cluster, connected and authenticated. Made by `host.connect()`. */
export class Peer implements AsyncDisposable {
  /** The name in its certificate. */
  readonly identity: string
  #connection: Connection
  #dialling: Promise<void> | undefined
  readonly #stop = new AbortController()

  /**
   * @internal
   * @param dial connects anew, to the same identity only
   */
  constructor(
    connection: Connection,
    /** @internal This host, as it sees itself. */
    readonly host: LocalHost,
    private readonly dial: (signal: AbortSignal) => Promise<Connection>,
  ) {
    this.#connection = connection
    this.identity = connection.identity
  }

  /** @internal The present one. */
  get connection(): Connection {
    return this.#connection
  }

  /** Whether the present connection is in order, as far as is known. */
  get isOpen(): boolean {
    return this.#connection.isOpen
  }

  /**
   * Resolves when the present connection has ended: with the error that ended it, or with nothing where either end closed it in
   * order.
   */
  get closed(): Promise<Error | undefined> {
    return this.#connection.closed
  }

  /**
   * Connects to the same address again, if the connection has ended; all that use this peer go on over the new one. Who answers
   * there must have the same identity as before.
   *
   * @throws TransportError `PEER_UNREACHABLE`, `TLS_FAILED` (also for another identity), `VERSION`; AbortError `ABORTED`, also after
   *   {@link close}; TimeoutError `TIMEOUT`
   */
  async reconnect({ signal }: ReconnectOptions = {}): Promise<void> {
    const what = `Connecting to ${this.identity} again`
    throwIfAborted(signal, what)
    this.#checkOpen()
    if (this.#connection.isOpen) return
    this.#dialling ??= this.#redial().finally(() => {
      this.#dialling = undefined
    })
    await orAborted(this.#dialling, signal, what)
  }

  /**
   * Gives a diverged replica of this host's on the peer another name, so that its own is free. Needs the right `receive`.
   * @returns its full name there
   * @throws ZfsError `NOT_FOUND`, `BUSY` (it is mounted and in use); NotAuthorizedError
   */
  async preserveReplica(volume: string): Promise<string> {
    return new RemoteDestination(this, randomUUID()).preserve(volume)
  }

  /**
   * Rolls a replica on the peer back: destroys the snapshots and bookmarks that are newer than `to`, and what was written since. Needs the
   * right `rollback`. A {@link DivergedError} has both arguments: `common` and `losing`.
   *
   * @param losing all newer snapshots; where there are others by now, nothing is done
   * @throws ReplicationError `REPLICA_CHANGED`; ZfsError `NOT_FOUND`, `BUSY`, `HAS_DEPENDENTS`; NotAuthorizedError
   */
  async rollbackReplica(volume: string, to: NamedPoint, losing: readonly NamedPoint[]): Promise<void> {
    const guids = losing.map(({ guid }) => guid)
    await new RemoteDestination(this, randomUUID()).rollback(volume, to.guid, guids)
  }

  /** Ends the connection, and with it what is under way on it. */
  async close(): Promise<void> {
    this.#stop.abort()
    await Promise.allSettled([this.#dialling])
    await this.#connection.close()
  }

  /** As {@link close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #redial(): Promise<void> {
    const connection = await this.dial(this.#stop.signal)
    if (this.#stop.signal.aborted) await connection.close()
    this.#checkOpen()
    this.#connection = connection
  }

  #checkOpen(): void {
    if (this.#stop.signal.aborted) throw new AbortError(`The connection with ${this.identity} was closed by this host`)
  }
}

/** Waits for what others wait for too: the signal ends the waiting only. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined, what: string): Promise<T> {
  if (signal === undefined) return promise
  const done = new AbortController()
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(abortReason(signal, what)), { once: true, signal: done.signal })
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    done.abort()
  }
}
