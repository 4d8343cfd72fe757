/** The harness's end of a host in a process of its own. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { Side } from './operations.js'
import type { Answered, Asked, Commands } from './program.js'

type Arguments<Name extends keyof Commands> = Parameters<Commands[Name]>
type Result<Name extends keyof Commands> = Awaited<ReturnType<Commands[Name]>>

interface Waiting {
  resolve(value: never): void
  reject(error: Error): void
}

/** What is asked of a host whose power was cut is rejected with. */
export class PowerCut extends Error {}

export class HostProcess implements AsyncDisposable {
  /** The port that it listens on. */
  port = 0
  /** Called when it stands still, where it was told to. */
  onStanding: () => void = () => undefined
  readonly #waiting = new Map<number, Waiting>()
  readonly #exit: Promise<unknown>
  #lastId = 0
  #standing = false
  #cut = false
  #gone: string | undefined

  private constructor(
    readonly identity: Side,
    private readonly child: ChildProcess,
  ) {
    this.#exit = once(child, 'exit').then(([status, signal]) => {
      this.#gone = `${identity} has ended with ${signal ?? `status ${status}`}`
      for (const { reject } of this.#waiting.values()) reject(this.#end)
      this.#waiting.clear()
    })
    child.on('message', (answered: Answered) => this.#answered(answered))
    this.#harness.on('data', () => {
      this.#standing = true
      this.onStanding()
    })
    // It may be gone while it is told something.
    this.#harness.on('error', () => undefined)
  }

  static async start(directory: string, identity: Side): Promise<HostProcess> {
    const child = fork(join(__dirname, 'program.js'), {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
      serialization: 'advanced',
    })
    const started = new HostProcess(identity, child)
    try {
      started.port = await started.ask('open', directory, identity)
      return started
    } catch (error) {
      await started.cutPower()
      throw error
    }
  }

  get pid(): number {
    return this.child.pid as number
  }

  /**
   * Whether it is there, and nobody has cut its power.
   * @throws where it has ended by itself
   */
  get alive(): boolean {
    if (this.#gone !== undefined && !this.#cut) throw this.#end
    return this.#gone === undefined
  }

  get #end(): Error {
    const message = this.#gone ?? ''
    return this.#cut ? new PowerCut(message) : new Error(message)
  }

  get #harness(): Duplex {
    return this.child.stdio[4] as Duplex
  }

  ask<Name extends keyof Commands>(name: Name, ...args: Arguments<Name>): Promise<Result<Name>> {
    if (this.#gone !== undefined) return Promise.reject(this.#end)
    this.#lastId += 1
    const asked: Asked = { id: this.#lastId, name, args }
    return new Promise((resolve, reject) => {
      this.#waiting.set(asked.id, { resolve, reject })
      // Where it can't be told, it is gone.
      this.child.send(asked, () => undefined)
    })
  }

  /** Lets it go on, if it stands. */
  go(): void {
    if (!this.#standing) return
    this.#standing = false
    this.#harness.write('g')
  }

  /** Fills its pool; if it stands, it goes on then. */
  async fill(): Promise<void> {
    if (!this.#standing) return this.ask('fill', true)
    this.#standing = false
    this.#harness.write('f')
  }

  /** Pulls the plug. */
  async cutPower(): Promise<void> {
    this.#cut = this.#gone === undefined
    this.child.kill('SIGKILL')
    await this.#exit
  }

  async close(): Promise<void> {
    await this.ask('close')
    this.child.disconnect()
    await this.#exit
  }

  /** How many descriptors it has open. */
  async descriptors(): Promise<number> {
    return (await readdir(`/proc/${this.pid}/fd`)).length
  }

  #answered({ id, value, error }: Answered): void {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (error === undefined) waiting?.resolve(value as never)
    else waiting?.reject(error)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cutPower()
  }
}
