/** What is wrong with a Compose file, each thing with its place. */
import { ArgumentError } from '../../errors.js'

interface Problem {
  line: number
  text: string
}

/** How many are named; a file with more is something else. */
const mostNamed = 200

/** Collects what is wrong, so that all of it is told at once. */
export class Problems {
  readonly #file: string
  readonly #found: Problem[] = []

  constructor(file: string) {
    this.#file = file
  }

  /** @param path where in the file, such as `services.db.ports[0]`; empty for the whole of it */
  add({ line, path }: { line: number; path: string }, message: string): void {
    const text = path === '' ? message : `${path}: ${message}`
    if (!this.#found.some((each) => each.line === line && each.text === text)) this.#found.push({ line, text })
  }

  get none(): boolean {
    return this.#found.length === 0
  }

  /** @throws ArgumentError `INVALID_ARGUMENT` with all of them, in the order of the file, if there are any */
  throwAny(): void {
    if (this.none) return
    const sorted = this.#found.toSorted((a, b) => a.line - b.line)
    const lines = sorted.slice(0, mostNamed).map(({ line, text }) => `${this.#file}:${line}: ${text}`)
    if (sorted.length > mostNamed) lines.push(`and ${sorted.length - mostNamed} more`)
    throw new ArgumentError(lines.join('\n'))
  }
}
