/** A host in a process of its own, which does what the harness asks: fork it with a pipe as descriptor 4. */
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { pino } from 'pino'
import { getProperties } from '../../../src/datasets/index.js'
import { type Host, openHost } from '../../../src/index.js'
import * as lzc from '../../../src/lzc/index.js'
import { decodeResumeToken } from '../../../src/stream/index.js'
import { VERBS } from '../../../src/transport/index.js'
import { fill, mebibyte } from '../cluster.js'
import { type Filling, fillerOf } from './filler.js'
import { type Found, look, remove } from './look.js'
import {
  changeContent,
  createContent,
  type Ended,
  type Operation,
  type RunOptions,
  runOperation,
  type Side,
} from './operations.js'
import { Steps, watchSteps } from './steps.js'

const poolBytes = 1n << 30n
const gone: Record<Side, Side> = { alpha: 'beta', beta: 'alpha' }

let host: Host
let filler: Worker
const steps = new Steps(() => fillNow())

/** Has the pool filled, or emptied again, by a thread that goes on while this one stands still. */
function order(full: boolean): Int32Array {
  const done = new Int32Array(new SharedArrayBuffer(4))
  filler.postMessage({ full, done } satisfies Filling)
  return done
}

function fillNow(): void {
  const done = order(true)
  Atomics.wait(done, 0, 0)
  if (done[0] !== 1) throw new Error('the pool could not be filled')
}

/** What the harness may ask. */
const commands = {
  /** Opens the host, whose pool is made where there is none; the port that it listens on. */
  async open(directory: string, identity: Side): Promise<number> {
    lzc.chooseEngine('embedded')
    await lzc.openPool(join(directory, identity), identity, { size: poolBytes })
    const logger = pino({ level: process.env.FLOCKER_ZFS_FAULTS_LOG ?? 'silent', name: identity }, pino.destination(2))
    const credentials = join(directory, `${identity}-credentials`)
    host = await openHost({ embedded: join(directory, identity), pool: identity, credentials, logger })
    if (!(await lzc.exists(fillerOf(identity))))
      await lzc.create(fillerOf(identity), { properties: { canmount: 'off' } })
    const rule = { peer: gone[identity], verbs: [...VERBS], datasets: [`${host.root}/**`] }
    filler = new Worker(join(__dirname, 'filler.js'), { workerData: identity })
    return (await host.listen({ port: 0, address: '127.0.0.1', authorize: [rule] })).port
  },

  createContent: (content: Operation['content'], volume: string): Promise<void> => createContent(host, content, volume),

  changeContent: (content: Operation['content'], volume: string): Promise<void> => changeContent(host, content, volume),

  /** Writes so many MiB from the beginning of a disk on, which is made where there is none. */
  async rewrite(volume: string, mebibytes: number): Promise<void> {
    const dataset = `${host.root}/${volume}`
    if (!(await lzc.exists(dataset))) await host.createVolume(volume, { size: mebibytes * mebibyte })
    await fill(await host.getVolume(volume), 0, mebibytes)
  },

  run: (port: number, name: string, volume: string, options: RunOptions): Promise<Ended> =>
    runOperation(host, `127.0.0.1:${port}`, name, volume, options),

  look: (volume: string): Promise<Found[]> => look(host, volume),

  /** Stream bytes that there are of an interrupted stream. */
  async kept(volume: string): Promise<bigint> {
    const dataset = `${host.root}/${volume}`
    if (!(await lzc.exists(dataset))) return 0n
    const token = (await getProperties(dataset)).receive_resume_token?.value
    return typeof token === 'string' && token !== '' ? decodeResumeToken(token).bytes : 0n
  },

  remove: (volume: string): Promise<void> => remove(`${host.root}/${volume}`),

  /** Counts steps anew, and stands still at one. */
  async beginSteps(stopAt?: string): Promise<void> {
    steps.begin(stopAt)
  },

  /** Stands still at none; those that there were. */
  async endSteps(): Promise<string[]> {
    return steps.end()
  },

  async fill(full: boolean): Promise<void> {
    const done = order(full)
    while (done[0] === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    if (done[0] !== 1) throw new Error('the pool could not be filled or emptied')
  },

  async close(): Promise<void> {
    await filler.terminate()
    await host.close()
    await lzc.closePool(host.identity)
  },
}

export type Commands = typeof commands

export interface Asked {
  id: number
  name: keyof Commands
  args: unknown[]
}

export interface Answered {
  id: number
  value?: unknown
  error?: Error
}

async function answer({ id, name, args }: Asked): Promise<void> {
  const command = commands[name] as (...args: unknown[]) => Promise<unknown>
  try {
    process.send?.({ id, value: await command(...args) } satisfies Answered)
  } catch (error) {
    process.send?.({ id, error: error as Error } satisfies Answered)
  }
}

if (process.send !== undefined) {
  watchSteps(steps)
  process.on('message', (asked: Asked) => void answer(asked))
  // Whatever the harness ends with, no host outlives it.
  process.on('disconnect', () => process.exit(0))
}
