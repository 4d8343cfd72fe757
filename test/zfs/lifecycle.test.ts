import { pbkdf2 } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as lzc from '../../src/lzc/index.js'
import { collect, endsAtOnce, eventually, failure, fill, filled, fresh, leavesNothing, pause } from './pool.js'

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
    await endsAtOnce(sending, abort)
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
    await endsAtOnce(receiving, abort)
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
