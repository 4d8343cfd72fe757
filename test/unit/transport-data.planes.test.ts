import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { PassThrough, Readable, Writable } from 'node:stream'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ZfsError } from '../../src/errors.js'
import {
  Cluster,
  endless,
  FaultyLink,
  failure,
  HashSink,
  offerData,
  offering,
  pair,
  scoped,
  until,
} from './transport-fixtures.js'

let cluster: Cluster

test.before(async () => {
  cluster = await Cluster.create()
})

test.after(() => cluster.destroy())

test(
  'a stream arrives byte for byte, in either direction',
  scoped(async (scope) => {
    const { channels } = await pair(scope, cluster)
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
  }),
)

test(
  'an empty stream is a stream',
  scoped(async (scope) => {
    const { channels } = await pair(scope, cluster)
    const { near, far } = await channels()
    const results = await Promise.all([near.send(Readable.from([])), far.receive(new HashSink())])
    assert.equal(results, [0n, 0n])
  }),
)

test(
  'a ticket is good once, for its host, for a short time',
  scoped(async (scope) => {
    const { server, connection, offers } = await pair(scope, cluster, { far: { limits: { ticketMilliseconds: 400 } } })
    const gamma = await scope.connect(await cluster.host('gamma'), server.port)

    const used = await connection.request(offerData, {})
    const channel = await connection.openData(used.ticket)
    assert.is((await failure(connection.openData(used.ticket))).code, 'NOT_AUTHORIZED')
    channel.destroy()

    const foreign = await connection.request(offerData, {})
    assert.is((await failure(gamma.openData(foreign.ticket))).code, 'NOT_AUTHORIZED')
    // Somebody else has it: it is worth nothing to its owner either.
    assert.is((await failure(connection.openData(foreign.ticket))).code, 'NOT_AUTHORIZED')
    assert.is((await failure(offers[1]?.channel() ?? Promise.resolve())).code, 'ABORTED')

    const late = await connection.request(offerData, {})
    assert.is((await failure(offers[2]?.channel() ?? Promise.resolve())).code, 'TIMEOUT')
    assert.is((await failure(connection.openData(late.ticket))).code, 'NOT_AUTHORIZED')

    const made = await failure(connection.openData(randomBytes(32).toString('base64url')))
    assert.is(made.code, 'NOT_AUTHORIZED')
    const malformed = await failure(connection.openData('rubbish'))
    assert.is(malformed.code, 'PROTOCOL')
  }),
)

test(
  "either end's failure reaches the other as what it was",
  scoped(async (scope) => {
    const { channels } = await pair(scope, cluster)
    const zfs = new ZfsError('NO_SPACE', 'out of space', { errno: 28, dataset: 'tank/a' })

    const first = await channels()
    const sinkFailed = failure(first.far.receive(new Writable({ write: (_, __, done) => done(zfs) })))
    const sender = await failure(first.near.send(endless()))
    assert.is(sender.code, 'NO_SPACE')
    assert.instance(sender, ZfsError)
    assert.is(sender.peer, 'beta')
    assert.is((sender as ZfsError).dataset, 'tank/a')
    assert.is(await sinkFailed, zfs as never)

    const second = await channels()
    const sink = new HashSink()
    const receiver = failure(second.far.receive(sink))
    const source = new PassThrough()
    const sent = failure(second.near.send(source))
    source.write(Buffer.alloc(1000))
    source.destroy(new Error('secret /path/of/this/host'))
    const told = await receiver
    assert.is(told.code, 'INTERNAL')
    assert.not.match(told.message, /secret/)
    assert.is((await sent).message, 'secret /path/of/this/host')
    assert.ok(sink.destroyed)

    // Whoever closes his own end without an error has stopped it; nothing was wrong with what he gave.
    for (const side of ['source', 'sink'] as const) {
      const { near, far } = await channels()
      const [given, taking] = [new PassThrough(), new PassThrough()]
      const ends = [failure(near.send(given)), failure(far.receive(taking))]
      given.write(Buffer.alloc(1000))
      await once(taking, 'readable')
      const closed = side === 'source' ? given : taking
      closed.destroy()
      for (const { code } of await Promise.all(ends)) assert.is(code, 'ABORTED')
    }
  }),
)

