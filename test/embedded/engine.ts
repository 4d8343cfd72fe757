/** The embedded engine, driven from outside: builds it for a release of OpenZFS, and talks to processes that have it loaded. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = join(__dirname, '../../..')
const release = join(root, 'build/Release')

/** The releases that it is built for and tried with. */
export const releases = ['2.1', '2.3'] as const
export type Release = (typeof releases)[number]

export interface Built {
  library: string
  driver: string
}

const builds = new Map<Release, Promise<Built>>()

/** Builds the engine and the program that drives it, where they aren't. */
export function build(zfs: Release): Promise<Built> {
  const started = builds.get(zfs) ?? buildOnce(zfs)
  builds.set(zfs, started)
  return started
}

async function buildOnce(zfs: Release): Promise<Built> {
  await mkdir(release, { recursive: true })
  const library = join(release, `flocker_zfs_embedded-${zfs}.so`)
  const driver = join(release, 'embedded_driver')
  const script = join(root, 'scripts/build-embedded.mjs')
  await run(process.execPath, [script, '--zfs', zfs, '--output', library, '--require'])
  await run('cc', ['-O1', '-Wall', join(root, 'test/embedded/driver.c'), '-o', `${driver}.${process.pid}`, '-lpthread'])
  await rename(`${driver}.${process.pid}`, driver)
  return { library, driver }
}

/** The user to run a process as: an ordinary one, also where this one is root. */
export const nobody = (): { uid?: number; gid?: number } =>
  process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}

/** A directory that everybody may use, and that is gone afterwards. */
export async function withDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'flocker-zfs-embedded-'))
  await chmod(directory, 0o777)
  try {
    await use(directory)
  } finally {
    await rm(directory, { recursive: true })
  }
}

export interface Answer {
  errno: number
  text: string
}

/** One process with the engine in it. */
export class Engine implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #exit: Promise<string>

  /** Where we are root the process is nobody's, unless `privileged`. */
  constructor({ driver, library }: Built, { privileged = false } = {}) {
    const user = privileged ? {} : nobody()
    this.#child = spawn(driver, [library], { stdio: ['pipe', 'pipe', 'inherit'], ...user })
    this.#exit = new Promise((done, failed) => {
      this.#child.on('exit', (status, signal) => done(signal ?? `status ${status}`))
      this.#child.on('error', failed)
    })
    if (this.#child.stdout === null) throw new Error('the driver has no output')
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the driver has not started')
    return this.#child.pid
  }

  /** What the engine answers to a command, whatever that is. */
  async ask(...words: (string | number)[]): Promise<Answer> {
    this.#child.stdin?.write(`${words.join(' ')}\n`)
    const { value, done } = await this.#lines.next()
    if (done) throw new Error(`the engine ended at "${words.join(' ')}": ${await this.#exit}`)
    const [errno = '', ...text] = String(value).split(' ')
    return { errno: Number(errno), text: text.join(' ').trim() }
  }

  /** What it answers to a command that must succeed. */
  async do(...words: (string | number)[]): Promise<string> {
    const { errno, text } = await this.ask(...words)
    if (errno !== 0) throw new Error(`${words.join(' ')}: errno ${errno} ${text}`)
    return text
  }

  /** The content's hash, without the sizes. */
  async hash(volume: string): Promise<string> {
    return (await this.do('hash', volume)).split(' ')[0] ?? ''
  }

  /** Pulls the plug. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exit
  }

  /** Ends it as a process ends: how it did. */
  async end(): Promise<string> {
    this.#child.stdin?.end()
    return this.#exit
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }
}
