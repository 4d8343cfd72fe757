/** A peer that is certified and keeps to nothing else: raw frames against a real server. */
import { once } from 'node:events'
import { Readable, Writable } from 'node:stream'
import { type TLSSocket, connect as tlsConnect } from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { countFrame, FrameDecoder, FrameType, frame, frameHeader } from '../../src/transport/frames.js'
import type { DataChannel } from '../../src/transport/index.js'
import { encodeMessage, VERSIONS } from '../../src/transport/messages.js'
import { readMessage } from '../../src/transport/socket.js'
import { tlsOptions } from '../../src/transport/tls.js'
import { Cluster, endless, failure, HashSink, offerData, type Pair, pair, scoped, until } from './transport-fixtures.js'

let cluster: Cluster

test.before(async () => {
  cluster = await Cluster.create()
})

test.after(() => cluster.destroy())

/** A data connection spoken by hand. */
class Raw {
  readonly said: Array<{ type: number; bytes: Buffer }> = []

  private constructor(readonly socket: TLSSocket) {
    const decoder = new FrameDecoder()
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      for (const { type, bytes } of decoder.push(chunk)) this.said.push({ type, bytes: Buffer.from(bytes) })
    })
  }

  /** Redeems a ticket; the error's code if it is refused. */
  static async open(identity: string, port: number, ticket: string): Promise<Raw | string> {
    const socket = tlsConnect({ ...tlsOptions(await cluster.host(identity)), host: '127.0.0.1', port })
    await once(socket, 'secureConnect')
    socket.write(encodeMessage({ type: 'data', versions: VERSIONS, ticket }, 16_384))
    const reply = JSON.parse((await readMessage(socket, 16_384)).toString())
    if (reply.type === 'welcome') return new Raw(socket)
    socket.destroy()
    return reply.error.code
  }

  say(...frames: Buffer[]): void {
    this.socket.write(Buffer.concat(frames))
  }

  /** The next frame of a type, waited for. */
  async next(type: number): Promise<Buffer> {
    await until(() => this.said.some((piece) => piece.type === type))
    const index = this.said.findIndex((piece) => piece.type === type)
    return this.said.splice(index, 1)[0]?.bytes as Buffer
  }
}

const data = (bytes: number): Buffer => frame(FrameType.DATA, Buffer.alloc(bytes, 1))
const next = (total: bigint): Buffer => countFrame(FrameType.NEXT, total)
const want = frameHeader(FrameType.WANT, 0)

async function open({ connection, server, offers }: Pair): Promise<{ raw: Raw; far: DataChannel }> {
  const { ticket } = await connection.request(offerData, {})
  const raw = await Raw.open('alpha', server.port, ticket)
  const far = await offers[offers.length - 1]?.channel()
  assert.instance(raw, Raw)
  assert.ok(far)
  return { raw: raw as Raw, far }
}

test(
  'a successor by hand: the ticket is for one connection, one host, one stream',
  scoped(async (scope) => {
    const hosts = await pair(scope, cluster)
    const port = hosts.server.port
    const first = await open(hosts)
    const sink = new HashSink()
    const received = first.far.receive(sink)
    first.raw.say(data(100), want)
    const ticket = (await first.raw.next(FrameType.TICKET)).toString()
    const second = await Raw.open('alpha', port, ticket)
    assert.instance(second, Raw)
    assert.is(await Raw.open('alpha', port, ticket), 'NOT_AUTHORIZED')
    ;(second as Raw).say(data(50), countFrame(FrameType.END, 157n))
    // Nothing of the successor is read before the connection before it has come to its end.
    first.raw.say(data(7))
    await until(() => sink.bytes === 107)
    first.raw.say(next(107n))
    assert.is(await received, 157n)
    assert.is((await (second as Raw).next(FrameType.ACK)).readBigUInt64BE(), 157n)

    const other = await open(hosts)
    const spoiled = failure(other.far.receive(new HashSink()))
    other.raw.say(data(1), want)
    const leaked = (await other.raw.next(FrameType.TICKET)).toString()
    assert.is(await Raw.open('gamma', port, leaked), 'NOT_AUTHORIZED')
    assert.is((await spoiled).code, 'NOT_AUTHORIZED')
    assert.is(await Raw.open('alpha', port, leaked), 'NOT_AUTHORIZED')

    const ended = await open(hosts)
    const end = ended.far.receive(new HashSink())
    ended.raw.say(want)
    const unused = (await ended.raw.next(FrameType.TICKET)).toString()
    ended.raw.say(countFrame(FrameType.END, 0n))
    assert.is(await end, 0n)
    assert.is(await Raw.open('alpha', port, unused), 'NOT_AUTHORIZED')
  }),
)

