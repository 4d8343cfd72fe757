/**
 * One end of our own transfers, a whole process: `send` reads standard input and dials, `receive` listens and writes to descriptor 4.
 * Everything goes through the transport's public interface.
 */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import {
  connect,
  defineMethod,
  handle,
  listen,
  loadCredentials,
  type PlaneChoice,
  pipeSink,
  pipeSource,
} from '../../src/transport/index.js'

export interface Order {
  role: 'send' | 'receive'
  credentials: string
  peer: string
  port: number
  plane: PlaneChoice
}

const host = '127.0.0.1'
const pollMilliseconds = 5
/** Not standard output: whoever looks at `process.stdout`, as pino does, makes a pipe there non-blocking. */
export const outputDescriptor = 4
const offer = defineMethod('offer', { params: z.object({}), result: z.object({ ticket: z.string() }) })

async function send({ credentials, peer, port, plane }: Order): Promise<void> {
  const target = { host, port, credentials: await loadCredentials(credentials), expectIdentity: peer }
  await using connection = await connect({ ...target, dataPlane: plane })
  const { ticket } = await connection.request(offer, {})
  const channel = await connection.openData(ticket)
  await channel.send(pipeSource(0))
}

async function receive({ credentials, port, plane }: Order): Promise<void> {
  const received = new EventTarget()
  const handler = handle(offer, (_, context) => {
    const made = context.offerData()
    const take = async (): Promise<void> => {
      await (await made.channel()).receive(pipeSink(outputDescriptor))
      received.dispatchEvent(new Event('done'))
    }
    void take()
    return { ticket: made.ticket }
  })
  const options = { host, port, credentials: await loadCredentials(credentials), handlers: [handler] }
  const done = once(received, 'done')
  await using server = await listen({ ...options, dataPlane: plane })
  await done
  // Goodbye on one connection may overtake the confirmation on another.
  while (server.connections > 0) await sleep(pollMilliseconds)
}

function main(order: Order): Promise<void> {
  return order.role === 'send' ? send(order) : receive(order)
}

if (require.main === module) void main(JSON.parse(process.argv[2] as string))
