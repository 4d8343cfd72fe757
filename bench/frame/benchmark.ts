/** What every file of benchmarks gives to the program that runs them. */
import type { Section } from './result.js'

export interface Benchmark {
  /** Lower-case letters, digits and hyphens: how it is asked for, and the name of its file of results. */
  name: string
  title: string
  /** What this machine lacks for it, if it does. */
  lacks?(): Promise<string | undefined>
  run(context: Context): Promise<Findings>
}

export interface Context {
  /** Small sizes and few rounds, to try the benchmark itself. */
  quick: boolean
  /** Tells whoever waits how far it is. */
  say(line: string): void
}

export interface Findings {
  sections: Section[]
  /** Of what took part beside Node.js and its OpenSSL. */
  versions?: Record<string, string>
}
