import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import {
  AbortError,
  ArgumentError,
  abortReason,
  NotSupportedError,
  TimeoutError,
  throwIfAborted,
} from '../../src/errors.js'
import { Connection, withDeadline } from './connection.js'
import { LabCommandError, LabError } from './errors.js'
import { encodeStrings } from './frames.js'
import type { Host, LabProcess, RunOptions, RunResult, SpawnOptions } from './host.js'
import type { Machine } from './machine.js'
import { compiledPath, defaultEnvironment } from './paths.js'
import { GuestProcess } from './process.js'
import { collect } from './streams.js'

const COMMAND_MILLISECONDS = 120_000
const POWER_OFF_MILLISECONDS = 10_000
const CONSOLE_LINES_SHOWN = 60

interface Running {
  supply: ChildProcess
  connection: Connection
}

/** A host that the agent runs in, whatever the machine under it is. */
export class AgentHost implements Host {
  readonly name: string
  readonly address: string
  readonly disks: readonly string[]
  readonly pool: string
  bootMilliseconds = 0
  readonly #machine: Machine
  #running: Running | undefined
  #off: LabError
  #inputs = 0

  constructor(machine: Machine) {
    this.#machine = machine
    this.name = machine.plan.name
    this.address = machine.address
    this.disks = machine.disks
    this.pool = machine.pool
    this.#off = new LabError('HOST_OFF', `${this.name} was not booted yet`)
  }

