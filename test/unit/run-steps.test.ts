import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Step } from '../../src/replication/planner/tree-plan.js'
import { type RunOptions, runSteps } from '../../src/replication/run-steps.js'

const point = { name: 's', guid: 1n, createtxg: 1n }
const send = (name: string) => ({
  source: `a/${name}`,
  destination: `b/${name}`,
  to: point,
  snapshot: `b/${name}@s`,
  raw: false,
  why: '',
})
const full = (name: string): Step => ({ kind: 'full', ...send(name) })
const increment = (name: string): Step => ({
  kind: 'incremental',
  ...send(name),
  from: { kind: 'snapshot', ...point, name: `a/${name}@r` },
})
const clone = (name: string, of: string): Step => ({
  kind: 'clone',
  ...send(name),
  from: { kind: 'snapshot', ...point, name: `a/${of}@s` },
  origin: `b/${of}@s`,
  after: `a/${of}`,
})
const rename = (from: string, to: string): Step => ({
  kind: 'rename',
  source: `a/${to}`,
  destination: `b/${from}`,
  to: `b/${to}`,
  temporary: false,
  why: '',
})
const text = ({ kind, destination }: Step): string => `${kind} ${destination.slice(2)}`

/** Runs steps; in what order they began and ended, and what became of them. */
async function runAll(
  steps: Step[],
  concurrency: number,
  fails: (step: Step) => boolean = () => false,
  more: Partial<RunOptions> = {},
) {
  const log: string[] = []
  const outcomes = await runSteps(steps, {
    concurrency,
    signal: undefined,
    isLost: () => false,
    run: async (step) => {
      log.push(`+ ${text(step)}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
      log.push(`- ${text(step)}`)
      if (fails(step)) throw new Error(text(step))
      return { bytes: 1n, propertiesLeftOut: [] }
    },
    ...more,
  })
  return { log, outcomes: outcomes.map(({ kind, step }) => `${kind}: ${text(step)}`), raw: outcomes }
}

test('streams overlap where none needs the other, and renames with nothing', async () => {
  const steps = [rename('x', 'y'), full('p'), full('p/c'), increment('y'), increment('y'), full('z')]
  const { log, outcomes } = await runAll(steps, 2)
  assert.equal(log, [
    ...['+ rename x', '- rename x', '+ full p', '+ incremental y', '- full p', '+ full p/c', '- incremental y'],
    ...['+ incremental y', '- full p/c', '+ full z', '- incremental y', '- full z'],
  ])
  assert.ok(outcomes.every((outcome) => outcome.startsWith('done')))
  const alone = await runAll(steps, 1)
  assert.equal(
    alone.log,
    steps.flatMap((step) => [`+ ${text(step)}`, `- ${text(step)}`]),
  )
})

test('what fails takes along what needs it, and nothing else', async () => {
  const steps = [full('p'), full('q'), clone('c', 'q'), increment('c'), full('p/d'), increment('i'), full('i/e')]
  const { outcomes, raw } = await runAll(steps, 3, ({ source, kind }) => source === 'a/q' || kind === 'incremental')
  assert.equal(outcomes, [
    ...['done: full p', 'failed: full q', 'left-out: clone c', 'left-out: incremental c', 'done: full p/d'],
    ...['failed: incremental i', 'done: full i/e'],
  ])
  const last = raw[3]
  assert.is(last?.kind === 'left-out' && last.because, steps[1], 'the one that failed, not the one between')
})

test('a lost connection leaves out the rest; a signal begins no more', async () => {
  const steps = [full('a'), full('b'), full('c')]
  const lost = await runAll(steps, 1, ({ source }) => source === 'a/b', { isLost: () => true })
  assert.equal(lost.outcomes, ['done: full a', 'failed: full b', 'left-out: full c'])
  const stop = new AbortController()
  const run = async () => {
    stop.abort()
    return { bytes: 0n, propertiesLeftOut: [] }
  }
  const stopped = await runAll(steps, 1, undefined, { signal: stop.signal, run })
  assert.equal(stopped.outcomes, ['done: full a'])
})

test('what needs a step that has failed before is left out', async () => {
  const ran: string[] = []
  const options: RunOptions = {
    ...{ concurrency: 2, isLost: () => false, signal: undefined, refused: [full('a')] },
    run: async ({ source }) => {
      ran.push(source)
      return { bytes: 0n, propertiesLeftOut: [] }
    },
  }
  const outcomes = await runSteps([full('a/below'), full('other')], options)
  assert.equal(ran, ['a/other'])
  assert.equal(
    outcomes.map(({ kind }) => kind),
    ['left-out', 'done'],
  )
})

test.run()
