import { pbkdf2 } from 'node:crypto'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as lzc from '../../src/lzc/index.js'
import { collect, endsAtOnce, failure, fill, filled, fresh, leavesNothing, pause } from './pool.js'

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
