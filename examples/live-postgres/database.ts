import type { Application } from 'flocker-zfs'

/** Where clients find the database, on every host that has a router. */
export const clientPort = 15_432

/** A PostgreSQL whose data are in the volume `pgdata`: it runs wherever that volume is. */
export function database(image: string): Application {
  const psql = ['-q', '-h', '127.0.0.1', '-U', 'postgres']
  return {
    name: 'db',
    image,
    environment: { POSTGRES_HOST_AUTH_METHOD: 'trust' },
    ports: [{ container: 5432 }],
    volumes: [{ volume: 'pgdata', path: '/var/lib/postgresql/data' }],
    health: { kind: 'container', command: ['pg_isready', ...psql] },
    // While clients still use it, so that there is next to nothing left to write out when it is stopped.
    beforeStop: ['psql', ...psql, '-c', 'CHECKPOINT'],
    // PostgreSQL's fast shutdown. SIGTERM would wait for clients to go.
    stopSignal: 'SIGINT',
    routes: [{ address: `tcp:${clientPort}`, port: 5432 }],
  }
}
