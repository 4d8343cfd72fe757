import { createHash, randomBytes } from 'node:crypto'
import { PassThrough, Readable, Writable } from 'node:stream'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { FlockerError, ZfsError } from '../../src/errors.js'
import {
  type Connection,
  type DataChannel,
  type DataOffer,
  defineMethod,
  type Handler,
  handle,
  type Server,
} from '../../src/transport/index.js'
import { Cluster, FaultyLink, failure, type Scope, scoped, until } from './transport-fixtures.js'

let cluster: Cluster

test.before(async () => {
  cluster = await Cluster.create()
})

test.after(() => cluster.destroy())

const offerData = defineMethod('offer', { params: z.object({}), result: z.object({ ticket: z.string() }) })

interface Pair {
  server: Server
  connection: Connection
  offers: DataOffer[]
  /** Both ends of a new data channel. */
  channels(): Promise<{ near: DataChannel; far: DataChannel }>
}

async function pair(scope: Scope, through?: (port: number) => Promise<number>): Promise<Pair> {
  const offers: DataOffer[] = []
  const handler: Handler = handle(offerData, (_, context) => {
    const offer = context.offerData()
    offers.push(offer)
    return { ticket: offer.ticket }
  })
  const server = await scope.listen(await cluster.host('beta'), { handlers: [handler], limits: { ticketMilliseconds: 400 } })
  const port = through === undefined ? server.port : await through(server.port)
  const connection = await scope.connect(await cluster.host('alpha'), port)
  const channels = async () => {
    const { ticket } = await connection.request(offerData, {})
    const near = await connection.openData(ticket)
    const far = await offers[offers.length - 1]?.channel()
    assert.ok(far)
    return { near, far }
  }
  return { server, connection, offers, channels }
}

/** Takes everything, keeping its hash and length. */
class HashSink extends Writable {
  readonly #hash = createHash('sha256')
  bytes = 0

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.#hash.update(chunk)
    this.bytes += chunk.length
    done()
  }

  digest(): string {
    return this.#hash.digest('hex')
  }
}

test('a stream arrives byte for byte, in either direction', scoped(async (scope) => {
  const { channels } = await pair(scope)
  const chunks = [1, 100, 16_384, 70_000, 3_000_000, 5].map((size) => randomBytes(size))
  const whole = createHash('sha256').update(Buffer.concat(chunks)).digest('hex')
  const total = BigInt(Buffer.concat(chunks).length)
  for (const direction of ['push', 'pull']) {
    const { near, far } = await channels()
    const [from, to] = direction === 'push' ? [near, far] : [far, near]
    const sink = new HashSink()
    const seen: bigint[] = []
    const [sent, received] = await Promise.all([
      from.send(Readable.from(chunks), { onBytes: (n) => seen.push(n) }),
      to.receive(sink),
    ])
    assert.is(sent, total)
    assert.is(received, total)
    assert.is(sink.digest(), whole)
    assert.is(seen[seen.length - 1], total)
  }
}))

test('an empty stream is a stream', scoped(async (scope) => {
  const { channels } = await pair(scope)
  const { near, far } = await channels()
  const results = await Promise.all([near.send(Readable.from([])), far.receive(new HashSink())])
  assert.equal(results, [0n, 0n])
}))

test.run()
