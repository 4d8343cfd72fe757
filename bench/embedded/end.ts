/**
 * One end of a transfer, in a process of its own that has a pool open: says that it is ready, waits for its word, does its part, and
 * says how many bytes it has moved.
 */
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { connect, createServer, Socket } from 'node:net'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Host, openHost, pushVolume } from '../../src/index.js'
import { receive, send, snapshot } from '../../src/lzc/index.js'
import { pipeEnd } from '../frame/child.js'
import { type Content, fill } from './fill.js'

export interface Order {
  role: 'fill' | keyof typeof roles
  directory: string
  /** The volume, named after what is in it. */
  name: Content
  mebibytes: number
  /** What an end that listens said. */
  port?: number
}

export type Said = { ready: number } | { done: number }

/** As pushVolume sends. */
const flags = { largeBlocks: true, embedded: true, compressed: true }
const word = 'bench'

function openEnd(directory: string, pool: 'alpha' | 'beta'): Promise<Host> {
  return openHost({ embedded: join(directory, pool), pool, credentials: join(directory, 'certs', pool) })
}

function say(said: Said): void {
  process.send?.(said)
}

async function told(port = 0): Promise<void> {
  const go = once(process, 'message')
  say({ ready: port })
  await go
}

const sendTo = async ({ name }: Order, to: Writable): Promise<number> => {
  const stream = send(`alpha/flocker/${name}@${word}`, { flags })
  await pipeline(stream, to)
  return Number(stream.bytes)
}

const receiveFrom = async ({ name }: Order, from: Readable): Promise<number> => {
  const sink = receive(`beta/${name}@${word}`)
  await pipeline(from, sink)
  return Number(sink.bytes)
}

const roles = {
  pipeSend: async (order: Order) => {
    await told()
    return sendTo(order, createWriteStream('', { fd: pipeEnd }))
  },
  pipeReceive: async (order: Order) => {
    await told()
    return receiveFrom(order, new Socket({ fd: pipeEnd, writable: false }))
  },
  tcpSend: async (order: Order) => {
    await told()
    return sendTo(order, connect(order.port as number, '127.0.0.1'))
  },
  tcpReceive: async (order: Order) => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const accepted = once(server, 'connection')
    await told((server.address() as { port: number }).port)
    const [socket] = (await accepted) as [Socket]
    const bytes = await receiveFrom(order, socket)
    server.close()
    return bytes
  },
  push: async ({ name, port }: Order, host: Host) => {
    await using peer = await host.connect(`127.0.0.1:${port}`)
    const volume = await host.getVolume(name)
    await told()
    return Number((await pushVolume(volume, peer, { snapshot: word })).bytes)
  },
  agent: async (_order: Order, host: Host) => {
    const authorize = [
      { peer: 'alpha', verbs: ['inspect' as const, 'receive' as const], datasets: ['beta/flocker/**'] },
    ]
    const server = await host.listen({ port: 0, address: '127.0.0.1', authorize })
    await told(server.port)
    // Its part ends with the other's.
    await once(process, 'message')
    return 0
  },
}

async function main(order: Order): Promise<void> {
  const atHome = ['fill', 'pipeSend', 'tcpSend', 'push'].includes(order.role)
  await using host = await openEnd(order.directory, atHome ? 'alpha' : 'beta')
  if (order.role === 'fill') {
    const volume = await fill(host, order.name, order.mebibytes, order.name)
    await snapshot(`${volume.dataset}@${word}`)
    process.disconnect()
    return
  }
  const done = await roles[order.role](order, host)
  const heard = once(process, 'message')
  say({ done })
  // The parent looks at what this has cost before it ends.
  await heard
  process.disconnect()
}

if (require.main === module) void main(JSON.parse(process.argv[2] as string))