test(
  'an abort at either end ends both at once',
  scoped(async (scope) => {
    const { channels } = await pair(scope, cluster)
    for (const who of ['sender', 'receiver']) {
      const { near, far } = await channels()
      const stop = new AbortController()
      const source = endless()
      const sink = new HashSink()
      const sending = failure(near.send(source, who === 'sender' ? { signal: stop.signal } : {}))
      const receiving = failure(far.receive(sink, who === 'receiver' ? { signal: stop.signal } : {}))
      await until(() => sink.bytes > 1_000_000)
      const start = performance.now()
      stop.abort()
      const [here, there] =
        who === 'sender' ? await Promise.all([sending, receiving]) : await Promise.all([receiving, sending])
      assert.ok(performance.now() - start < 5000)
      assert.is(here.name, 'AbortError')
      assert.is(there.code, 'ABORTED')
      assert.ok(source.destroyed)
      assert.ok(sink.destroyed)
    }
  }),
)

test(
  'a closed connection is never success',
  scoped(async (scope) => {
    let link: FaultyLink | undefined
    const { channels } = await pair(scope, cluster, {
      through: async (port) => {
        link = await FaultyLink.open(scope, port)
        return link.port
      },
    })
    const { near, far } = await channels()
    const sink = new HashSink()
    const source = endless()
    const sending = failure(near.send(source))
    const receiving = failure(far.receive(sink))
    await until(() => sink.bytes > 1_000_000)
    link?.reset()
    assert.is((await sending).code, 'PEER_LOST')
    assert.is((await receiving).code, 'PEER_LOST')
    assert.ok(source.destroyed && sink.destroyed)
  }),
)

test(
  'a sender that vanishes in order, without END, is a lost peer',
  scoped(async (scope) => {
    const { channels } = await pair(scope, cluster)
    const { near, far } = await channels()
    const receiving = failure(far.receive(new HashSink()))
    near.destroy()
    assert.is((await receiving).code, 'PEER_LOST')
  }),
)

test(
  'a sink that fails just before the end of the stream is told of by its own error',
  scoped(async (scope) => {
    const { channels } = await pair(scope, cluster)
    const { near, far } = await channels()
    const full = new ZfsError('NO_SPACE', 'tank is full', { dataset: 'tank/a' })
    const sink = new Writable({
      write(_, __, done) {
        // It has failed; that it is told only once the kernel has let go, after the end has arrived.
        this.destroy(full)
        done()
      },
      destroy: (error, done) => void setTimeout(() => done(error), 300),
    })
    const receiving = failure(far.receive(sink))
    assert.is((await failure(near.send(Readable.from([randomBytes(1000)])))).code, 'NO_SPACE')
    assert.is((await receiving).code, 'NO_SPACE')
  }),
)

test(
  'a goodbye, of either end, does not overtake a confirmation',
  scoped(async (scope) => {
    for (let n = 0; n < 6; n += 1) {
      const { channels, connection, server } = await pair(scope, cluster)
      const { near, far } = await channels()
      const [from, to] = n % 2 === 0 ? [near, far] : [far, near]
      const sending = from.send(Readable.from([randomBytes(1000)]))
      assert.is(await to.receive(new HashSink()), 1000n)
      void (n % 2 === 0 ? server : connection).close()
      assert.is(await sending, 1000n)
    }
  }),
)

test(
  'an end whose first words never arrive is lost, however well the other way works',
  scoped(async (scope) => {
    const heartbeat = { intervalMilliseconds: 100, timeoutMilliseconds: 400 }
    const { channels } = await pair(scope, cluster, {
      near: { heartbeat, timeoutMilliseconds: 1500 },
      far: { heartbeat, limits: { handshakeMilliseconds: 1500 } },
    })
    const late = await channels()
    const [given, taking] = [new PassThrough(), new HashSink()]
    const sending = late.near.send(given)
    await new Promise((resolve) => setTimeout(resolve, 800))
    given.end('late')
    assert.equal(await Promise.all([sending, late.far.receive(taking)]), [4n, 4n])

    for (const side of ['near', 'far'] as const) {
      const alone = await channels()
      const started = performance.now()
      const { code } = await failure(side === 'near' ? alone.near.send(endless()) : alone.far.receive(new HashSink()))
      assert.is(code, 'PEER_LOST', side)
      const milliseconds = performance.now() - started
      assert.ok(milliseconds > 1400 && milliseconds < 8000, `${milliseconds} ms`)
    }
  }),
)

