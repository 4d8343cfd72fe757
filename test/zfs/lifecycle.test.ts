import { createHash, pbkdf2 } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as lzc from '../../src/lzc/index.js'
import { collect, descriptors, eventually, failure, fill, filled, fresh, pause, threads } from './pool.js'

const lzcPath = require.resolve('../../src/lzc/index.js')

/** Runs something and checks that it leaves neither a descriptor nor a thread. */
async function leavesNothing(body: () => Promise<void>): Promise<void> {
  const before = { fds: descriptors().sort(), threads: threads() }
  await body()
  await eventually(() => threads() <= before.threads)
  assert.equal(descriptors().sort(), before.fds)
}

test.before(async () => {
  // libuv's pool and the library's own descriptors come with first use.
  const name = await filled(1)
  await lzc.snapshot([`${name}@1`])
  await collect(lzc.send(`${name}@1`))
  await Promise.all(Array.from({ length: 8 }, () => promisify(pbkdf2)('a', 'b', 1000, 8, 'sha1')))
})

test('a send that is aborted ends at once and leaves nothing', async () => {
  const name = await filled(8)
  await lzc.snapshot([`${name}@1`])
  await leavesNothing(async () => {
    const abort = new AbortController()
    const sending = lzc.send(`${name}@1`, { signal: abort.signal })
    await new Promise((resolve) => sending.once('readable', resolve))
    const closed = new Promise((resolve) => sending.once('close', resolve))
    const error = new Promise<Error & { code?: string }>((resolve) => sending.once('error', resolve))
    const started = performance.now()
    abort.abort()
    assert.is((await error).code, 'ABORTED')
    await closed
    assert.ok(performance.now() - started < 1000, 'within a second')
  })
})

test('a send whose signal has fired already', async () => {
  const name = await filled(8)
  await lzc.snapshot([`${name}@1`])
  await leavesNothing(async () => {
    assert.is((await failure(collect(lzc.send(`${name}@1`, { signal: AbortSignal.abort() })))).code, 'ABORTED')
    // Nobody reads, so that the send is still under way when its time is up.
    const unread = lzc.send(`${name}@1`, { signal: AbortSignal.timeout(50) })
    assert.is((await failure(new Promise((_, reject) => unread.once('error', reject)))).code, 'TIMEOUT')
  })
})

test('a receive that is aborted ends at once, and leaves neither a dataset nor anything else', async () => {
  const name = await filled(8)
  await lzc.snapshot([`${name}@1`])
  const stream = await collect(lzc.send(`${name}@1`))
  const to = fresh()
  await leavesNothing(async () => {
    const abort = new AbortController()
    const receiving = lzc.receive(`${to}@1`, { signal: abort.signal })
    receiving.write(stream.subarray(0, 3_000_000))
    await pause(300)
    const closed = new Promise((resolve) => receiving.once('close', resolve))
    const error = new Promise<Error & { code?: string }>((resolve) => receiving.once('error', resolve))
    const started = performance.now()
    abort.abort()
    assert.is((await error).code, 'ABORTED')
    await closed
    assert.ok(performance.now() - started < 1000, 'within a second')
    assert.is((await failure(receiving.result)).code, 'ABORTED')
  })
  assert.is(await lzc.exists(to), false)
})

test('streams that are destroyed, unread or unfinished leave nothing', async () => {
  const name = await filled(8)
  await lzc.snapshot([`${name}@1`])
  await leavesNothing(async () => {
    for (let i = 0; i < 20; i++) {
      const sending = lzc.send(`${name}@1`)
      const receiving = lzc.receive(`${fresh()}@1`)
      const closed = [sending, receiving].map((stream) => new Promise((resolve) => stream.once('close', resolve)))
      if (i % 2 === 0) sending.pipe(receiving)
      await pause(i)
      sending.destroy()
      receiving.destroy()
      await Promise.all(closed)
    }
  })
})

const workers: Record<string, string> = {
  'mid-send': 'lzc.send(snapshot).once("readable", ready)',
  'mid-receive': `const to = lzc.receive(target); to.on("error", () => {}); to.write(workerData.head, ready)`,
  'with both at work': 'lzc.send(snapshot).pipe(lzc.receive(target)); setTimeout(ready, 100)',
  'with a temporary hold': 'lzc.hold({ [snapshot]: "worker" }, { temporary: true }).then(ready)',
  'in the middle of short calls': '(async () => { for (;;) await lzc.exists(snapshot) })(); setTimeout(ready, 100)',
  'just after starting a send': 'lzc.send(snapshot); lzc.receive(target); ready()',
}

