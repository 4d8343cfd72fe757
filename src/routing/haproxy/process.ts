/** A HAProxy of our own: started, started again when it dies, and stopped. */
import { type ChildProcess, spawn } from 'node:child_process'
import { open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { RoutingError } from '../../errors.js'
import { BELL_SOCKET, CONFIG_FILE, STATS_SOCKET } from './config.js'
import { MasterSocket } from './master.js'
import { until } from './until.js'

export const MASTER_SOCKET = 'master.sock'
export const LOG_FILE = 'haproxy.log'
const START_MILLISECONDS = 15_000
const STOP_MILLISECONDS = 5000
/** Between the starts of a HAProxy that dies. */
const RESTART_MILLISECONDS = 1000
const LOG_TAIL_BYTES = 2000

export class OwnProcess {
  readonly master: MasterSocket
  #child: ChildProcess | undefined
  /** Of a HAProxy that an earlier router has left running. */
  #adopted: number | undefined
  #restart: NodeJS.Timeout | undefined
  #stopping = false

  private constructor(
    readonly program: string,
    readonly directory: string,
  ) {
    this.master = new MasterSocket(join(directory, MASTER_SOCKET))
  }

  /**
   * Takes over what runs there, or starts it. Its configuration must be there.
   * @throws RoutingError `ROUTER_FAILED` with the end of its log
   */
  static async open(program: string, directory: string): Promise<OwnProcess> {
    const process = new OwnProcess(program, directory)
    process.#adopted = await process.#findRunning()
    if (process.#adopted === undefined) await process.#start()
    return process
  }

  /** Whether it was running already, with the configuration that was there then. */
  get isAdopted(): boolean {
    return this.#adopted !== undefined
  }

  /**
   * Waits until it answers: it may have died, and be about to start again.
   * @throws RoutingError `ROUTER_FAILED` with the end of its log
   */
  async ready(): Promise<void> {
    if (await until(() => this.#isReady(), START_MILLISECONDS)) return
    throw new RoutingError('ROUTER_FAILED', `HAProxy does not answer\n${await this.logTail()}`)
  }

  /** Ends it with all its connections, and waits until it is gone. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#restart)
    const pid = this.#child?.pid ?? this.#adopted
    if (pid !== undefined) {
      signal(pid, 'SIGTERM')
      const gone = await until(async () => !isAlive(pid), STOP_MILLISECONDS)
      if (!gone) signal(pid, 'SIGKILL')
      await until(async () => !isAlive(pid), STOP_MILLISECONDS)
    }
    for (const name of [MASTER_SOCKET, STATS_SOCKET, BELL_SOCKET]) await rm(join(this.directory, name), { force: true })
  }

  /** How its log ends: why it did not start, or did not take a configuration. */
  async logTail(): Promise<string> {
    const text = await readFile(join(this.directory, LOG_FILE), 'latin1')
    return text.slice(-LOG_TAIL_BYTES).trim()
  }

  async #findRunning(): Promise<number | undefined> {
    return await this.master.workers().then(
      ({ master }) => master,
      () => undefined,
    )
  }

  async #start(): Promise<void> {
    const ended = await this.#spawn()
    const ready = await until(async () => ended.error !== undefined || (await this.#isReady()), START_MILLISECONDS)
    if (ready && ended.error === undefined) return
    await this.stop()
    throw new RoutingError(
      'ROUTER_FAILED',
      `HAProxy does not start: ${ended.error ?? 'it does not answer'}\n${await this.logTail()}`,
      {
        next: `The program is ${this.program}; its whole log is ${join(this.directory, LOG_FILE)}.`,
      },
    )
  }

  async #spawn(): Promise<{ error?: string }> {
    const ended: { error?: string } = {}
    const log = await open(join(this.directory, LOG_FILE), 'w', 0o600)
    try {
      const words = ['-W', '-S', this.master.path, '-f', join(this.directory, CONFIG_FILE)]
      const child = spawn(this.program, words, { stdio: ['ignore', log.fd, log.fd] })
      this.#child = child
      child.once('error', (error) => {
        ended.error = error.message
        this.#child = undefined
      })
      child.once('exit', (status, name) => {
        ended.error = name ?? `exit status ${status}`
        this.#onExit(child)
      })
    } finally {
      await log.close()
    }
    return ended
  }

  #onExit(child: ChildProcess): void {
    if (this.#child !== child) return
    this.#child = undefined
    if (this.#stopping) return
    // The configuration on disk is the present one, and the log says why it ended.
    this.#restart = setTimeout(() => void this.#spawn(), RESTART_MILLISECONDS)
  }

  async #isReady(): Promise<boolean> {
    return await this.master.workers().then(
      ({ current }) => current !== undefined,
      () => false,
    )
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}
