import type { Logger } from 'pino'
import type { NamedPoint } from '../errors.js'
import type { Connection } from '../transport/index.js'
import type { Claims } from './claims.js'
import { RemoteDestination } from './remote-destination.js'

/** What this host knows of itself. */
export interface LocalHost {
  identity: string
  /** The dataset below which volumes live, such as `tank/flocker`. */
  root: string
  claims: Claims
  logger: Logger
}

/** Another host of the cluster, connected and authenticated. Made by `host.connect()`. */
export class Peer implements AsyncDisposable {
  /** @internal */
  constructor(
    /** @internal */
    readonly connection: Connection,
    /** @internal This host, as it sees itself. */
    readonly host: LocalHost,
  ) {}

  /** The name in its certificate. */
  get identity(): string {
    return this.connection.identity
  }

  /** Resolves when the connection has ended: with the error that ended it, or with nothing after {@link close}. */
  get closed(): Promise<Error | undefined> {
    return this.connection.closed
  }

  /**
   * Gives a diverged replica of this host's on the peer another name, so that its own is free. Needs the right `receive`.
   * @returns its full name there
   * @throws ZfsError `NOT_FOUND`, `BUSY` (it is mounted and in use); NotAuthorizedError
   */
  async preserveReplica(volume: string): Promise<string> {
    return new RemoteDestination(this).preserve(volume)
  }

  /**
   * Rolls a replica on the peer back: destroys the snapshots that are newer than `to`, and what was written since. Needs the
   * right `rollback`. A {@link DivergedError} has both arguments: `common` and `losing`.
   *
   * @param losing all newer snapshots; where there are others by now, nothing is done
   * @throws ReplicationError `REPLICA_CHANGED`; ZfsError `NOT_FOUND`, `BUSY`, `HAS_DEPENDENTS`; NotAuthorizedError
   */
  async rollbackReplica(volume: string, to: NamedPoint, losing: readonly NamedPoint[]): Promise<void> {
    const guids = losing.map(({ guid }) => guid)
    await new RemoteDestination(this).rollback(volume, to.guid, guids)
  }

  /** Ends the connection, and with it what is under way on it. */
  async close(): Promise<void> {
    await this.connection.close()
  }

  /** As {@link close}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
