/** Ways for one snapshot from one pool in a file into another, through more and less. */
import { closeSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Built, Engine } from '../../test/embedded/engine.js'
import { Child } from '../frame/child.js'
import type { Sample } from '../frame/result.js'
import { makeFifo, makePipe } from '../tools/pipe.js'
import type { Order } from './end.js'
import type { Content } from './fill.js'

export interface Place {
  directory: string
  engine: Built
  mebibytes: number
}

export type Way = (place: Place, volume: Content) => Promise<Sample>

export const pushLabel = 'pushVolume, over mutual TLS'

export const ways: Readonly<Record<string, Way>> = {
  [pushLabel]: (place, name) => between(place, name, 'push', 'agent'),
  'lzc.send and receive, plain TCP': (place, name) => between(place, name, 'tcpSend', 'tcpReceive'),
  'lzc.send | lzc.receive, bare pipe': (place, name) => between(place, name, 'pipeSend', 'pipeReceive'),
  'the engine alone, C, bare pipe': alone,
}

const clockTicks = 100
const sendFlags = 7

/** A process at one end of a transfer. */
export function startEnd(
  { directory, engine, mebibytes }: Place,
  order: Pick<Order, 'role' | 'name' | 'port'>,
  pipeEnd?: number,
): Child {
  const whole: Order = { directory, mebibytes, ...order }
  const environment = { FLOCKER_ZFS_EMBEDDED_LIBRARY: engine.library }
  return new Child(join(__dirname, 'end.js'), whole, environment, pipeEnd)
}

async function ready(end: Child): Promise<number> {
  return (await end.hears<{ ready: number }>()).ready
}

async function done(end: Child): Promise<number> {
  return (await end.hears<{ done: number }>()).done
}

/** One transfer between two new processes; only what is between the word and the end of it counts. */
async function between(place: Place, name: Content, from: Order['role'], to: Order['role']): Promise<Sample> {
  const { read, write } = makePipe()
  await using receiver = startEnd(place, { role: to, name }, read)
  const port = await ready(receiver)
  await using sender = startEnd(place, { role: from, name, port }, write)
  await ready(sender)
  closeSync(read)
  closeSync(write)
  const before = await cpu(sender.pid, receiver.pid)
  const began = performance.now()
  const ends = from === 'push' ? [sender] : [sender, receiver]
  const all = Promise.all(ends.map(done))
  receiver.tell()
  sender.tell()
  const [bytes = 0] = await all
  const seconds = (performance.now() - began) / 1000
  const cpuSeconds = (await cpu(sender.pid, receiver.pid)) - before
  if (from === 'push') {
    const heard = done(receiver)
    receiver.tell()
    await heard
  }
  sender.tell()
  receiver.tell()
  await Promise.all([sender.ended(), receiver.ended()])
  return sampleOf(bytes, seconds, cpuSeconds)
}

/** The engine's functions called from C, with the kernel's pipe between the two processes and nothing else. */
async function alone({ directory, engine }: Place, name: Content): Promise<Sample> {
  const fifo = makeFifo(directory)
  await using sender = new Engine(engine, { privileged: true })
  await using receiver = new Engine(engine, { privileged: true })
  await sender.do('open', join(directory, 'alpha'), 'alpha')
  await receiver.do('open', join(directory, 'beta'), 'beta', 1024 ** 4)
  const before = await cpu(sender.pid, receiver.pid)
  const began = performance.now()
  const [, answer] = await Promise.all([
    sender.do('send', `alpha/flocker/${name}@bench`, '-', sendFlags, fifo),
    receiver.do('receive', `beta/${name}@bench`, fifo),
  ])
  const seconds = (performance.now() - began) / 1000
  const cpuSeconds = (await cpu(sender.pid, receiver.pid)) - before
  await sender.do('close', 'alpha')
  return sampleOf(Number(answer.split(' ')[0]), seconds, cpuSeconds)
}

function sampleOf(bytes: number, seconds: number, cpuSeconds: number): Sample {
  return { throughput: bytes / 1e6 / seconds, cpu: cpuSeconds / (bytes / 1e9) }
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
