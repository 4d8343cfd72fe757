import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { clock, describeProgress, estimate } from '../lab/build/progress.js'

const phases = [
  { name: 'unpack', seconds: 10 },
  { name: 'kernel', seconds: 300 },
  { name: 'ZFS', seconds: 90 },
]

test('believes the plan before any work is done', () => {
  assert.equal(estimate(phases, 0, 0, 0), { fraction: 0, remainingSeconds: 400 })
})

test("goes by the machine's own speed once enough work is done", () => {
  const half = estimate(phases, 1, 190 / 300, 400)
  assert.ok(Math.abs(half.fraction - 0.5) < 1e-9)
  assert.ok(Math.abs(half.remainingSeconds - 400) < 1e-6)
})

test('never passes the end of a phase, whatever was counted', () => {
  assert.is(estimate(phases, 2, 1.7, 500).fraction, 1)
  assert.is(estimate(phases, 2, 1.7, 500).remainingSeconds, 0)
})

test('does not leap between plan and measurement', () => {
  const before = estimate(phases, 1, 0.149, 100).remainingSeconds
  const after = estimate(phases, 1, 0.151, 101).remainingSeconds
  assert.ok(Math.abs(before - after) < 20)
})

test('reads well', () => {
  assert.is(clock(247.4), '4:07')
  const progress = { profile: 'newest', phase: 'kernel', fraction: 0.345, elapsedSeconds: 125, remainingSeconds: 250 }
  assert.is(describeProgress(progress), 'newest: kernel 34 %, 2:05 elapsed, about 4:10 left')
})

test.run()
