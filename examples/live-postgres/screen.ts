/** What the example shows: one line that lives while the database moves, and a table at the end. */
import type { MovePhase, RequestedMove } from 'flocker-zfs'
import type { Writers } from './writers.js'

const frameMilliseconds = 250
/** Without a terminal a line stays, so there are fewer of them. */
const lineMilliseconds = 1000

export class LiveLine {
  readonly #timer: NodeJS.Timeout
  readonly #terminal = process.stdout.isTTY || process.env.FORCE_TTY !== undefined
  #phase = 'db runs'
  #before: { acknowledged: number; at: number }
  #rate = 0
  #longest = 0

  constructor(private readonly writers: Writers) {
    this.#before = { acknowledged: writers.acknowledged, at: performance.now() }
    this.#timer = setInterval(() => this.#show(), this.#terminal ? frameMilliseconds : lineMilliseconds)
  }

  say(phase: string): void {
    this.#phase = phase
    if (this.#terminal) this.#show()
  }

  end(): void {
    clearInterval(this.#timer)
    if (this.#terminal) process.stdout.write('\n')
  }

  #show(): void {
    const { acknowledged, waiting } = this.writers
    const now = performance.now()
    const seconds = (now - this.#before.at) / 1000
    this.#longest = Math.max(this.#longest, waiting)
    // Of a moment there is no rate.
    if (seconds > 0.2) {
      this.#rate = (acknowledged - this.#before.acknowledged) / seconds
      this.#before = { acknowledged, at: now }
    }
    const columns = [
      `${this.#rate.toFixed(0).padStart(6)} transactions/s`,
      `waiting ${(waiting / 1000).toFixed(1)} s`,
      `longest ${(this.#longest / 1000).toFixed(1)} s`,
      this.#phase,
    ]
    const text = columns.join('   ')
    process.stdout.write(this.#terminal ? `\r\x1b[K${text}` : `${text}\n`)
  }
}

/** One move, and what its clients noticed. */
export interface MoveRow extends RequestedMove {
  name: string
  /** In milliseconds. */
  longestTransaction: number
}

/** The phases during which clients wait, and the one before. */
const shown: readonly MovePhase[] = ['checkpoint', 'hold', 'stop', 'push', 'start', 'ready', 'switch']

export function printMoves(rows: readonly MoveRow[]): void {
  const head = ['milliseconds', ...shown, 'pause', 'longest transaction']
  const body = rows.map(({ name, phases, pauseMilliseconds, longestTransaction }) => {
    const times = [...shown.map((phase) => phases[phase]), pauseMilliseconds, longestTransaction]
    return [name, ...times.map((milliseconds) => milliseconds.toFixed(0))]
  })
  const widths = head.map((_, i) => Math.max(...[head, ...body].map((cells) => (cells[i] as string).length)))
  console.log()
  for (const cells of [head, ...body]) {
    const padded = cells.map((cell, i) =>
      i === 0 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number),
    )
    console.log(padded.join('  '))
  }
}
