/** One end of many transfers at once: a process that says when it is ready, and what it used when all are done. */
import { type StdioOptions, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { closeSync } from 'node:fs'
import { setPriority } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import { z } from 'zod'
import {
  connect,
  type DataOffer,
  defineMethod,
  handle,
  listen,
  loadCredentials,
  type PlaneChoice,
  pipeSink,
  pipeSource,
} from '../../src/transport/index.js'
import { type Used, watch } from '../frame/watch.js'
import { makePipe } from '../tools/pipe.js'

export interface Order {
  role: 'send' | 'receive'
  credentials: string
  peer: string
  port: number
  plane: PlaneChoice
  transfers: number
  /** Of each transfer. */
  bytes: number
}

export type Said = { port: number } | Used

const host = '127.0.0.1'
const offer = defineMethod('offer', { params: z.object({}), result: z.object({ ticket: z.string() }) })

async function told(said: Said): Promise<void> {
  const go = once(process, 'message')
  process.send?.(said)
  await go
}

/** Stands for a thread of ZFS's at the other end of a pipe, which would be as nice. */
function start(file: string, argv: string[], stdio: StdioOptions): void {
  const { pid } = spawn(file, argv, { stdio })
  if (pid !== undefined) setPriority(pid, 10)
}

/** A pipe from which so many zeros come. */
function zeros(bytes: number): Readable {
  const { read, write } = makePipe()
  start('head', ['-c', `${bytes}`, '/dev/zero'], ['ignore', write, 'inherit'])
  closeSync(write)
  const source = pipeSource(read)
  closeSync(read)
  return source
}

/** A pipe to a program that throws everything away. */
function nowhere(): Writable {
  const { read, write } = makePipe()
  start('cat', [], [read, 'ignore', 'inherit'])
  closeSync(read)
  const sink = pipeSink(write)
  closeSync(write)
  return sink
}

async function send({ credentials, peer, port, plane, transfers, bytes }: Order): Promise<void> {
  const target = { host, port, credentials: await loadCredentials(credentials), expectIdentity: peer }
  await using connection = await connect({ ...target, dataPlane: plane })
  const one = async (from: Readable): Promise<void> => {
    const { ticket } = await connection.request(offer, {})
    await (await connection.openData(ticket)).send(from)
  }
  // Starting programs holds up the event loop, which is not what is to be seen.
  const sources = Array.from({ length: transfers }, () => zeros(bytes))
  await told({ port })
  const ended = watch()
  await Promise.all(sources.map(one))
  await told(ended())
}

async function receive({ credentials, plane, transfers }: Order): Promise<void> {
  const finished = new EventEmitter()
  const sinks = Array.from({ length: transfers }, nowhere)
  let left = transfers
  const take = async (made: DataOffer): Promise<void> => {
    await (await made.channel()).receive(sinks.pop() as Writable)
    left -= 1
    if (left === 0) finished.emit('all')
  }
  const handler = handle(offer, (_, context) => {
    const made = context.offerData()
    take(made).catch((error) => finished.emit('error', error))
    return { ticket: made.ticket }
  })
  const options = { host, port: 0, credentials: await loadCredentials(credentials), handlers: [handler] }
  await using server = await listen({ ...options, dataPlane: plane })
  const all = once(finished, 'all')
  await told({ port: server.port })
  const ended = watch()
  await all
  await told(ended())
}

async function main(order: Order): Promise<void> {
  await (order.role === 'send' ? send(order) : receive(order))
  process.disconnect()
}

void main(JSON.parse(process.argv[2] as string))
