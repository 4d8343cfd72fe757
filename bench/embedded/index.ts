/**
 * `npm run bench:embedded`: pushVolume between two processes with pools in files, at this machine's own speed, beside the same
 * stream through less: plain TCP, a bare pipe, and a pipe without JavaScript. All move the same snapshot into a new pool, taken
 * in turn.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, open, readFile, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCa, createHostCertificate } from '../../src/index.js'
import { build, Engine } from '../../test/embedded/engine.js'
import { machine, mebibyte, print, printRatios, type Sample } from '../report.js'
import type { Order, Said } from './end.js'

const rounds = 5
const mebibytes = 512
const volumes = ['random', 'compressible'] as const
const sharedMemory = '/dev/shm'
const clockTicks = 100
const flags = 7

type Way = (place: Place, volume: string) => Promise<Sample>
type Place = { directory: string; engine: Awaited<ReturnType<typeof build>> }

const ways: Record<string, Way> = {
  'pushVolume, over mutual TLS': (place, name) => between(place, name, 'push', 'agent'),
  'lzc.send and receive, plain TCP': (place, name) => between(place, name, 'tcpSend', 'tcpReceive'),
  'lzc.send | lzc.receive, bare pipe': (place, name) => between(place, name, 'pipeSend', 'pipeReceive'),
  'the engine alone, C, bare pipe': alone,
}

/** A process at one end of a transfer. */
class End implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>

  constructor({ directory, engine }: Place, order: Omit<Order, 'directory' | 'mebibytes'>, pipeEnd?: number) {
    const whole: Order = { directory, mebibytes, ...order }
    this.#child = spawn(process.execPath, [join(__dirname, 'end.js'), JSON.stringify(whole)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', pipeEnd ?? 'ignore'],
      env: { ...process.env, FLOCKER_ZFS_EMBEDDED_LIBRARY: engine.library },
    })
    this.#ended = once(this.#child, 'exit')
  }

  get pid(): number {
    return this.#child.pid as number
  }

  async hears<K extends 'ready' | 'done'>(what: K): Promise<number> {
    const lost = this.#ended.then(() => {
      throw new Error(`${this.#child.spawnargs.at(-1)} ended early`)
    })
    const [said] = (await Promise.race([once(this.#child, 'message'), lost])) as [Said]
    if (!(what in said)) throw new Error(`${JSON.stringify(said)} where ${what} was to come`)
    return Object.values(said)[0] as number
  }

  tell(): void {
    this.#child.send('go')
  }

  async ended(): Promise<void> {
    await this.#ended
    if (this.#child.exitCode !== 0) throw new Error(`${this.#child.spawnargs.at(-1)} failed`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }
}

/** One transfer between two new processes; only what is between the word and the end of it counts. */
async function between(place: Place, name: string, from: Order['role'], to: Order['role']): Promise<Sample> {
  const { read, write, close } = await pipe(place.directory)
  await using receiver = new End(place, { role: to, name }, read)
  const port = await receiver.hears('ready')
  await using sender = new End(place, { role: from, name, port }, write)
  await sender.hears('ready')
  await close()
  const before = await cpu(sender.pid, receiver.pid)
  const began = performance.now()
  const ends = from === 'push' ? [sender] : [sender, receiver]
  const done = Promise.all(ends.map((end) => end.hears('done')))
  receiver.tell()
  sender.tell()
  const [bytes = 0] = await done
  const seconds = (performance.now() - began) / 1000
  const cpuSeconds = (await cpu(sender.pid, receiver.pid)) - before
  if (from === 'push') {
    const heard = receiver.hears('done')
    receiver.tell()
    await heard
  }
  sender.tell()
  receiver.tell()
  await Promise.all([sender.ended(), receiver.ended()])
  return { bytes, seconds, cpuSeconds }
}

/** The engine's functions called from C, with the kernel's pipe between the two processes and nothing else. */
async function alone({ directory, engine }: Place, name: string): Promise<Sample> {
  const fifo = await makeFifo(directory)
  await using sender = new Engine(engine, { privileged: true })
  await using receiver = new Engine(engine, { privileged: true })
  await sender.do('open', join(directory, 'alpha'), 'alpha')
  await receiver.do('open', join(directory, 'beta'), 'beta', 1024 ** 4)
  const before = await cpu(sender.pid, receiver.pid)
  const began = performance.now()
  const [, answer] = await Promise.all([
    sender.do('send', `alpha/flocker/${name}@bench`, '-', flags, fifo),
    receiver.do('receive', `beta/${name}@bench`, fifo),
  ])
  const seconds = (performance.now() - began) / 1000
  const cpuSeconds = (await cpu(sender.pid, receiver.pid)) - before
  await sender.do('close', 'alpha')
  return { bytes: Number(answer.split(' ')[0]), seconds, cpuSeconds }
}

async function makeFifo(directory: string): Promise<string> {
  const fifo = join(directory, 'fifo')
  await rm(fifo, { force: true })
  const made = spawnSync('mkfifo', [fifo], { stdio: 'inherit' })
  if (made.status !== 0) throw new Error('mkfifo failed')
  return fifo
}

/** The two ends of a pipe(2), as a shell makes them between two programs. */
async function pipe(directory: string): Promise<{ read: number; write: number; close: () => Promise<void> }> {
  const fifo = await makeFifo(directory)
  // Open for both, it doesn't wait for another end.
  const both = await open(fifo, 'r+')
  const [read, write] = [await open(fifo, 'r'), await open(fifo, 'w')]
  await both.close()
  const close = async (): Promise<void> => {
    await Promise.all([read.close(), write.close()])
  }
  return { read: read.fd, write: write.fd, close }
}

/** Seconds of processor time, proc(5). */
async function cpu(...pids: number[]): Promise<number> {
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8')))
  const ticks = stats.map((text) => {
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return Number(fields[11]) + Number(fields[12])
  })
  return ticks.reduce((sum, some) => sum + some, 0) / clockTicks
}

async function makePlace(): Promise<Place> {
  const needed = 4 * volumes.length * mebibytes * mebibyte
  const { bavail, bsize } = existsSync(sharedMemory) ? await statfs(sharedMemory) : { bavail: 0, bsize: 0 }
  const base = bavail * bsize > needed ? sharedMemory : tmpdir()
  const directory = await mkdtemp(join(base, 'flocker-zfs-bench-'))
  await createCa(join(directory, 'ca'))
  for (const identity of ['alpha', 'beta']) {
    const addresses = ['127.0.0.1']
    await createHostCertificate(join(directory, 'ca'), join(directory, 'certs', identity), { identity, addresses })
  }
  return { directory, engine: await build('2.3') }
}

async function main(): Promise<void> {
  const place = await makePlace()
  try {
    const where = place.directory.startsWith(sharedMemory) ? 'memory (/dev/shm)' : 'files on disk'
    console.log(`${machine()}; Node.js ${process.version}, embedded OpenZFS 2.3; pools in ${where}`)
    for (const name of volumes) await measure(place, name)
  } finally {
    await rm(place.directory, { recursive: true, force: true })
  }
}

async function measure(place: Place, name: (typeof volumes)[number]): Promise<void> {
  await new End(place, { role: 'fill', name }).ended()
  const samples = Object.fromEntries(Object.keys(ways).map((label) => [label, [] as Sample[]]))
  for (let round = 0; round < rounds; round++) {
    for (const [label, way] of Object.entries(ways)) {
      await rm(join(place.directory, 'beta'), { recursive: true, force: true })

      samples[label]?.push(await way(place, name))
    }
  }
  const [[, pushed], ...others] = Object.entries(samples) as [[string, Sample[]], ...[string, Sample[]][]]
  const size = ((pushed[0]?.bytes ?? 0) / mebibyte).toFixed(0)
  console.log(`\n${mebibytes} MiB of ${name} data: a stream of ${size} MiB`)
  for (const [label, list] of Object.entries(samples)) print(label, list)
  for (const [label, list] of others) printRatios(`pushVolume to ${label}`, pushed, list)
}

void main()
