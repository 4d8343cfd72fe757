/**
 * Clients of a PostgreSQL, each in transactions one after the other. Each transaction writes a record of its own; one that was not
 * acknowledged is tried again on a new connection, until it is. In the end it is counted what the database has.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { Client, type ClientConfig } from 'pg'

export interface WritersReport {
  acknowledged: number
  /** Attempts that were not acknowledged, and made again. */
  again: number
  /** Transactions that were never acknowledged. */
  failed: number
  /** Acknowledged records that the database does not have. */
  lost: number
  /** The longest time that one transaction took, with all its attempts, in milliseconds. */
  longestStall: number
  /** Why attempts were not acknowledged. */
  reasons: Record<string, number>
}

export interface WritersOptions {
  host: string
  port: number
  clients: number
}

/** How long a transaction may take with all its attempts, in milliseconds. */
const transactionMilliseconds = 300_000

export class Writers {
  readonly #report: WritersReport = { acknowledged: 0, again: 0, failed: 0, lost: 0, longestStall: 0, reasons: {} }
  readonly #writers: Writer[]
  readonly #running: Promise<unknown>
  #longest = 0

  private constructor(
    private readonly config: ClientConfig,
    clients: number,
  ) {
    this.#writers = Array.from({ length: clients }, (_, number) => new Writer(config, number))
    this.#running = Promise.all(this.#writers.map((writer) => writer.run((outcome) => this.#note(outcome))))
  }

  /** Waits until it is reached, makes its tables anew, and begins. */
  static async start({ host, port, clients }: WritersOptions): Promise<Writers> {
    const login = { user: 'postgres', database: 'postgres' }
    const config = { host, port, ...login, connectionTimeoutMillis: 60_000, query_timeout: 60_000 }
    const client = await firstClient(config)
    await client.query('DROP TABLE IF EXISTS log, totals')
    await client.query('CREATE TABLE log (client int, record int, PRIMARY KEY (client, record))')
    await client.query('CREATE TABLE totals (client int PRIMARY KEY, records int)')
    await client.query('INSERT INTO totals SELECT generate_series(0, $1), 0', [clients - 1])
    await client.end()
    return new Writers(config, clients)
  }

  get acknowledged(): number {
    return this.#report.acknowledged
  }

  /** For how long the oldest unfinished transaction has been waited for, in milliseconds. */
  get waiting(): number {
    const now = performance.now()
    return Math.max(...this.#writers.map(({ began }) => now - began))
  }

  /** The longest transaction that ended since this was last asked, in milliseconds. */
  takeLongest(): number {
    const longest = this.#longest
    this.#longest = 0
    return longest
  }

  /** Has each end its last transaction, and counts what is there. */
  async end(): Promise<WritersReport> {
    for (const writer of this.#writers) writer.stop()
    await this.#running
    const lost = await this.#countLost()
    return { ...this.#report, lost, longestStall: Math.round(this.#report.longestStall) }
  }

  #note(outcome: Outcome): void {
    const report = this.#report
    if (outcome.kind === 'again') {
      report.again += 1
      report.reasons[outcome.why] = (report.reasons[outcome.why] ?? 0) + 1
      return
    }
    report[outcome.kind] += 1
    this.#longest = Math.max(this.#longest, outcome.milliseconds)
    report.longestStall = Math.max(report.longestStall, outcome.milliseconds)
  }

  async #countLost(): Promise<number> {
    const client = new Client(this.config)
    await client.connect()
    const { rows } = await client.query('SELECT client, count(*)::int AS records FROM log GROUP BY client')
    await client.end()
    const found = new Map(rows.map(({ client, records }) => [client as number, records as number]))
    return this.#writers.reduce(
      (lost, { number, written }) => lost + Math.max(0, written - (found.get(number) ?? 0)),
      0,
    )
  }
}

/** A database that has just started is ready a moment before the proxies know where it is. */
async function firstClient(config: ClientConfig): Promise<Client> {
  const deadline = performance.now() + transactionMilliseconds
  for (;;) {
    const client = new Client(config)
    try {
      await client.connect()
      return client
    } catch (error) {
      if (performance.now() > deadline) throw error
      await wait(200)
    }
  }
}

type Outcome = { kind: 'acknowledged' | 'failed'; milliseconds: number } | { kind: 'again'; why: string }

class Writer {
  written = 0
  /** When its present transaction began. */
  began = performance.now()
  #client: Client | undefined
  #stopped = false

  constructor(
    private readonly config: ClientConfig,
    readonly number: number,
  ) {}

  async run(note: (outcome: Outcome) => void): Promise<void> {
    while (!this.#stopped) {
      this.began = performance.now()
      const done = await this.#transaction(this.written + 1, note)
      if (done) this.written += 1
      note({ kind: done ? 'acknowledged' : 'failed', milliseconds: performance.now() - this.began })
    }
    await this.#client?.end().catch(() => undefined)
  }

  stop(): void {
    this.#stopped = true
  }

  /** @returns whether it was acknowledged */
  async #transaction(record: number, note: (outcome: Outcome) => void): Promise<boolean> {
    while (performance.now() - this.began < transactionMilliseconds) {
      try {
        const client = await this.#connected()
        await client.query('BEGIN')
        await client.query('INSERT INTO log VALUES ($1, $2) ON CONFLICT DO NOTHING', [this.number, record])
        await client.query('UPDATE totals SET records = $2 WHERE client = $1', [this.number, record])
        await client.query('COMMIT')
        return true
      } catch (error) {
        const { code, message } = error as Error & { code?: string }
        note({ kind: 'again', why: `${code ?? ''} ${message}` })
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
