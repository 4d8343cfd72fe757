import type { Host } from '../host.js'

/** A PostgreSQL server as seen from a lab host that was opened with `engines: true`. */
export interface Server {
  /** Default: the host itself. */
  address?: string
  /** Default 5432. */
  port?: number
  password?: string
}

/**
 * Waits until the server takes connections.
 * @throws TimeoutError
 */
export async function waitForPostgres(host: Host, server: Server = {}, timeoutMilliseconds = 90_000): Promise<void> {
  const loop = 'until pg_isready -q -h "$1" -p "$2" -U postgres; do sleep .1; done'
  await host.run(['sh', '-c', loop, 'sh', ...target(server)], { timeoutMilliseconds })
}

/** Runs SQL as `postgres` and returns what `psql -At` prints: a line a row, `|` between columns. */
export async function query(host: Host, sql: string, server: Server = {}): Promise<string> {
  const [address, port] = target(server)
  const flags = ['-X', '-At', '-v', 'ON_ERROR_STOP=1', '-h', address, '-p', port, '-U', 'postgres', '-d', 'postgres']
  const env: Record<string, string> = server.password === undefined ? {} : { PGPASSWORD: server.password }
  return (await host.run(['psql', ...flags, '-c', sql], { env })).stdout.trimEnd()
}

function target({ address = '127.0.0.1', port = 5432 }: Server): [string, string] {
  return [address, `${port}`]
}