test(
  'what a receiver does not expect is PROTOCOL',
  scoped(async (scope) => {
    const hosts = await pair(scope, cluster)
    const ticket = frame(FrameType.TICKET, Buffer.alloc(43, 'a'))
    for (const words of [
      [next(0n)],
      [data(10), want, next(9n)],
      [data(10), want, next(10n)],
      [want, want],
      [ticket],
      [countFrame(FrameType.TAKEN, 0n)],
      [countFrame(FrameType.ACK, 0n)],
      [data(1), countFrame(FrameType.END, 2n)],
      [data(1), countFrame(FrameType.END, 1n), data(1)],
    ]) {
      const { raw, far } = await open(hosts)
      const sink = new Writable({ write: (_, __, done) => done(), final: () => undefined })
      const receiving = failure(far.receive(sink))
      raw.say(...words)
      assert.is((await receiving).code, 'PROTOCOL', `${words.map((word) => word.toString('hex', 0, 8))}`)
      assert.ok(sink.destroyed)
    }

    const { raw, far } = await open(hosts)
    const receiving = failure(far.receive(new HashSink()))
    raw.say(want)
    const successor = (await Raw.open('alpha', hosts.server.port, (await raw.next(FrameType.TICKET)).toString())) as Raw
    raw.say(next(0n), data(1))
    assert.is((await receiving).code, 'PROTOCOL', 'more after NEXT')
    assert.match((await successor.next(FrameType.ERROR)).toString(), /PROTOCOL/)
  }),
)

test(
  'what a sender does not expect is PROTOCOL',
  scoped(async (scope) => {
    const hosts = await pair(scope, cluster)
    for (const words of [
      [countFrame(FrameType.TAKEN, 1n << 60n)],
      [countFrame(FrameType.ACK, 0n)],
      [want],
      [frame(FrameType.TICKET, Buffer.alloc(43, 'a'))],
      [next(0n)],
      [data(1)],
    ]) {
      const { raw, far } = await open(hosts)
      const source = endless()
      const sending = failure(far.send(source))
      raw.say(...words)
      assert.is((await sending).code, 'PROTOCOL')
      assert.ok(source.destroyed)
    }
  }),
)

test(
  'a lost successor is no loss until it is needed, and then it is PEER_LOST',
  scoped(async (scope) => {
    const hosts = await pair(scope, cluster)
    const { raw, far } = await open(hosts)
    const sink = new HashSink()
    const receiving = failure(far.receive(sink))
    raw.say(want)
    const successor = (await Raw.open('alpha', hosts.server.port, (await raw.next(FrameType.TICKET)).toString())) as Raw
    successor.socket.destroy()
    raw.say(data(10))
    await until(() => sink.bytes === 10)
    await new Promise((resolve) => setTimeout(resolve, 50))
    raw.say(next(10n))
    assert.is((await receiving).code, 'PEER_LOST')
  }),
)

test(
  'a peer that takes everything and opens no successor is given up on, and one that takes nothing is not',
  scoped(async (scope) => {
    const hosts = await pair(scope, cluster, { far: { limits: { keyBytes: 256 * 1024, handshakeMilliseconds: 300 } } })
    const { raw, far } = await open(hosts)
    const sending = failure(far.send(Readable.from([Buffer.alloc(1024 * 1024)])))
    await raw.next(FrameType.TICKET)
    await new Promise((resolve) => setTimeout(resolve, 600))
    const received = raw.said.reduce((sum, { type, bytes }) => sum + (type === FrameType.DATA ? bytes.length : 0), 0)
    assert.ok(received <= 256 * 1024, `${received} bytes`)
    raw.say(countFrame(FrameType.TAKEN, BigInt(received)))
    const started = performance.now()
    assert.is((await sending).code, 'PEER_UNREACHABLE')
    assert.ok(performance.now() - started > 250)
  }),
)

test.run()
