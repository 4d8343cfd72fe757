/** What blocked sends do to the rest of the process: nothing, as none of them has one of libuv's threads. */
import { pbkdf2 } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as lzc from '../../src/lzc/index.js'
import { collect, eventually, filled, leavesNothing, pause } from './pool.js'

const sends = 64
const rounds = 40
const calls = {
  fs: () => readFile('/etc/passwd'),
  dns: () => lookup('localhost'),
  crypto: () => promisify(pbkdf2)('a', 'b', 1000, 8, 'sha1'),
}

interface Latency {
  median: number
  worst: number
}

/** How long each of the calls takes, in milliseconds; all are made at once. */
async function measure(): Promise<Record<string, Latency>> {
  const measured = Object.entries(calls).map(async ([name, call]) => {
    const times: number[] = []
    for (let i = 0; i < rounds; i++) {
      const started = performance.now()
      await call()
      times.push(performance.now() - started)
      await pause(10)
    }
    times.sort((a, b) => a - b)
    return [name, { median: times[rounds / 2] ?? 0, worst: times[rounds - 1] ?? 0 }] as const
  })
  return Object.fromEntries(await Promise.all(measured))
}

test(`${sends} sends to slow readers leave fs, dns and crypto responsive`, async () => {
  const name = await filled(4)
  await lzc.snapshot([`${name}@1`])
  await collect(lzc.send(`${name}@1`))
  await measure()
  const idle = await measure()
  let busy: Record<string, Latency> = {}
  await leavesNothing(async () => {
    const streams = Array.from({ length: sends }, () => lzc.send(`${name}@1`))
    await Promise.all(streams.map((stream) => new Promise((resolve) => stream.once('readable', resolve))))
    // All of them fill their pipes first, which keeps the processor busy; then they wait for their readers.
    await eventually(() => streams.every((stream) => stream.readableLength >= stream.readableHighWaterMark), 60_000)
    // Half of the readers take a little now and then, the others nothing at all.
    const reading = setInterval(() => {
      for (const stream of streams.slice(sends / 2)) stream.read(1024)
    }, 50)
    await pause(1000)
    busy = await measure()
    clearInterval(reading)
    assert.ok(streams.every((stream) => !stream.readableEnded))
    for (const stream of streams) stream.destroy()
    await Promise.all(streams.map((stream) => stream.closed || new Promise((resolve) => stream.once('close', resolve))))
  })
  for (const [call, { median, worst }] of Object.entries(busy)) {
    const before = idle[call] as Latency
    const figures = `${call} takes ${median.toFixed(1)} ms (at most ${worst.toFixed(1)}) with ${sends} sends open, ${before.median.toFixed(1)} ms (${before.worst.toFixed(1)}) without`
    console.log(`\nmeasured: ${figures}`)
    assert.ok(median < before.median * 4 + 50, figures)
    // One of libuv's four threads held by a send would hold a call for as long as the send.
    assert.ok(worst < before.worst * 4 + 1000, figures)
  }
})

test.run()
