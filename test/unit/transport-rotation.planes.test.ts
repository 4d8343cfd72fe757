/**
 * Streams that move from connection to connection, each with keys of its own, through a link that counts and breaks; where the sender's
 * plane is native, whose keys change within a connection, they stay where they are.
 */
import { createHash, randomBytes } from 'node:crypto'
import { Readable, Writable } from 'node:stream'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  Cluster,
  endless,
  FaultyLink,
  failure,
  HashSink,
  pair,
  type Scope,
  scoped,
  until,
} from './transport-fixtures.js'

const MEBIBYTE = 1024 * 1024
/** TLS adds 22 bytes to each record of at most 16 KiB, but short ones; a handshake with two certificates takes some 3 KiB. */
const onTheWire = (keyBytes: number): number => keyBytes * 1.01 + 8192

let cluster: Cluster

test.before(async () => {
  cluster = await Cluster.create()
})

test.after(() => cluster.destroy())

interface Options {
  keyBytes?: number
  handshakeMilliseconds?: number
  /** Milliseconds between heartbeats; a timeout is four of them. */
  heartbeat?: number
}

/** Two hosts with a small limit and a link between them; `from` is the sender in either direction. */
async function rotating(scope: Scope, options: Options = {}) {
  const { keyBytes = MEBIBYTE, handshakeMilliseconds = 10_000, heartbeat = 2000 } = options
  const beats = { intervalMilliseconds: heartbeat, timeoutMilliseconds: 4 * heartbeat }
  let link: FaultyLink | undefined
  const hosts = await pair(scope, cluster, {
    through: async (port) => {
      link = await FaultyLink.open(scope, port)
      return link.port
    },
    near: { keyBytes, timeoutMilliseconds: handshakeMilliseconds, heartbeat: beats },
    far: { limits: { keyBytes, handshakeMilliseconds }, heartbeat: beats },
  })
  assert.ok(link)
  const ends = async (direction: 'push' | 'pull') => {
    const { near, far } = await hosts.channels()
    return direction === 'push' ? { from: near, to: far } : { from: far, to: near }
  }
  return { ...hosts, link, ends }
}

const directions = ['push', 'pull'] as const

/** Random bytes in chunks of random sizes, and their digest. */
function randomStream(bytes: number, mostChunk: number): { source: Readable; digest: () => string } {
  const hash = createHash('sha256')
  let left = bytes
  const source = new Readable({
    read() {
      const chunk = randomBytes(Math.min(left, 1 + Math.floor(Math.random() * mostChunk)))
      left -= chunk.length
      hash.update(chunk)
      if (chunk.length > 0) this.push(chunk)
      if (left === 0) this.push(null)
    },
  })
  return { source, digest: () => hash.digest('hex') }
}

/** Resolves when there is nothing left but the control connection, on both its sides of the link. */
async function onlyControl(link: FaultyLink): Promise<void> {
  await until(() => link.open === 2)
}

for (const [direction, mebibytes] of [
  ['push', 64],
  ['pull', 16],
] as const) {
  test(
    `${mebibytes} MiB at 1 MiB a key, ${direction}: byte for byte, and no connection carries more`,
    scoped(async (scope) => {
      const { link, ends } = await rotating(scope)
      const { from, to } = await ends(direction)
      const { source, digest } = randomStream(mebibytes * MEBIBYTE, 300_000)
      const sink = new HashSink()
      const results = await Promise.all([from.send(source), to.receive(sink)])
      assert.equal(results, [BigInt(mebibytes * MEBIBYTE), BigInt(mebibytes * MEBIBYTE)])
      assert.is(sink.digest(), digest())
      const [, ...data] = link.carried
      if (from.plane === 'native') assert.is(data.length, 1)
      else {
        assert.ok(data.length >= mebibytes, `${data.length} connections`)
        assert.ok(Math.max(...data) <= onTheWire(MEBIBYTE), `${Math.max(...data)} bytes over one connection`)
      }
      await onlyControl(link)
    }),
  )
}

test(
  'streams of any length, in chunks of any size',
  scoped(async (scope) => {
    const keyBytes = 256 * 1024
    const { link, ends } = await rotating(scope, { keyBytes })
    const most: number[] = []
    const lengths = [0, 1, keyBytes * 0.75, keyBytes, 3 * keyBytes + 1, 1_500_000, 2_000_000]
    for (const [index, length] of lengths.entries()) {
      const { from, to } = await ends(index % 2 === 0 ? 'push' : 'pull')
      const { source, digest } = randomStream(length, index % 3 === 0 ? 3000 : 1_200_000)
      const sink = new HashSink()
      const before = link.carried.length
      await Promise.all([from.send(source), to.receive(sink)])
      assert.is(sink.digest(), digest())
      if (from.plane === 'javascript') most.push(...link.carried.slice(before))
    }
    assert.ok(Math.max(...most, 0) <= onTheWire(keyBytes))
    await onlyControl(link)
  }),
)

