/** Two embedded hosts on this machine: alpha in this process, beta the command's agent in another; real TLS between them. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pipeline } from 'node:stream/promises'
import { createCa, createHostCertificate, type Host, openHost, pushVolume, type Volume } from '../../src/index.js'

export const mebibyte = 1024 * 1024

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

/** Makes certificates and rules in a directory, and opens alpha there. */
export async function openAlpha(directory: string): Promise<Host> {
  await createCa(join(directory, 'ca'))
  for (const identity of ['alpha', 'beta']) {
    await createHostCertificate(join(directory, 'ca'), join(directory, identity), {
      identity,
      addresses: ['127.0.0.1'],
    })
  }
  const rules = [{ peer: 'alpha', verbs: ['inspect', 'receive'], datasets: ['beta/flocker/**'] }]
  await writeFile(join(directory, 'rules.json'), JSON.stringify(rules))
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

/** The SHA-256 of all of a volume's bytes. */
export async function digest(volume: Volume): Promise<string> {
  const hash = createHash('sha256')
  for await (const bytes of volume.readable()) hash.update(bytes as Buffer)
  return hash.digest('hex')
}

function* random(mebibytes: number): Generator<Buffer> {
  for (let i = 0; i < mebibytes; i++) yield randomBytes(mebibyte)
}

/** Fills a range of a volume with random bytes. */
export async function fill(volume: Volume, start: number, mebibytes: number): Promise<void> {
  await pipeline(random(mebibytes), volume.writable({ start: start * mebibyte }))
}

/** Pushes over a connection of its own to an agent on this machine. */
export async function push(alpha: Host, volume: Volume, port: number) {
  await using beta = await alpha.connect(`127.0.0.1:${port}`)
  return await pushVolume(volume, beta)
}
