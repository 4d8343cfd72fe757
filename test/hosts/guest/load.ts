/**
 * A load on a database through the front: so many clients, each in transactions one after the other. Each transaction writes a record of its
 * own; one that was not acknowledged is tried again on a new connection, until it is. Runs until standard input ends, then counts what is there.
 *
 *     node load.js {"host":..., "port":..., "clients":8}
 */
import { setTimeout as wait } from 'node:timers/promises'
import { Client, type ClientConfig } from 'pg'

export interface LoadReport {
  acknowledged: number
  /** Attempts that were not acknowledged, and made again. */
  again: number
  /** Transactions that were never acknowledged. */
  failed: number
  /** Acknowledged records that the database does not have. */
  lost: number
  /** The longest time that one transaction took, with all its attempts, in milliseconds. */
  longestStall: number
  /** The same since the last line of standard input. */
  stalls: number[]
  /** Why attempts were not acknowledged. */
  reasons: Record<string, number>
}

const transactionMilliseconds = 300_000

let stopped = false
let since = performance.now()
const report: LoadReport = { acknowledged: 0, again: 0, failed: 0, lost: 0, longestStall: 0, stalls: [], reasons: {} }
let worst = 0

class Writer {
  #client: Client | undefined
  written = 0

  constructor(
    private readonly config: ClientConfig,
    private readonly number: number,
  ) {}

  async run(): Promise<void> {
    while (!stopped) {
      const began = performance.now()
      if (await this.#transaction(this.written + 1)) {
        this.written += 1
        report.acknowledged += 1
        worst = Math.max(worst, performance.now() - Math.max(began, since))
      } else report.failed += 1
    }
    await this.#client?.end().catch(() => undefined)
  }

  async #transaction(record: number): Promise<boolean> {
    const deadline = performance.now() + transactionMilliseconds
    while (performance.now() < deadline) {
      try {
        const client = await this.#connected()
        await client.query('BEGIN')
        await client.query('INSERT INTO log VALUES ($1, $2) ON CONFLICT DO NOTHING', [this.number, record])
        await client.query('UPDATE totals SET records = $2 WHERE client = $1', [this.number, record])
        await client.query('COMMIT')
        return true
      } catch (error) {
        report.again += 1
        const { code, message } = error as Error & { code?: string }
        const why = `${code ?? ''} ${message}`
        report.reasons[why] = (report.reasons[why] ?? 0) + 1
        void this.#client?.end().catch(() => undefined)
        this.#client = undefined
        await wait(20)
      }
    }
    return false
  }

  async #connected(): Promise<Client> {
    if (this.#client !== undefined) return this.#client
    const client = new Client(this.config)
    client.on('error', () => {
      if (this.#client === client) this.#client = undefined
    })
    await client.connect()
    this.#client = client
    return client
  }
}

async function count(config: ClientConfig, writers: readonly Writer[]): Promise<number> {
  const client = new Client(config)
  await client.connect()
  const { rows } = await client.query(
    'SELECT client, count(*)::int AS records, max(record) AS last FROM log GROUP BY client',
  )
  await client.end()
  return writers.reduce((lost, { written }, number) => {
    const row = rows.find(({ client: of }) => of === number)
    return lost + Math.max(0, written - (row?.records ?? 0))
  }, 0)
}

async function main(order: { host: string; port: number; clients: number }): Promise<void> {
  const config: ClientConfig = {
    host: order.host,
    port: order.port,
    user: 'postgres',
    database: 'postgres',
    connectionTimeoutMillis: 60_000,
    query_timeout: 60_000,
  }
  const setup = new Client(config)
  await setup.connect()
  await setup.query('CREATE TABLE log (client int, record int, PRIMARY KEY (client, record))')
  await setup.query('CREATE TABLE totals (client int PRIMARY KEY, records int)')
  await setup.query('INSERT INTO totals SELECT generate_series(0, $1), 0', [order.clients - 1])
  await setup.end()
  const writers = Array.from({ length: order.clients }, (_, number) => new Writer(config, number))
  const running = Promise.all(writers.map((writer) => writer.run()))
  console.log('running')
  for await (const chunk of process.stdin) {
    for (const _ of String(chunk).matchAll(/\n/g)) {
      report.stalls.push(Math.round(worst))
      report.longestStall = Math.max(report.longestStall, worst)
      console.log(JSON.stringify({ acknowledged: report.acknowledged, stall: Math.round(worst) }))
      worst = 0
      since = performance.now()
    }
  }
  stopped = true
  await running
  report.longestStall = Math.round(Math.max(report.longestStall, worst))
  report.lost = await count(config, writers)
  console.log(JSON.stringify(report))
}

void main(JSON.parse(process.argv[2] as string))
