/** When a peer is taken for lost, and when it is this process that stood still. */
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Silence } from '../../src/transport/silence.js'

const heartbeat = { intervalMilliseconds: 800, timeoutMilliseconds: 1200 }

function watch(): { silence: Silence; lost: number[]; spoken: () => number; [Symbol.dispose](): void } {
  const lost: number[] = []
  let spoken = 0
  const silence = new Silence(
    heartbeat,
    heartbeat.timeoutMilliseconds,
    () => (spoken += 1),
    (milliseconds) => lost.push(milliseconds),
  )
  return { silence, lost, spoken: () => spoken, [Symbol.dispose]: () => silence.stop() }
}

function standStill(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

test('a peer that says nothing for the whole timeout is lost, once', async () => {
  using watched = watch()
  watched.silence.heard()
  await delay(1300)
  assert.equal(watched.lost, [])
  await delay(500)
  assert.equal(watched.lost, [1200])
  assert.is(watched.spoken(), 2)
})

test('after this process stood still, the peer gets an interval to speak: it may have stood still, too', async () => {
  using watched = watch()
  watched.silence.heard()
  standStill(2000)
  await delay(700)
  assert.equal(watched.lost, [])
  watched.silence.heard()
  await delay(1000)
  assert.equal(watched.lost, [])
})

test('a peer that does not speak after that either is lost', async () => {
  using watched = watch()
  watched.silence.heard()
  standStill(2000)
  await delay(1500)
  assert.equal(watched.lost, [1200])
})

test.run()
