/** One transfer: whole processes from a pipe to a pipe, timed, and what each end used. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Sample } from '../frame/result.js'
import { readReport } from '../tools/measure.js'
import type { Part, Place, Setup, Wire } from './contender.js'
import { listening } from './ports.js'
import type { Recording } from './recording.js'

const deadlineMilliseconds = 180_000

type Pipe = '"$@"' | 'cat "$FROM" | "$@"' | '"$@" | cat > /dev/null'

/** A program under measurement, perhaps at one end of a pipe. */
class Running {
  readonly #child: ChildProcess
  readonly #exit: Promise<string | undefined>
  #errors = ''

  constructor(
    { argv, environment }: Part,
    readonly report: string,
    measure: string,
    pipe: Pipe,
    from = '',
  ) {
    // The shell's pipes are pipes; those of Node.js are sockets. A group of its own, so that all of it can be ended.
    this.#child = spawn('bash', ['-c', `set -o pipefail; ${pipe}`, 'bash', measure, report, ...argv], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...environment, FROM: from },
      detached: true,
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-2000)
    })
    // Its group is none of ours: what ends us would leave it.
    const abandon = (): void => this.#signal('SIGKILL')
    process.once('exit', abandon)
    this.#exit = once(this.#child, 'close').then(([status, signal]) => {
      process.off('exit', abandon)
      if (status !== 0) return `${argv[0]} ended with ${signal ?? status}: ${this.#errors.trim()}`
      return undefined
    })
  }

  /** Rejects when it ends at all, in order or not. */
  get lost(): Promise<never> {
    const lost = this.#exit.then((fault) => {
      throw new Error(fault ?? 'ended before the transfer began')
    })
    lost.catch(() => undefined)
    return lost
  }

  async done(): Promise<void> {
    const fault = await this.#exit
    if (fault !== undefined) throw new Error(fault)
  }

  /** Ends a daemon: the signal of its whole group reaches it through the program that measures it, too. */
  async end(): Promise<void> {
    this.#signal('SIGTERM')
    await this.#exit
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#signal('SIGKILL')
    await this.#exit
  }

  #signal(name: NodeJS.Signals): void {
    try {
      process.kill(-(this.#child.pid as number), name)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

/** Moves the recorded stream once. */
export async function transfer(
  wire: Wire,
  { path, bytes }: Recording,
  place: Omit<Place, 'directory'>,
  base: string,
): Promise<Sample> {
  const directory = await mkdtemp(join(base, 'transfer-'))
  try {
    const setup = await wire.prepare({ ...place, directory })
    return await move(setup, path, bytes, directory, place.measure)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function move(setup: Setup, path: string, bytes: number, directory: string, measure: string): Promise<Sample> {
  const started: Running[] = []
  const start = (part: Part, ...how: [pipe: Pipe, from?: string]): Running => {
    const running = new Running(part, join(directory, `report-${started.length}.json`), measure, ...how)
    started.push(running)
    return running
  }
  try {
    const daemons = await startDaemons(setup, start)
    const receiver = setup.receiver && start(setup.receiver, '"$@" | cat > /dev/null')
    if (receiver && setup.receiver) await listening(setup.receiver.port, receiver.lost)
    const began = performance.now()
    const sender = start(setup.sender, 'cat "$FROM" | "$@"', path)
    await within(Promise.all([sender.done(), receiver?.done()]))
    const seconds = (performance.now() - began) / 1000
    for (const daemon of [...daemons.sender, ...daemons.receiver]) await daemon.end()
    const discounted = setup.discount === undefined ? 0 : await readReport(setup.discount)
    const gigabytes = bytes / 1e9
    const senderCpu = (await used([sender, ...daemons.sender])) / gigabytes
    const receiverCpu = ((await used([...(receiver ? [receiver] : []), ...daemons.receiver])) - discounted) / gigabytes
    return { throughput: bytes / 1e6 / seconds, cpu: senderCpu + receiverCpu, senderCpu, receiverCpu }
  } finally {
    await Promise.all(started.map((running) => running.kill()))
  }
}

type Daemons = Record<'sender' | 'receiver', Running[]>

/** The receiver's first, to which the sender's may connect. */
async function startDaemons({ daemons }: Setup, start: (part: Part, pipe: Pipe) => Running): Promise<Daemons> {
  const started: Daemons = { sender: [], receiver: [] }
  for (const end of ['receiver', 'sender'] as const) {
    for (const daemon of daemons[end]) {
      const running = start(daemon, '"$@"')
      started[end].push(running)
      await listening(daemon.port, running.lost)
    }
  }
  return started
}

/** Seconds of processor time of all of them. */
async function used(list: readonly Running[]): Promise<number> {
  const each = await Promise.all(list.map(({ report }) => readReport(report)))
  return each.reduce((sum, some) => sum + some, 0)
}

async function within<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${deadlineMilliseconds} ms`)), deadlineMilliseconds)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
