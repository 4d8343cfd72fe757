import type { Logger } from 'pino'
import type { Connection } from '../transport/index.js'
import type { Claims } from './claims.js'

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

  async close(): Promise<void> {
    await this.connection.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