  /** What the guest's kernel has printed since its last boot. */
  get consolePath(): string {
    return join(this.#machine.plan.directory, 'console.log')
  }

  async boot(options: { signal?: AbortSignal; timeoutMilliseconds?: number } = {}): Promise<void> {
    if (this.#running !== undefined) throw new ArgumentError(`${this.name} is already running`)
    throwIfAborted(options.signal, `booting ${this.name}`)
    const begin = performance.now()
    const running = await this.#powerOn()
    this.#running = running
    const { signal } = options
    const aborted = () =>
      signal !== undefined &&
      running.connection.lose(
        new LabError('BOOT_FAILED', 'aborted', { cause: abortReason(signal, `booting ${this.name}`) }),
      )
    signal?.addEventListener('abort', aborted, { once: true })
    if (signal?.aborted) aborted()
    const milliseconds = options.timeoutMilliseconds ?? this.#machine.plan.bootTimeoutMilliseconds
    try {
      await withDeadline(
        running.connection.setUp(encodeStrings(this.#machine.configuration())),
        milliseconds,
        'setting up the guest',
      )
    } catch (cause) {
      await this.#powerOff(new LabError('HOST_OFF', `${this.name} did not boot`))
      if (signal?.aborted) throw abortReason(signal, `booting ${this.name}`)
      const ErrorClass = cause instanceof TimeoutError ? TimeoutError : undefined
      const message = `${this.name} did not boot: ${cause instanceof Error ? cause.message : cause}${await this.#consoleTail()}`
      throw ErrorClass === undefined
        ? new LabError('BOOT_FAILED', message, { cause })
        : new ErrorClass(message, { cause })
    } finally {
      signal?.removeEventListener('abort', aborted)
    }
    this.bootMilliseconds = performance.now() - begin
  }

  async cutPower(): Promise<void> {
    if (!this.#machine.canLosePower) throw new NotSupportedError(`${this.name} is this machine itself: its power stays`)
    await this.#powerOff(new LabError('HOST_OFF', `the power of ${this.name} was cut`))
  }

  /** Ends the host for good; what it shares with this machine is given back first. */
  async close(): Promise<void> {
    try {
      if (this.#running !== undefined) await this.#machine.giveBack(this)
    } finally {
      await this.#powerOff(new LabError('HOST_OFF', `the lab of ${this.name} was closed`))
    }
  }

  spawn(argv: readonly string[], options: SpawnOptions = {}): LabProcess {
    return this.#start(argv, options, '')
  }

  #start(argv: readonly string[], options: SpawnOptions, input: string): LabProcess {
    if (argv.length === 0) throw new ArgumentError('a command needs at least a program')
    if (this.#running === undefined) throw this.#off
    const request = {
      argv,
      env: { ...defaultEnvironment, ...options.env },
      cwd: options.cwd ?? '/',
      input,
      user: options.user ?? 0,
      terminal: options.terminal,
    }
    return new GuestProcess(this.#running.connection, this.name, request, options)
  }

  async run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const { check = true, input = '', ...spawnOptions } = options
    const inputFile = input.length === 0 ? undefined : `input-${++this.#inputs}`
    if (inputFile !== undefined) await writeFile(join(this.#machine.plan.directory, inputFile), input)
    try {
      const limited = { timeoutMilliseconds: COMMAND_MILLISECONDS, ...spawnOptions }
      return await this.#finish(argv, this.#start(argv, limited, inputFile ?? '/dev/null'), check)
    } finally {
      if (inputFile !== undefined) await rm(join(this.#machine.plan.directory, inputFile), { force: true })
    }
  }

  async #finish(argv: readonly string[], command: LabProcess, check: boolean): Promise<RunResult> {
    const stdout = collect(command.stdout)
    const stderr = collect(command.stderr)
    const written = () => ({ stdout: stdout.bytes().toString(), stderr: stderr.bytes().toString() })
    try {
      const result = { ...(await command.exit), ...written(), stdoutBytes: stdout.bytes() }
      if (check && result.status !== 0) throw new LabCommandError(this.name, argv, result)
      return result
    } catch (error) {
      if (error instanceof TimeoutError || error instanceof AbortError) Object.assign(error, written())
      throw error
    } finally {
      stdout.stop()
      stderr.stop()
    }
  }

  async runEntry(entry: string, args: readonly string[] = [], options: RunOptions = {}): Promise<RunResult> {
    return this.run(this.#entryArgv(entry, args), options)
  }

  spawnEntry(entry: string, args: readonly string[] = [], options: SpawnOptions = {}): LabProcess {
    return this.spawn(this.#entryArgv(entry, args), options)
  }

  async writeFile(path: string, data: string | Uint8Array): Promise<void> {
    await this.run(['dd', `of=${path}`, 'bs=64k', 'status=none'], { input: data })
  }

  async readFile(path: string): Promise<Buffer> {
    return (await this.run(['cat', '--', path])).stdoutBytes
  }

  async importPools(): Promise<void> {
    if (!this.#machine.canLosePower)
      throw new NotSupportedError(`${this.name} is this machine itself: it keeps its pools`)
    await this.run(['zpool', 'import', '-a', '-f', '-d', '/dev'])
  }

  #entryArgv(entry: string, args: readonly string[]): string[] {
    const path = compiledPath(entry)
    if (!existsSync(path)) throw new ArgumentError(`${entry} is not compiled: there is no ${path}`)
    return [process.execPath, path, ...args]
  }

  async #powerOn(): Promise<Running> {
    const { directory, tools, name, switchSocket } = this.#machine.plan
    await mkdir(directory, { recursive: true })
    const log = await open(this.consolePath, 'w')
    try {
      const supply = spawn(tools.power, [switchSocket, name, ...(await this.#machine.command())], {
        stdio: ['pipe', log.fd, log.fd, 'pipe'],
        env: { PATH: process.env.PATH, HOME: directory, ...(await this.#machine.environment()) },
        cwd: directory,
      })
      await once(supply, 'spawn')
      const line = supply.stdio[3]
      if (!(line instanceof Duplex)) throw new LabError('BOOT_FAILED', 'the serial line is no stream')
      let broken: unknown
      const connection = new Connection(line, (cause) => {
        broken ??= cause
        supply.stdin?.destroy() // a host that can't be talked to is no use; most likely it has just died
      })
      supply.once('exit', (status, signal) => void this.#ended(supply, `${status ?? signal}`, broken))
      return { supply, connection }
    } finally {
      await log.close()
    }
  }

  /** The power supply has ended: on our demand, or because the guest did. */
  async #ended(supply: ChildProcess, status: string, cause: unknown): Promise<void> {
    const running = this.#running
    if (running?.supply !== supply) return
    const error = new LabError('HOST_DIED', `${this.name} died (${status})${await this.#consoleTail()}`, { cause })
    if (this.#running !== running) return
    this.#running = undefined
    this.#off = error
    running.connection.lose(error)
  }

  async #powerOff(reason: LabError): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    this.#running = undefined
    this.#off = reason
    const { supply } = running
    if (supply.exitCode === null && supply.signalCode === null) {
      const ended = once(supply, 'exit')
      supply.stdin?.destroy()
      await withDeadline(ended, POWER_OFF_MILLISECONDS, `cutting the power of ${this.name}`)
    }
    running.connection.lose(reason)
  }

  async #consoleTail(): Promise<string> {
    const text = await readFile(this.consolePath, 'utf8').catch((error: Error) => `no console log: ${error.message}`)
    return `\nIts console said last:\n${text.trim().split('\n').slice(-CONSOLE_LINES_SHOWN).join('\n')}`
  }
}
