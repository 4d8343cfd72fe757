/** What only the native data plane has: pipes whose bytes no JavaScript sees, keys that change, threads and descriptors of its own. */
import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { constants, type FileHandle, mkdtemp, open, readdir, rm, stat } from 'node:fs/promises'
import { createServer, type Socket, connect as tcpConnect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type DataChannel, pipeSink, pipeSource, RateLimiter } from '../../src/transport/index.js'
import { Cluster, failure, HashSink, pair, Scope, scoped } from './transport-fixtures.js'

const mebibyte = 1024 * 1024
let cluster: Cluster
let directory: string

test.before(async () => {
  cluster = await Cluster.create()
  directory = await mkdtemp(join(tmpdir(), 'flocker-zfs-pipes-'))
})

test.after(async () => {
  await cluster.destroy()
  await rm(directory, { recursive: true })
})

let fifos = 0

/** Both ends of a pipe. */
async function pipe(scope: Scope): Promise<{ read: FileHandle; write: FileHandle }> {
  fifos += 1
  const name = join(directory, `fifo-${fifos}`)
  await promisify(execFile)('mkfifo', [name])
  // Whoever opens one end alone would wait for the other.
  const first = await open(name, constants.O_RDONLY | constants.O_NONBLOCK)
  const write = await open(name, 'w')
  const read = await open(name, 'r')
  await first.close()
  for (const end of [read, write]) scope.defer(() => end.close().catch(() => undefined))
  return { read, write }
}

/** A source and a sink over pipes: what is written to `give` comes out of `take`. */
async function pipes(scope: Scope) {
  const [from, to] = [await pipe(scope), await pipe(scope)]
  const [source, sink] = [pipeSource(from.read.fd), pipeSink(to.write.fd)]
  await from.read.close()
  await to.write.close()
  return { source, sink, give: from.write, take: to.read }
}

const held = async () => ({
  descriptors: (await readdir('/proc/self/fd')).length,
  threads: (await readdir('/proc/self/task')).length,
})

