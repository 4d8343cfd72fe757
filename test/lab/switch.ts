import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { ArgumentError } from '../../src/errors.js'
import { withDeadline } from './connection.js'
import { LabError } from './errors.js'
import type { LaneStats, Link } from './host.js'
import { Outcome } from './outcome.js'

const COMMAND_MILLISECONDS = 5000
/** The switch gives the guests 3 s to lose power before it removes their files. */
const CLOSE_MILLISECONDS = 15_000

/** The switch process; see outside/switch.c for what it does and the lines it speaks. */
export class Switch {
  readonly #process: ChildProcess
  readonly #answers: Outcome<Record<string, unknown>>[] = []
  #ended: LabError | undefined

  private constructor(program: string, directory: string) {
    this.#process = spawn(program, [directory], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#process.on('error', (cause) =>
      this.#fail(new LabError('SWITCH_FAILED', 'the switch did not start', { cause })),
    )
    this.#process.on('exit', (status, signal) =>
      this.#fail(new LabError('SWITCH_FAILED', `the switch ended (${status ?? signal})`)),
    )
    this.#process.stdin?.on('error', (cause) =>
      this.#fail(new LabError('SWITCH_FAILED', 'the switch does not listen', { cause })),
    )
    if (this.#process.stdout === null) throw new LabError('SWITCH_FAILED', 'the switch has no standard output')
    createInterface({ input: this.#process.stdout }).on('line', (line) =>
      this.#answers.shift()?.resolve(JSON.parse(line)),
    )
  }

  /** Starts a switch that owns `directory`: it removes it in the end. */
  static async start(program: string, directory: string): Promise<Switch> {
    const started = new Switch(program, directory)
    await started.#answer()
    return started
  }

  link(port: string): Link {
    return new SwitchLink((verb, options = '') => this.#command(`${verb} ${port} ${options}`))
  }

  /** Ends the switch; the lab's directory is gone when this resolves. */
  async close(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    this.#process.stdin?.end()
    await withDeadline(ended, CLOSE_MILLISECONDS, 'ending the switch')
  }

  async #command(line: string): Promise<Record<string, unknown>> {
    if (this.#ended !== undefined) throw this.#ended
    this.#process.stdin?.write(`${line}\n`)
    const answer = await this.#answer()
    if (answer.error !== undefined) throw new LabError('SWITCH_FAILED', `the switch refuses "${line}": ${answer.error}`)
    return answer
  }

  async #answer(): Promise<Record<string, unknown>> {
    const waiting = new Outcome<Record<string, unknown>>()
    this.#answers.push(waiting)
    return withDeadline(waiting.promise, COMMAND_MILLISECONDS, 'an answer of the switch')
  }

  #fail(error: LabError): void {
    this.#ended ??= error
    for (const waiting of this.#answers.splice(0)) waiting.reject(this.#ended)
  }
}

class SwitchLink implements Link {
  readonly #command: (verb: string, options?: string) => Promise<Record<string, unknown>>

  constructor(command: (verb: string, options?: string) => Promise<Record<string, unknown>>) {
    this.#command = command
  }

  async cut(): Promise<void> {
    await this.#command('set', 'cut=1')
  }

  async restore(): Promise<void> {
    await this.#command('set', 'cut=0')
  }

  async delay(milliseconds: number): Promise<void> {
    await this.#command('set', `delay=${Math.round(inRange('delay', milliseconds, 600_000) * 1000)}`)
  }

  async throttle(bytesPerSecond: number): Promise<void> {
    await this.#command('set', `rate=${Math.round(inRange('rate', bytesPerSecond, Number.MAX_SAFE_INTEGER))}`)
  }

  async garble(probability: number): Promise<void> {
    await this.#command('set', `garble=${Math.round(inRange('probability', probability, 1) * 1e9)}`)
  }

  async clear(): Promise<void> {
    await this.#command('set', 'cut=0 delay=0 rate=0 garble=0')
  }

  async stats(): Promise<{ sent: LaneStats; received: LaneStats }> {
    const answer = await this.#command('stats')
    return { sent: answer.sent as LaneStats, received: answer.received as LaneStats }
  }
}

function inRange(name: string, value: number, highest: number): number {
  if (!(value >= 0 && value <= highest))
    throw new ArgumentError(`a link's ${name} must be from 0 to ${highest}, not ${value}`)
  return value
}