test(
  'garbled bytes are noticed, named, and not used',
  scoped(async (scope) => {
    let link: FaultyLink | undefined
    const { channels } = await pair(scope, cluster, {
      through: async (port) => {
        link = await FaultyLink.open(scope, port)
        return link.port
      },
    })
    const { near, far } = await channels()
    const sink = new HashSink()
    const sending = failure(near.send(endless()))
    const receiving = failure(far.receive(sink))
    await until(() => sink.bytes > 1_000_000)
    if (link) link.garbleFrom = 8000
    const codes = [(await sending).code, (await receiving).code]
    assert.ok(codes.includes('GARBLED'), codes.join())
    assert.ok(
      codes.every((code) => code === 'GARBLED' || code === 'PEER_LOST'),
      codes.join(),
    )
  }),
)

test(
  'a slow sink slows the source, and no more than a little is held',
  scoped(async (scope) => {
    const { channels } = await pair(scope, cluster)
    const { near, far } = await channels()
    let read = 0
    const source = endless((bytes) => {
      read += bytes
    })
    let taken = 0
    const sink = new Writable({
      write: (chunk, _, done) => {
        taken += chunk.length
        setTimeout(done, 20)
      },
    })
    const stop = new AbortController()
    const sending = failure(near.send(source, { signal: stop.signal }))
    const receiving = failure(far.receive(sink))
    await new Promise((resolve) => setTimeout(resolve, 1500))
    // What is between them is mostly the kernel's socket buffers.
    assert.ok(read - taken < 16 * 1024 * 1024, `${read - taken} bytes on the way`)
    stop.abort()
    await sending
    sink.destroy()
    await receiving
  }),
)

test(
  'a slow source is not a dead peer',
  scoped(async (scope) => {
    const heartbeat = { intervalMilliseconds: 50, timeoutMilliseconds: 200 }
    const { offers, handler } = offering()
    const server = await scope.listen(await cluster.host('beta'), { handlers: [handler], heartbeat })
    const connection = await scope.connect(await cluster.host('alpha'), server.port, { heartbeat })
    const near = await connection.openData((await connection.request(offerData, {})).ticket)
    const far = await offers[0]?.channel()
    const source = new PassThrough()
    const done = Promise.all([near.send(source), far?.receive(new HashSink())])
    source.write('a')
    await new Promise((resolve) => setTimeout(resolve, 1200))
    source.end('b')
    assert.equal(await done, [2n, 2n])
  }),
)

test(
  'a silent link: the control connection falls and takes its data channels along',
  scoped(async (scope) => {
    const heartbeat = { intervalMilliseconds: 100, timeoutMilliseconds: 400 }
    const { offers, handler } = offering()
    const server = await scope.listen(await cluster.host('beta'), { handlers: [handler], heartbeat })
    const link = await FaultyLink.open(scope, server.port)
    const connection = await scope.connect(await cluster.host('alpha'), link.port, { heartbeat })
    const near = await connection.openData((await connection.request(offerData, {})).ticket)
    const far = await offers[0]?.channel()
    const sink = new HashSink()
    const sending = failure(near.send(endless()), 2000)
    const receiving = failure(far?.receive(sink) ?? Promise.resolve(), 2000)
    await until(() => sink.bytes > 1_000_000)
    link.silent = true
    const request = failure(connection.request(offerData, {}), 2000)
    const error = await connection.closed
    assert.is(error?.code, 'PEER_LOST')
    for (const outcome of [await sending, await receiving, await request]) assert.is(outcome.code, 'PEER_LOST')
    await until(() => server.connections === 0, 2000)
  }),
)

test(
  'a channel carries one stream',
  scoped(async (scope) => {
    const { channels } = await pair(scope, cluster)
    const { near, far } = await channels()
    await Promise.all([near.send(Readable.from([Buffer.from('x')])), far.receive(new HashSink())])
    assert.is((await failure(near.send(Readable.from([])))).code, 'INVALID_ARGUMENT')
  }),
)

test(
  'an error thrown by onBytes ends the transfer, on either side, and nothing else',
  scoped(async (scope) => {
    const { channels } = await pair(scope, cluster)
    const onBytes = () => {
      throw new RangeError('mine')
    }
    for (const who of ['sender', 'receiver']) {
      const { near, far } = await channels()
      const [sending, receiving] = [
        failure(near.send(endless(), who === 'sender' ? { onBytes } : {})),
        failure(far.receive(new HashSink(), who === 'receiver' ? { onBytes } : {})),
      ]
      const [own, other] = who === 'sender' ? [await sending, await receiving] : [await receiving, await sending]
      assert.is(own.message, 'mine')
      assert.is(other.code, 'INTERNAL')
    }
  }),
)

test.run()