test(
  'a sink that blocks in the middle: little is held, and at most three connections are open',
  scoped(async (scope) => {
    for (const direction of directions) {
      const { link, ends } = await rotating(scope)
      const { from, to } = await ends(direction)
      const { source, digest } = randomStream(12 * MEBIBYTE, 200_000)
      let read = 0
      source.on('data', (chunk: Buffer) => {
        read += chunk.length
      })
      const sink = new BlockingSink(3 * MEBIBYTE, 80, () => {
        // The kernel's socket buffers hold the most of it.
        assert.ok(read - sink.bytes < 16 * MEBIBYTE, `${read - sink.bytes} bytes on the way`)
        assert.ok(link.open <= 2 * 4, `${link.open / 2} connections`)
      })
      await Promise.all([from.send(source), to.receive(sink)])
      assert.ok(sink.blocked >= 3)
      assert.is(sink.digest(), digest())
      await onlyControl(link)
    }
  }),
)

/** Stops taking anything for a while each time it has taken so much. */
class BlockingSink extends HashSink {
  blocked = 0

  constructor(
    readonly every: number,
    readonly milliseconds: number,
    readonly look: () => void,
  ) {
    super()
  }

  override _write(chunk: Buffer, encoding: string, done: () => void): void {
    const due = Math.floor((this.bytes + chunk.length) / this.every) > Math.floor(this.bytes / this.every)
    super._write(chunk, encoding, () => {
      if (!due) return done()
      this.blocked += 1
      setTimeout(() => {
        this.look()
        done()
      }, this.milliseconds)
    })
  }
}

test(
  'a successor that is refused, or never answered, is one typed error on both ends',
  scoped(async (scope) => {
    for (const direction of directions) {
      for (const how of ['refused', 'ignored'] as const) {
        const { link, ends } = await rotating(scope, { handshakeMilliseconds: 400 })
        const { from, to } = await ends(direction)
        if (from.plane === 'native') continue
        const source = endless()
        const sink = new HashSink()
        const sending = failure(from.send(source))
        const receiving = failure(to.receive(sink))
        await until(() => sink.bytes > 3 * MEBIBYTE)
        link.next = how
        const codes = [(await sending).code, (await receiving).code]
        assert.ok(
          codes.every((code) => code === 'PEER_UNREACHABLE' || code === 'PEER_LOST'),
          `${direction} ${how}: ${codes}`,
        )
        assert.ok(source.destroyed && sink.destroyed)
        await until(() => link.open <= 3)
      }
    }
  }),
)

test(
  'cut at any moment: PEER_LOST on both ends, or everything has arrived',
  scoped(async (scope) => {
    const length = 2 * MEBIBYTE
    for (let round = 0; round < 16; round += 1) {
      const { link, ends } = await rotating(scope, { keyBytes: 256 * 1024 })
      const { from, to } = await ends(round % 2 === 0 ? 'push' : 'pull')
      const { source, digest } = randomStream(length, 40_000)
      const sink = new HashSink()
      const cutAt = link.forwarded + Math.floor(Math.random() * length)
      link.onForward = (forwarded) => {
        if (forwarded < cutAt) return
        link.onForward = () => undefined
        link.reset()
      }
      const [sent, received] = await Promise.allSettled([from.send(source), to.receive(sink)])
      const name = `round ${round}, cut at ${cutAt}: ${JSON.stringify([sent.status, received.status])}`
      for (const outcome of [sent, received]) {
        if (outcome.status === 'rejected') assert.is(outcome.reason.code, 'PEER_LOST', name)
        else assert.is(sink.digest(), digest(), name)
      }
      assert.ok(sent.status === 'rejected', name)
      await until(() => link.open === 0)
    }
  }),
)

