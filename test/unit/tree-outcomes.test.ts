import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NotAuthorizedError, StreamError, TransportError, ZfsError } from '../../src/errors.js'
import type { Tree } from '../../src/replication/planner/tree.js'
import type { FullStep, IncrementalStep, RenameStep, Step } from '../../src/replication/planner/tree-plan.js'
import type { StepOutcome } from '../../src/replication/run-steps.js'
import { TreeOutcomes } from '../../src/replication/tree-outcomes.js'

const lost = new TransportError('PEER_LOST', 'gone')
const unreachable = new TransportError('PEER_UNREACHABLE', 'nobody answers')
const full = new ZfsError('NO_SPACE', 'full')

const point = (guid: bigint) => ({ name: `s${guid}`, guid, createtxg: guid })

function send(name: string, guid: bigint): FullStep {
  const [source, destination] = [`tank/${name}`, `back/${name}`]
  return {
    kind: 'full',
    source,
    destination,
    to: point(guid),
    snapshot: `${destination}@s${guid}`,
    raw: false,
    why: '',
  }
}
function increment(name: string, guid: bigint): IncrementalStep {
  return { ...send(name, guid), kind: 'incremental', from: { kind: 'snapshot', name: '', guid: 0n, createtxg: 0n } }
}
const rename: RenameStep = {
  ...{ kind: 'rename', source: 'tank/r', destination: 'back/q', to: 'back/r' },
  ...{ temporary: false, why: '' },
}

/** A destination that has snapshots with these GUIDs. */
const having = (...guids: bigint[]): Tree => ({
  root: 'back',
  datasets: [
    {
      ...{ name: '', type: 'filesystem', guid: 1n, encrypted: false, origin: undefined, partial: undefined },
      snapshots: guids.map(point),
      bookmarks: [],
    },
  ],
})

const done = (step: Step, bytes = 5n): StepOutcome => ({
  ...{ kind: 'done', step, bytes, milliseconds: 1, propertiesLeftOut: [] },
})
const failed = (step: Step, error: Error): StepOutcome => ({ kind: 'failed', step, error })
const leftOut = (step: Step, because: Step): StepOutcome => ({ kind: 'left-out', step, because })

const tell = (outcomes: readonly StepOutcome[]): string[] =>
  outcomes.map((outcome) => {
    const { kind, step } = outcome
    const why = outcome.kind === 'failed' ? ` ${(outcome.error as ZfsError).code}` : ''
    return `${kind}${why} ${step.source}`
  })

test('what is lost is tried again, and what is done is told once', () => {
  const outcomes = new TreeOutcomes()
  const [a, b, c] = [send('a', 1n), send('b', 2n), send('c', 3n)]
  assert.equal(outcomes.begin([a, b, c], having()), [a, b, c])
  assert.is(outcomes.end([done(a), failed(b, lost), leftOut(c, b)]), lost)
  assert.equal(outcomes.begin([b, c], having(1n)), [b, c])
  assert.is(outcomes.end([done(b), done(c)]), undefined)
  assert.equal(tell(outcomes.all()), ['done tank/a', 'done tank/b', 'done tank/c'])
})

test('what failed otherwise is left alone, with all of its dataset', () => {
  const outcomes = new TreeOutcomes()
  const [a1, a2, b] = [send('a', 1n), increment('a', 2n), send('b', 3n)]
  outcomes.begin([a1, a2, b], having())
  assert.is(outcomes.end([failed(a1, full), leftOut(a2, a1), failed(b, lost)]), lost)
  assert.ok(outcomes.isRefused('tank/a'))
  assert.equal(outcomes.begin([a1, a2, b], having()), [b])
  assert.equal(outcomes.refused, [a1])
  assert.is(outcomes.end([failed(b, new NotAuthorizedError('no'))]), undefined)
  assert.equal(tell(outcomes.all()), ['failed NO_SPACE tank/a', 'left-out tank/a', 'failed NOT_AUTHORIZED tank/b'])
})

test('a lost acknowledgement is none of what is left', () => {
  const outcomes = new TreeOutcomes()
  const [a, b] = [send('a', 1n), send('b', 2n)]
  outcomes.begin([rename, a, b], having())
  assert.is(outcomes.end([failed(rename, lost), failed(a, lost), leftOut(b, a)]), lost)
  assert.equal(outcomes.begin([b], having(1n)), [b])
  outcomes.end([done(b)])
  const all = outcomes.all()
  assert.equal(tell(all), ['done tank/r', 'done tank/a', 'done tank/b'])
  assert.equal(
    all.map((outcome) => outcome.kind === 'done' && outcome.bytes),
    [0n, 0n, 5n],
  )
})

test('what is not planned any more, and has not arrived, is nothing', () => {
  const outcomes = new TreeOutcomes()
  const [a, b] = [send('a', 1n), send('b', 2n)]
  outcomes.begin([a, b], having())
  outcomes.end([failed(a, lost), leftOut(b, a)])
  outcomes.begin([b], having())
  outcomes.end([done(b)])
  assert.equal(tell(outcomes.all()), ['done tank/b'])
})

test('a stream that is corrupt twice is so where it comes from, each dataset by itself', () => {
  const outcomes = new TreeOutcomes()
  const corrupt = new StreamError('STREAM_CORRUPT', 'a checksum is wrong')
  const [a, b] = [send('a', 1n), send('b', 2n)]
  outcomes.begin([a, b], having())
  assert.is(outcomes.end([failed(a, corrupt), failed(b, lost)]), corrupt)
  outcomes.begin([a, b], having())
  assert.is(outcomes.end([failed(a, corrupt), failed(b, corrupt)]), corrupt)
  assert.equal(outcomes.begin([a, b], having()), [b])
})

test('where no attempt could follow, what is left has failed for that', () => {
  const outcomes = new TreeOutcomes()
  const [a, b] = [send('a', 1n), send('b', 2n)]
  outcomes.begin([a, b], having())
  outcomes.end([failed(a, lost), leftOut(b, a)])
  assert.equal(tell(outcomes.all()), ['failed PEER_LOST tank/a', 'left-out tank/b'])
  assert.equal(tell(outcomes.all(unreachable)), ['failed PEER_UNREACHABLE tank/a', 'left-out tank/b'])
})

test.run()
