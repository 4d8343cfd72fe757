import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, open, readFile, rm, statfs, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Duplex } from 'node:stream'
import { AbortError, ArgumentError, abortReason, TimeoutError, throwIfAborted } from '../../src/errors.js'
import { Connection, withDeadline } from './connection.js'
import { LabCommandError, LabError } from './errors.js'
import { encodeStrings } from './frames.js'
import type { Host, LabProcess, RunOptions, RunResult, SpawnOptions } from './host.js'
import { cacheDirectory, checkout, compiledPath, defaultEnvironment } from './paths.js'
import { GuestProcess } from './process.js'
import type { BootableProfile } from './profile.js'
import { collect } from './streams.js'
import type { Tools } from './tools.js'

const COMMAND_MILLISECONDS = 120_000
const POWER_OFF_MILLISECONDS = 10_000
const CONSOLE_LINES_SHOWN = 30

/** All that a host is made of, decided before it is first booted. */
export interface HostPlan {
  name: string
  number: number
  address: string
  /** The lines of its /etc/hosts. */
  hostsFile: string
  memoryBytes: number
  diskImages: readonly string[]
  profile: BootableProfile
  tools: Tools
  /** Of this host alone, in the lab's. */
  directory: string
  switchSocket: string
  bootTimeoutMilliseconds: number
}

interface Running {
  supply: ChildProcess
  connection: Connection
}

/** A host in User-Mode Linux. */
export class UmlHost implements Host {
  readonly name: string
  readonly address: string
  readonly disks: readonly string[]
  bootMilliseconds = 0
  readonly #plan: HostPlan
  #running: Running | undefined
  #off: LabError
  #inputs = 0

  constructor(plan: HostPlan) {
    this.#plan = plan
    this.name = plan.name
    this.address = plan.address
    this.disks = plan.diskImages.map((_image, index) => `/dev/ubd${String.fromCharCode(97 + index)}`)
    this.#off = new LabError('HOST_OFF', `${plan.name} was not booted yet`)
  }

  /** What the guest's kernel has printed since its last boot. */
  get consolePath(): string {
    return join(this.#plan.directory, 'console.log')
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
    const milliseconds = options.timeoutMilliseconds ?? this.#plan.bootTimeoutMilliseconds
    try {
      await withDeadline(running.connection.setUp(this.#configuration()), milliseconds, 'setting up the guest')
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
    await this.#powerOff(new LabError('HOST_OFF', `the power of ${this.name} was cut`))
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
    if (inputFile !== undefined) await writeFile(join(this.#plan.directory, inputFile), input)
    try {
      const limited = { timeoutMilliseconds: COMMAND_MILLISECONDS, ...spawnOptions }
      return await this.#finish(argv, this.#start(argv, limited, inputFile ?? '/dev/null'), check)
    } finally {
      if (inputFile !== undefined) await rm(join(this.#plan.directory, inputFile), { force: true })
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
    await this.run(['zpool', 'import', '-a', '-f', '-d', '/dev'])
  }

  #entryArgv(entry: string, args: readonly string[]): string[] {
    const path = compiledPath(entry)
    if (!existsSync(path)) throw new ArgumentError(`${entry} is not compiled: there is no ${path}`)
    return [process.execPath, path, ...args]
  }

  async #powerOn(): Promise<Running> {
    const { directory, tools } = this.#plan
    await mkdir(directory, { recursive: true })
    const log = await open(this.consolePath, 'w')
    try {
      const supply = spawn(tools.power, await this.#command(), {
        stdio: ['pipe', log.fd, log.fd, 'pipe'],
        env: { PATH: process.env.PATH, HOME: directory, TMPDIR: await this.#memoryDirectory() },
        cwd: directory,
      })
      await once(supply, 'spawn')
      const line = supply.stdio[3]
      if (!(line instanceof Duplex)) throw new LabError('BOOT_FAILED', 'the serial line is no stream')
      const connection = new Connection(line)
      supply.once('exit', (status, signal) => void this.#ended(supply, `${status ?? signal}`))
      return { supply, connection }
    } finally {
      await log.close()
    }
  }

  /** The arguments of outside/power.c: the kernel and its command line. */
  async #command(): Promise<string[]> {
    const { profile, diskImages, memoryBytes, name, number, switchSocket, tools, directory } = this.#plan
    const address = `02:00:00:00:${(number >> 8).toString(16).padStart(2, '0')}:${(number & 255).toString(16).padStart(2, '0')}`
    return [
      ...[switchSocket, name, profile.kernel, `mem=${Math.ceil(memoryBytes / 2 ** 20)}M`, ...profile.bootArgs],
      ...diskImages.map((image, index) => `ubd${index}=${image}`),
      ...['rootfstype=hostfs', 'ro', `init=${tools.agent}`, 'con=null', 'con0=null,fd:1', 'ssl=null', 'ssl0=fd:3'],
      ...[
        `vec0:transport=fd,fd=4,mac=${address}`,
        'quiet',
        'panic=-1',
        'oops=panic',
        `uml_dir=${directory}/`,
        `umid=${name}`,
      ],
    ]
  }

  /** The guest's memory is a file that User-Mode Linux unlinks at once; it fills only as the guest uses it. */
  async #memoryDirectory(): Promise<string> {
    const shm = await statfs('/dev/shm').catch(() => undefined)
    const hasRoom = shm !== undefined && shm.bavail * shm.bsize >= this.#plan.memoryBytes
    return hasRoom ? '/dev/shm' : this.#plan.directory
  }

  #configuration(): Buffer {
    const { profile, name, address, hostsFile, number } = this.#plan
    const kept = new Set([checkout, resolve(process.execPath, '../..'), cacheDirectory()])
    return encodeStrings([
      `hostname=${name}`,
      `address=${address}`,
      `hosts=${hostsFile}`,
      `inbox=${this.#plan.directory}`,
      `hostid=${(0x1ab00000 + number).toString(16)}`,
      ...(profile.userland === '' ? [] : [`userland=${profile.userland}`]),
      ...[...kept].map((path) => `keep=${path}`),
      ...profile.modules.map((module) => `module=${module}${module.endsWith('/spl.ko') ? ' spl_panic_halt=1' : ''}`),
    ])
  }

  /** The power supply has ended: on our demand, or because the guest did. */
  async #ended(supply: ChildProcess, status: string): Promise<void> {
    const running = this.#running
    if (running?.supply !== supply) return
    const error = new LabError('HOST_DIED', `${this.name} died (${status})${await this.#consoleTail()}`)
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