for (const [when, body] of Object.entries(workers)) {
  test(`a worker is terminated ${when}`, async () => {
    const name = await filled(8)
    const snapshot = `${name}@1`
    await lzc.snapshot([snapshot])
    const head = (await collect(lzc.send(snapshot))).subarray(0, 2_000_000)
    await leavesNothing(async () => {
      for (let i = 0; i < 5; i++) {
        const target = `${fresh()}@1`
        const source = `
          const { parentPort, workerData } = require('node:worker_threads')
          const lzc = require(workerData.lzcPath)
          const { snapshot, target } = workerData
          const ready = () => parentPort.postMessage('ready');
          ${body}`
        const worker = new Worker(source, { eval: true, workerData: { lzcPath, snapshot, target, head } })
        await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
        await pause(i * 20)
        const started = performance.now()
        await worker.terminate()
        assert.ok(performance.now() - started < 2000, 'it does not hang')
      }
    })
    assert.equal(Object.keys(await lzc.getHolds(snapshot)), [])
  })
}

test('several workers at once', async () => {
  const name = await filled(2)
  await lzc.snapshot([`${name}@1`])
  const expected = createHash('sha256')
    .update(await collect(lzc.send(`${name}@1`)))
    .digest('hex')
  const source = `
    const { parentPort, workerData } = require('node:worker_threads')
    const { createHash } = require('node:crypto')
    const lzc = require(workerData.lzcPath)
    const hash = createHash('sha256')
    lzc.send(workerData.snapshot).on('data', (d) => hash.update(d)).once('end', () => parentPort.postMessage(hash.digest('hex')))`
  const digests = await Promise.all(
    Array.from({ length: 4 }, () => {
      const worker = new Worker(source, { eval: true, workerData: { lzcPath, snapshot: `${name}@1` } })
      return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    }),
  )
  assert.equal(digests, Array(4).fill(expected))
})

/** How long a round of calls that need libuv's pool takes, in milliseconds. */
async function medianRound(): Promise<number> {
  const rounds: number[] = []
  for (let i = 0; i < 15; i++) {
    const started = performance.now()
    await Promise.all([readFile('/etc/passwd'), lookup('localhost'), promisify(pbkdf2)('a', 'b', 100, 8, 'sha1')])
    rounds.push(performance.now() - started)
  }
  return rounds.sort((a, b) => a - b)[7] ?? 0
}

test('64 sends to slow readers leave fs, dns and crypto responsive', async () => {
  const name = await filled(4)
  await lzc.snapshot([`${name}@1`])
  const idle = await medianRound()
  await leavesNothing(async () => {
    const sends = Array.from({ length: 64 }, () => lzc.send(`${name}@1`))
    await Promise.all(sends.map((stream) => new Promise((resolve) => stream.once('readable', resolve))))
    // All of them fill their pipes first, which keeps the processor busy; then they wait for their readers.
    await eventually(() => sends.every((stream) => stream.readableLength >= stream.readableHighWaterMark), 30_000)
    await pause(1000)
    const busy = await medianRound()
    console.log(
      `measured: a round of fs, dns and crypto takes ${idle.toFixed(1)} ms, ${busy.toFixed(1)} ms with 64 sends open`,
    )
    assert.ok(busy < idle * 4 + 50, `${busy} ms`)
    for (const stream of sends) stream.destroy()
    await Promise.all(sends.map((stream) => stream.closed || new Promise((resolve) => stream.once('close', resolve))))
  })
})

test('memory stays bounded while a large stream passes', async () => {
  const name = await filled(4)
  await fill(name, 'b', 60)
  await lzc.snapshot([`${name}@1`])
  const before = process.memoryUsage().rss
  let peak = before
  let bytes = 0
  for (let i = 0; i < 4; i++) {
    for await (const chunk of lzc.send(`${name}@1`) as Readable) {
      bytes += (chunk as Buffer).length
      peak = Math.max(peak, process.memoryUsage.rss())
    }
  }
  console.log(
    `measured: ${(bytes / 2 ** 20).toFixed(0)} MiB read, resident memory grew by ${((peak - before) / 2 ** 20).toFixed(0)} MiB`,
  )
  assert.ok(peak - before < 96 * 2 ** 20)
})

test.run()
