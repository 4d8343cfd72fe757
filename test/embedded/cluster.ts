/** Two embedded hosts on this machine: alpha in this process, beta the command's agent in another; real TLS between them. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pipeline } from 'node:stream/promises'
import { listSnapshots } from '../../src/datasets/index.js'
import { createCa, createHostCertificate, type Host, openHost, pushVolume, type Volume } from '../../src/index.js'
import { VERBS } from '../../src/transport/index.js'
import { readable } from '../../src/volumes/block.js'

const program = join(__dirname, '../../src/cli/main.js')

/** The agent of a host, as its user runs it. */
export class Agent implements AsyncDisposable {
  private constructor(
    readonly child: ChildProcess,
    readonly port: number,
    private readonly ended: Promise<string>,
  ) {}

  /** `wrapper`: a command that runs it. */
  static async start(directory: string, argv: string[], wrapper: string[] = []): Promise<Agent> {
    const command = [process.execPath, program, 'agent', '--port', '0', '--address', '127.0.0.1', ...argv]
    const [file, ...rest] = [...wrapper, ...command] as [string, ...string[]]
    const child = spawn(file, rest, {
      stdio: ['ignore', 'pipe', 'inherit'],
      cwd: directory,
    })
    const ended = once(child, 'exit').then(([status, signal]) => String(signal ?? `status ${status}`))
    for await (const line of createInterface({ input: child.stdout })) {
      const { msg, port } = JSON.parse(line) as { msg: string; port: number }
      if (msg !== 'listening') continue
      // Left unread, the log would fill the pipe and stop the agent.
      child.stdout.resume()
      return new Agent(child, port, ended)
    }
    throw new Error(`the agent ended with ${await ended}`)
  }

  /** Ends it as SIGTERM or a power cut does; how it ended. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<string> {
    this.child.kill(signal)
    return this.ended
  }

  /** Whatever a test ends with, no agent outlives it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL')
  }
}

/** Makes certificates of alpha and beta in a directory, and the rules by which beta serves alpha. */
export async function equip(directory: string): Promise<void> {
  await createCa(join(directory, 'ca'))
  for (const identity of ['alpha', 'beta']) {
    await createHostCertificate(join(directory, 'ca'), join(directory, identity), {
      identity,
      addresses: ['127.0.0.1'],
    })
  }
  const rules = [{ peer: 'alpha', verbs: [...VERBS], datasets: ['beta/flocker/**'] }]
  await writeFile(join(directory, 'rules.json'), JSON.stringify(rules))
}

/** Equips the two hosts, and opens alpha in this process. */
export async function openAlpha(directory: string): Promise<Host> {
  await equip(directory)
  return reopenAlpha(directory)
}

/** Opens alpha's pool in this process, where there is one. */
export function reopenAlpha(directory: string): Promise<Host> {
  return openHost({ embedded: join(directory, 'a'), pool: 'alpha', credentials: join(directory, 'alpha') })
}

export function startBeta(directory: string, wrapper: string[] = []): Promise<Agent> {
  const identity = ['--credentials', 'beta', '--authorize', 'rules.json']
  return Agent.start(directory, ['--embedded', 'b', '--pool', 'beta', ...identity], wrapper)
}

/** Opens beta's pool in this process, for looking at it while no agent has it. */
export function openBeta(directory: string): Promise<Host> {
  return openHost({ embedded: join(directory, 'b'), pool: 'beta', credentials: join(directory, 'beta') })
}

/** The SHA-256 of all bytes of a volume, or of a volume's snapshot. */
export async function digest({ dataset }: { dataset: string }): Promise<string> {
  const hash = createHash('sha256')
  for await (const bytes of readable(dataset)) hash.update(bytes as Buffer)
  return hash.digest('hex')
}

export const mebibyte = 1024 * 1024

/** So many MiB. */
export function* random(mebibytes: number): Generator<Buffer> {
  for (let i = 0; i < mebibytes; i++) yield randomBytes(mebibyte)
}

/** Writes so many MiB of random bytes from so many MiB on. */
export async function fill(volume: Volume, start: number, mebibytes: number): Promise<void> {
  await pipeline(random(mebibytes), volume.writable({ start: start * mebibyte }))
}

export async function snapshotsOf(dataset: string): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of listSnapshots(dataset)) names.push(name)
  return names
}

/** Pushes over a connection of its own to an agent on this machine. */
export async function push(alpha: Host, volume: Volume, port: number) {
  await using beta = await alpha.connect(`127.0.0.1:${port}`)
  return await pushVolume(volume, beta)
}
