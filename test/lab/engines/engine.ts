/** A container engine in a lab host that was opened with `engines: true`. */
import { setTimeout as sleep } from 'node:timers/promises'
import { TimeoutError } from '../../../src/errors.js'
import { ensureEngines, type Image } from '../build/index.js'
import { LabError } from '../errors.js'
import type { Host, LabProcess, RunOptions, RunResult } from '../host.js'

const START_MILLISECONDS = 90_000
const STOP_MILLISECONDS = 60_000
const POLL_MILLISECONDS = 200
const LOAD_MILLISECONDS = 240_000

/** What makes an engine. */
export interface EngineProgram {
  kind: 'docker' | 'podman'
  argv: readonly string[]
  /** Of its API, in the host. */
  socket: string
}

/** A running engine; it ends with its host at the latest, and is started again after a power cut on the same dataset. */
export class Engine {
  readonly kind: 'docker' | 'podman'
  readonly host: Host
  /** Where its API (Docker's, also Podman's) listens: a Unix socket in the host. */
  readonly socket: string
  /** From its start until its API answered. */
  readonly startMilliseconds: number
  readonly #process: LabProcess

  private constructor(host: Host, program: EngineProgram, running: LabProcess, startMilliseconds: number) {
    this.kind = program.kind
    this.host = host
    this.socket = program.socket
    this.startMilliseconds = startMilliseconds
    this.#process = running
  }

  /**
   * Starts it and waits until its API answers.
   * @throws LabError `ENGINE_FAILED` with the end of its log; TimeoutError
   */
  static async start(host: Host, program: EngineProgram): Promise<Engine> {
    const begin = performance.now()
    const running = host.spawn(['sh', '-c', `exec "$@" >${logOf(program.kind)} 2>&1`, 'sh', ...program.argv])
    running.stdin.end()
    running.stdout.resume()
    running.stderr.resume()
    let ended = false
    const exit = running.exit.finally(() => {
      ended = true
    })
    exit.catch(() => undefined) // Its host has gone first: the next command says so.
    while (!(await answers(host, program.socket))) {
      if (ended)
        throw new LabError(
          'ENGINE_FAILED',
          `${program.kind} did not start on ${host.name}\n${await log(host, program.kind)}`,
        )
      if (performance.now() - begin > START_MILLISECONDS) {
        running.kill('SIGKILL')
        throw new TimeoutError(`${program.kind} on ${host.name} does not answer\n${await log(host, program.kind)}`)
      }
      await sleep(POLL_MILLISECONDS)
    }
    return new Engine(host, program, running, performance.now() - begin)
  }

  /** Runs Docker's command line against it, in the host. */
  docker(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return this.host.run(['docker', '-H', `unix://${this.socket}`, ...args], options)
  }

  /** Gives it an image of the lab's: the same id on every host. Takes some seconds. */
  async load(name: 'busybox' | 'postgres'): Promise<Image> {
    const image = (await ensureEngines()).images[name]
    await this.docker(['load', '-q', '-i', image.archive], { timeoutMilliseconds: LOAD_MILLISECONDS })
    return image
  }

  /** The end of what it has logged. */
  log(): Promise<string> {
    return log(this.host, this.kind)
  }

  /** Ends it in good order. Docker stops its containers first; Podman's go on. */
  async stop(): Promise<void> {
    this.#process.kill('SIGTERM')
    const stopped = await Promise.race([this.#process.exit, sleep(STOP_MILLISECONDS, undefined, { ref: false })])
    if (stopped === undefined)
      throw new TimeoutError(`${this.kind} on ${this.host.name} does not end\n${await this.log()}`)
  }
}

/** Where an engine keeps its images and containers. */
export interface StoreOptions {
  /** Survives a power cut; default `POOL/docker` or `POOL/podman`. */
  dataset?: string
  /** Gives a new dataset the lab's images; default: yes. Without them the engine starts with none. */
  images?: boolean
}

/** Makes an empty dataset for an engine, mounted at `mountpoint`. */
export async function createDataset(host: Host, dataset: string, mountpoint: string): Promise<void> {
  const properties = [`mountpoint=${mountpoint}`, 'compression=lz4', 'atime=off']
  await host.run(['zfs', 'create', '-p', ...properties.flatMap((property) => ['-o', property]), dataset])
}

export async function hasDataset(host: Host, dataset: string): Promise<boolean> {
  return (await host.run(['zfs', 'list', '-H', dataset], { check: false })).status === 0
}

async function answers(host: Host, socket: string): Promise<boolean> {
  return (await host.run(['docker', '-H', `unix://${socket}`, 'version'], { check: false })).status === 0
}

function logOf(kind: string): string {
  return `/run/${kind}.log`
}

async function log(host: Host, kind: string): Promise<string> {
  return (await host.run(['tail', '-n', '20', logOf(kind)], { check: false })).stdout
}