test(
  'garbled at any moment: noticed, named, and not used; a link that falls silent is a lost peer',
  scoped(async (scope) => {
    for (const direction of directions) {
      for (const fault of ['garbled', 'silent'] as const) {
        const { link, ends } = await rotating(scope, {
          keyBytes: 256 * 1024,
          heartbeat: fault === 'silent' ? 250 : 2000,
        })
        const { from, to } = await ends(direction)
        const sink = new HashSink()
        const outcomes = Promise.all([failure(from.send(endless())), failure(to.receive(sink))])
        await until(() => sink.bytes > MEBIBYTE)
        if (fault === 'garbled') link.garbleFrom = 8000
        else link.silent = true
        const codes = (await outcomes).map(({ code }) => code)
        assert.ok(
          codes.every((code) => code === 'PEER_LOST' || (fault === 'garbled' && code === 'GARBLED')),
          `${direction} ${fault}: ${codes}`,
        )
        assert.ok(fault === 'silent' || codes.includes('GARBLED'), `${codes}`)
      }
    }
  }),
)

test(
  'an abort at any moment, on either end, ends both with what it was',
  scoped(async (scope) => {
    const { link, ends } = await rotating(scope, { keyBytes: 256 * 1024 })
    let lost = 0
    for (let round = 0; round < 16; round += 1) {
      const { from, to } = await ends(round % 2 === 0 ? 'push' : 'pull')
      const stop = new AbortController()
      const source = endless()
      const sink = new HashSink()
      const atSender = round % 4 < 2
      const sending = failure(from.send(source, atSender ? { signal: stop.signal } : {}))
      const receiving = failure(to.receive(sink, atSender ? {} : { signal: stop.signal }))
      const at = Math.random() * MEBIBYTE
      await until(() => sink.bytes > at)
      stop.abort()
      const [own, told] = atSender ? [sending, receiving] : [receiving, sending]
      assert.is((await own).code, 'ABORTED', `round ${round}`)
      // On a machine with no time for it the word may not get out before the connection is given up.
      const { code } = await told
      if (code === 'PEER_LOST') lost += 1
      else assert.is(code, 'ABORTED', `round ${round}`)
      assert.ok(source.destroyed && sink.destroyed)
      await onlyControl(link)
    }
    assert.ok(lost <= 2, `${lost} of 16`)
  }),
)

test(
  "the sink's error reaches the sender as what it was, wherever the stream is",
  scoped(async (scope) => {
    const { link, ends } = await rotating(scope, { keyBytes: 256 * 1024 })
    for (let round = 0; round < 8; round += 1) {
      const { from, to } = await ends('push')
      const at = Math.random() * MEBIBYTE
      const sink = new FailingSink(at)
      const receiving = failure(to.receive(sink))
      const sender = await failure(from.send(endless()))
      assert.is(sender.code, 'INTERNAL', `round ${round}`)
      assert.is((await receiving).message, 'no room')
      await onlyControl(link)
    }
  }),
)

class FailingSink extends Writable {
  #bytes = 0

  constructor(readonly at: number) {
    super()
  }

  override _write(chunk: Buffer, _: string, done: (error?: Error) => void): void {
    this.#bytes += chunk.length
    done(this.#bytes > this.at ? new Error('no room') : undefined)
  }
}

test(
  'a server that closes in the middle ends the stream; the next server takes another',
  scoped(async (scope) => {
    const first = await rotating(scope)
    const { from, to } = await first.ends('push')
    const sink = new HashSink()
    const sending = failure(from.send(endless()))
    const receiving = failure(to.receive(sink))
    await until(() => sink.bytes > 5 * MEBIBYTE)
    await first.server.close()
    const codes = [(await sending).code, (await receiving).code]
    assert.ok(
      codes.every((code) => code === 'ABORTED' || code === 'PEER_LOST'),
      `${codes}`,
    )
    await until(() => first.link.open === 0)

    const second = await rotating(scope)
    const again = await second.ends('push')
    const { source, digest } = randomStream(5 * MEBIBYTE, 100_000)
    const whole = new HashSink()
    await Promise.all([again.from.send(source), again.to.receive(whole)])
    assert.is(whole.digest(), digest())
  }),
)

test(
  'a connection closes only when all connections of its streams are gone, and leaves no timer',
  scoped(async (scope) => {
    const { link, ends, connection, server } = await rotating(scope)
    const { from, to } = await ends('push')
    const sink = new HashSink()
    const outcomes = Promise.all([failure(from.send(endless())), failure(to.receive(sink))])
    await until(() => sink.bytes > 5 * MEBIBYTE)
    await connection.close()
    await server.close()
    await outcomes
    await link.close()
    const left = () => process.getActiveResourcesInfo().filter((name) => /TCP|TLS|Timeout/.test(name))
    // One is until()'s own.
    await until(() => left().length <= 1, 3000)
  }),
)

test.run()
