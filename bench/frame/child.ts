/** Programs of the benchmarks, each in a fresh process: what they measure is theirs alone. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

/** A program of this checkout that talks with its parent in messages. */
export class Child implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>

  /**
   * @param program a compiled file
   * @param order its argument, as JSON
   * @param pipeEnd a descriptor that becomes its {@link pipeEnd}
   */
  constructor(program: string, order: object, environment: NodeJS.ProcessEnv = {}, pipeEnd?: number) {
    this.#child = spawn(process.execPath, [program, JSON.stringify(order)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', pipeEnd ?? 'ignore'],
      env: { ...process.env, ...environment },
    })
    this.#ended = once(this.#child, 'exit')
  }

  get pid(): number {
    return this.#child.pid as number
  }

  /** Its next message. */
  async hears<T>(): Promise<T> {
    const lost = this.#ended.then(() => {
      throw new Error(`${this.#child.spawnargs.slice(1).join(' ')} ended early`)
    })
    const [message] = (await Promise.race([once(this.#child, 'message'), lost])) as [T]
    return message
  }

  tell(word = 'go'): void {
    this.#child.send(word)
  }

  /** Waits for its end, which must be a good one. */
  async ended(): Promise<void> {
    await this.#ended
    const { exitCode, signalCode, spawnargs } = this.#child
    if (exitCode !== 0) throw new Error(`${spawnargs.slice(1).join(' ')} ended with ${signalCode ?? exitCode}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) this.#child.kill('SIGKILL')
    await this.#ended
  }
}

/** Where a child finds the end of a pipe. Standard input and output would do, but other streams of Node.js's may be on them. */
export const pipeEnd = 4

/** Runs a program that says one thing, and ends. */
export async function ask<T>(program: string, order: object, environment: NodeJS.ProcessEnv = {}): Promise<T> {
  await using child = new Child(program, order, environment)
  const said = await child.hears<T>()
  await child.ended()
  return said
}

/** For such a program: does what it is ordered, and says the result. */
export function answer<Order, T>(work: (order: Order) => Promise<T>): void {
  const main = async (): Promise<void> => {
    process.send?.(await work(JSON.parse(process.argv[2] as string)))
    process.disconnect()
  }
  void main()
}