/** Waits until there is no more of anything than before. */
async function backTo(before: Awaited<ReturnType<typeof held>>): Promise<void> {
  for (const deadline = Date.now() + 5000; ; ) {
    const now = await held()
    if (now.descriptors <= before.descriptors && now.threads <= before.threads) return
    assert.ok(Date.now() < deadline, `${JSON.stringify(now)}, and before ${JSON.stringify(before)}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test(
  'pipe to pipe, byte for byte, in either direction',
  scoped(async (scope) => {
    const { channels } = await pair(scope, cluster)
    for (const direction of ['push', 'pull']) {
      const { near, far } = await channels()
      const [from, to] = direction === 'push' ? [near, far] : [far, near]
      assert.equal([from.plane, to.plane], ['native', 'native'])
      const { source, sink, give, take } = await pipes(scope)
      const writer = spawn('sh', ['-c', 'head -c 67108864 /dev/urandom | tee /dev/fd/3 | sha256sum'], {
        stdio: ['ignore', 'pipe', 'inherit', give.fd],
      })
      const reader = spawn('sha256sum', { stdio: [take.fd, 'pipe', 'inherit'] })
      const digests = Promise.all([writer, reader].map((child) => child.stdout?.toArray() as Promise<Buffer[]>))
      await give.close()
      const moved = await Promise.all([from.send(source), to.receive(sink)])
      assert.equal(moved, [67_108_864n, 67_108_864n])
      const [sent, received] = (await digests).map((parts) => Buffer.concat(parts).toString())
      assert.is(sent, received)
    }
  }),
)

test(
  'what was read before it was sent is sent, and a pipe meets a stream at either end',
  scoped(async (scope) => {
    const { channels } = await pair(scope, cluster)
    const text = randomBytes(300_000)
    const first = await pipes(scope)
    const writing = writeAll(first.give, text)
    await once(first.source, 'readable')
    const head: Buffer = first.source.read(312)
    first.source.unshift(head)
    const { near, far } = await channels()
    const hash = new HashSink()
    await Promise.all([near.send(first.source), far.receive(hash), writing])
    const second = await pipes(scope)
    const reading = second.take.createReadStream().toArray()
    const more = await channels()
    await Promise.all([more.near.send(Readable.from([text])), more.far.receive(second.sink)])
    assert.ok(Buffer.concat(await reading).equals(text))
    const third = new HashSink()
    third.end(text)
    assert.is(hash.digest(), third.digest())
  }),
)

async function writeAll(end: FileHandle, bytes: Buffer): Promise<void> {
  const stream = end.createWriteStream()
  stream.end(bytes)
  await once(stream, 'close')
}

test(
  'an abort ends it within 100 ms, whatever it waits for, and leaves nothing',
  scoped(async (scope) => {
    const { channels } = await pair(scope, cluster)
    const before = await held()
    for (const waits of ['for the source', 'for the sink'] as const) {
      for (const at of ['the sender', 'the receiver'] as const) {
        const tried: number[] = []
        // A machine that has no time for it says nothing of how long it takes.
        for (let n = 0; n < 4 && !tried.some((each) => each < 100); n += 1) {
          tried.push(await abortion(scope, await channels(), waits, at))
        }
        assert.ok(Math.min(...tried) < 100, `${at} waits ${waits}: ${tried} ms`)
      }
    }
    await backTo({ ...before, descriptors: before.descriptors + 32 })
  }),
)

/** Aborts a transfer at one end while it waits; how long that end took, in milliseconds. */
async function abortion(
  scope: Scope,
  { near, far }: { near: DataChannel; far: DataChannel },
  waits: 'for the source' | 'for the sink',
  at: 'the sender' | 'the receiver',
): Promise<number> {
  const { source, sink, give } = await pipes(scope)
  const filling = waits === 'for the sink' ? endlessly(give) : undefined
  const stop = new AbortController()
  const signal = { signal: stop.signal }
  const outcomes = [
    failure(near.send(source, at === 'the sender' ? signal : {})),
    failure(far.receive(sink, at === 'the sender' ? {} : signal)),
  ] as const
  await new Promise((resolve) => setTimeout(resolve, 300))
  const started = performance.now()
  stop.abort()
  await outcomes[at === 'the sender' ? 0 : 1]
  const milliseconds = performance.now() - started
  // A receiver whose sink is full reads nothing: that the sender has gone it learns from its own control connection.
  if (waits === 'for the sink' && at === 'the sender') far.destroy()
  for (const outcome of outcomes) assert.is((await outcome).code, 'ABORTED')
  await filling
  await give.close()
  return milliseconds
}

/** Fills a pipe as long as anybody could read from it. */
async function endlessly(end: FileHandle): Promise<void> {
  const block = Buffer.alloc(65_536, 7)
  for (let left = 64; left > 0; left -= 1) {
    const written = await end.write(block).catch((error: NodeJS.ErrnoException) => error.code)
    if (written === 'EPIPE') return
    if (written === 'EAGAIN') await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Counts the KeyUpdate messages that pass: no other record of either end has their length. */
async function keyUpdates(scope: Scope, target: number): Promise<{ port: number; count: () => number }> {
  let count = 0
  const server = createServer((near) => {
    const far = tcpConnect(target, '127.0.0.1')
    const end = (socket: Socket) => () => socket.destroy()
    near.on('error', end(far)).on('close', end(far))
    far.on('error', end(near)).on('close', end(near))
    let left = Buffer.alloc(0)
    near.on('data', (chunk) => {
      left = Buffer.concat([left, chunk])
      while (left.length >= 5 && left.length >= 5 + left.readUInt16BE(3)) {
        if (left.readUInt16BE(3) === 22) count += 1
        left = left.subarray(5 + left.readUInt16BE(3))
      }
    })
    near.pipe(far)
    far.pipe(near)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  scope.defer(() => new Promise((resolve) => server.close(resolve)))
  return { port: (server.address() as { port: number }).port, count: () => count }
}

for (const dataPlane of ['auto', 'javascript'] as const) {
  test(
    `no key carries more than it may, to a receiver whose plane is ${dataPlane}`,
    scoped(async (scope) => {
      let tap: Awaited<ReturnType<typeof keyUpdates>> | undefined
      const { channels } = await pair(scope, cluster, {
        through: async (port) => {
          tap = await keyUpdates(scope, port)
          return tap.port
        },
        near: { keyBytes: mebibyte },
        far: { dataPlane },
      })
      const { near, far } = await channels()
      const { source, give } = await pipes(scope)
      const bytes = randomBytes(40 * mebibyte)
      const [hash, whole] = [new HashSink(), new HashSink()]
      await Promise.all([near.send(source), far.receive(hash), writeAll(give, bytes)])
      whole.end(bytes)
      assert.is(hash.digest(), whole.digest())
      const updates = tap?.count() ?? 0
      assert.ok(updates >= 40 && updates <= 60, `${updates} changes of the key`)
    }),
  )
}

test(
  'a limiter bounds what comes out of a pipe',
  scoped(async (scope) => {
    const { channels } = await pair(scope, cluster)
    const { near, far } = await channels()
    const { source, give } = await pipes(scope)
    const started = performance.now()
    const limiter = new RateLimiter(2 * mebibyte)
    await Promise.all([
      near.send(source, { limiter }),
      far.receive(new HashSink()),
      writeAll(give, randomBytes(3 * mebibyte)),
    ])
    const seconds = (performance.now() - started) / 1000
    assert.ok(seconds > 1.3 && seconds < 4, `${seconds} s for 1.5`)
  }),
)

test(
  'progress is told, of both ends',
  scoped(async (scope) => {
    const { channels } = await pair(scope, cluster)
    const { near, far } = await channels()
    const { source, give } = await pipes(scope)
    const told: Record<'sent' | 'taken' | 'received', bigint[]> = { sent: [], taken: [], received: [] }
    const feeding = (async () => {
      for (let n = 0; n < 8; n += 1) {
        await give.write(randomBytes(50_000))
        await new Promise((resolve) => setTimeout(resolve, 150))
      }
      await give.close()
    })()
    await Promise.all([
      near.send(source, { onBytes: (n) => told.sent.push(n), onTaken: (n) => told.taken.push(n) }),
      far.receive(new HashSink(), { onBytes: (n) => told.received.push(n) }),
      feeding,
    ])
    for (const [what, totals] of Object.entries(told)) {
      assert.is(totals.at(-1), 400_000n, what)
      assert.ok(totals.length >= 4, `${what}: ${totals}`)
      assert.ok(
        totals.every((total, i) => i === 0 || total > (totals[i - 1] ?? 0n)),
        `${what}: ${totals}`,
      )
    }
  }),
)

test(
  'byte for byte, however the sink comes by its pipe: short streams, many at once',
  scoped(async (scope) => {
    const { channels } = await pair(scope, cluster)
    const bytes = randomBytes(700_000)
    const one = async ({ near, far }: { near: DataChannel; far: DataChannel }): Promise<void> => {
      const own = new Scope()
      const { read, write } = await pipe(own)
      const sink = pipeSink(write.fd)
      await write.close()
      const taken = read.createReadStream().toArray()
      await Promise.all([
        near.send(Readable.from([bytes.subarray(0, 100_000), bytes.subarray(100_000)])),
        far.receive(sink),
      ])
      assert.ok(Buffer.concat(await taken).equals(bytes))
      await own.close()
    }
    for (let n = 0; n < 40; n += 1) {
      const four = [await channels(), await channels(), await channels(), await channels()]
      await Promise.all(four.map(one))
    }
  }),
)

test(
  'a hundred transfers, some of which fail, leave no thread and no descriptor',
  scoped(async (scope) => {
    const { channels } = await pair(scope, cluster)
    const transfer = async (ends: { near: DataChannel; far: DataChannel }, fails: boolean): Promise<void> => {
      const own = new Scope()
      const { source, sink, give, take } = await pipes(own)
      const taking = take
        .createReadStream()
        .resume()
        .on('error', () => undefined)
      const settled = Promise.allSettled([ends.near.send(source), ends.far.receive(sink)])
      await give.write(randomBytes(40_000))
      if (fails) ends.near.destroy()
      await give.close()
      const outcomes = await settled
      assert.is(outcomes[0]?.status, fails ? 'rejected' : 'fulfilled')
      taking.destroy()
      await own.close()
    }
    await transfer(await channels(), false)
    const before = await held()
    for (let n = 0; n < 100; n += 1) await transfer(await channels(), n % 3 === 2)
    await backTo(before)
  }),
)

test(
  'a worker that is ended in the middle of transfers ends them',
  scoped(async (scope) => {
    const { channels } = await pair(scope, cluster)
    const { near, far } = await channels()
    near.destroy()
    far.destroy()
    const before = await held()
    for (let n = 0; n < 5; n += 1) {
      const worker = new Worker(join(__dirname, 'transport-native-worker.js'), {
        workerData: { directory: cluster.directory },
      })
      await once(worker, 'message')
      await new Promise((resolve) => setTimeout(resolve, 20 * n))
      await worker.terminate()
    }
    await backTo({ ...before, threads: before.threads + 4 })
  }),
)

test(
  'a limit is kept to while JavaScript is busy: neither less nor more leaves',
  scoped(async (scope) => {
    const { channels } = await pair(scope, cluster)
    const { near, far } = await channels()
    const { source, sink, give, take } = await pipes(scope)
    const file = join(directory, 'limited')
    const arrived = await open(file, 'w')
    const writer = spawn('cat', ['/dev/zero'], { stdio: ['ignore', give.fd, 'inherit'] })
    const reader = spawn('cat', { stdio: [take.fd, arrived.fd, 'inherit'] })
    scope.defer(() => void writer.kill())
    const ended = once(reader, 'exit')
    await Promise.all([give.close(), take.close(), arrived.close()])
    const stop = new AbortController()
    const limiter = new RateLimiter(20 * mebibyte)
    const outcomes = [failure(near.send(source, { limiter, signal: stop.signal })), failure(far.receive(sink))]
    while ((await stat(file)).size < 4 * mebibyte) await new Promise((resolve) => setTimeout(resolve, 20))
    const [before, began] = [statSync(file).size, performance.now()]
    while (performance.now() - began < 1000);
    const rate = (statSync(file).size - before) / ((performance.now() - began) / 1000) / mebibyte
    stop.abort()
    await Promise.all(outcomes)
    await ended
    assert.ok(rate > 5 && rate < 22, `${rate.toFixed(1)} MiB/s`)
  }),
)

test(
  'a peer that vanishes in the midst of the second handshake is lost',
  scoped(async (scope) => {
    const { channels } = await pair(scope, cluster)
    const { near, far } = await channels()
    near.destroy()
    assert.is((await failure(far.receive(new HashSink()))).code, 'PEER_LOST')
  }),
)

test.run()
