import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { isSnapshotName, snapshotName } from '../../src/replication/names.js'
import {
  decideRetention,
  type RetentionPolicy,
  type RetentionSituation,
  type RetentionSnapshot,
} from '../../src/replication/retention.js'

const any = { touches: {} }
const now = new Date('2026-11-24T20:30:00Z')

/** One snapshot for each time, in that order; its name is the time, its GUID its place from 1 on. */
function made(...times: string[]): RetentionSnapshot[] {
  return times.map((time, i) => {
    const creation = BigInt(Date.parse(time) / 1000)
    return { name: time, guid: BigInt(i + 1), createtxg: BigInt(i + 1), creation }
  })
}

/** So many, made so many minutes apart, the newest at `now`. */
function every(minutes: number, count: number): RetentionSnapshot[] {
  const times = Array.from({ length: count }, (_, i) => now.getTime() - (count - 1 - i) * minutes * 60_000)
  return made(...times.map((time) => new Date(time).toISOString()))
}

function decide(
  snapshots: RetentionSnapshot[],
  policy: RetentionPolicy,
  situation: Partial<RetentionSituation> = {},
): { kept: string[]; destroyed: string[] } {
  const { keep, destroy } = decideRetention(snapshots, { ...any, ...policy }, { now, ...situation })
  assert.is(keep.length + destroy.length, snapshots.length)
  for (const { why } of [...keep, ...destroy]) assert.ok(why.length > 10, 'everything has its reason')
  return {
    kept: keep.map(({ snapshot, reason }) => `${snapshot.name} ${reason}`),
    destroyed: destroy.map(({ snapshot }) => snapshot.name),
  }
}

interface Case {
  title: string
  times: string[]
  policy: RetentionPolicy
  /** Newest first. */
  kept: string[]
}

const cases: Case[] = [
  {
    title: 'the newest so many',
    times: ['2026-01-01', '2026-01-02', '2026-01-03'],
    policy: { last: 2 },
    kept: ['2026-01-03 newest', '2026-01-02 last'],
  },
  {
    title: 'the newest of each hour; hours without any do not count',
    times: ['2026-11-24T01:00Z', '2026-11-24T01:59Z', '2026-11-24T07:00Z', '2026-11-24T09:00Z', '2026-11-24T09:01Z'],
    policy: { hourly: 3 },
    kept: ['2026-11-24T09:01Z newest', '2026-11-24T07:00Z hourly', '2026-11-24T01:59Z hourly'],
  },
  {
    title: 'days are those of UTC',
    times: ['2026-11-22T23:59:59Z', '2026-11-23T00:00:00Z', '2026-11-24T01:00:00+02:00', '2026-11-24T00:00:00Z'],
    policy: { daily: 2 },
    kept: ['2026-11-24T00:00:00Z newest', '2026-11-24T01:00:00+02:00 daily'],
  },
  {
    title: 'weeks begin on Monday, and go over the end of the year',
    times: ['2025-12-28T23:00Z', '2025-12-29T00:00Z', '2026-01-04T23:00Z', '2026-01-05T00:00Z'],
    policy: { weekly: 3 },
    kept: ['2026-01-05T00:00Z newest', '2026-01-04T23:00Z weekly', '2025-12-28T23:00Z weekly'],
  },
  {
    title: 'months and years',
    times: ['2024-05-01', '2024-06-01', '2025-05-01', '2026-01-31', '2026-02-01', '2026-02-28'],
    policy: { monthly: 2, yearly: 3 },
    kept: ['2026-02-28 newest', '2026-01-31 monthly', '2025-05-01 yearly', '2024-06-01 yearly'],
  },
  {
    title: 'rules add up',
    times: ['2026-01-01', '2026-01-02', '2026-01-03', '2026-02-01', '2026-02-02'],
    policy: { last: 2, monthly: 2 },
    kept: ['2026-02-02 newest', '2026-02-01 last', '2026-01-03 monthly'],
  },
  {
    title: 'a count of zero keeps none, but for the newest',
    times: ['2026-01-01', '2026-01-02'],
    policy: { last: 0 },
    kept: ['2026-01-02 newest'],
  },
  {
    title: 'no rule: all stay',
    times: ['2026-01-01', '2026-01-02'],
    policy: {},
    kept: ['2026-01-02 newest', '2026-01-01 no-rules'],
  },
  {
    title: 'what is from the future by the clock stays, and counts for nothing',
    times: ['2026-01-01', '2035-01-01', '2026-01-02', '2026-01-03'],
    policy: { last: 2 },
    kept: ['2026-01-03 newest', '2026-01-02 last', '2035-01-01 future'],
  },
  {
    title: 'only what the patterns let through is touched, or counted',
    times: ['2025-01-01', '2026-01-01', '2025-01-02', '2026-01-02'],
    policy: { last: 1, touches: { exclude: ['2025*'] } },
    kept: ['2026-01-02 newest', '2025-01-02 untouchable', '2025-01-01 untouchable'],
  },
]

for (const { title, times, policy, kept } of cases) {
  test(title, () => {
    const found = decide(made(...times), policy)
    assert.equal(found.kept, kept)
    const names = kept.map((text) => text.slice(0, text.lastIndexOf(' ')))
    assert.equal(
      found.destroyed,
      times.filter((time) => !names.includes(time)),
    )
  })
}

const three = made('2026-01-01', '2026-01-02', '2026-01-03')
const [first, second, third] = three as [RetentionSnapshot, RetentionSnapshot, RetentionSnapshot]

const needed: [string, RetentionSnapshot[], Partial<RetentionSituation>, string][] = [
  ['a hold', [{ ...first, userrefs: 2n }, second, third], {}, 'held'],
  ['a clone', [{ ...first, cloned: true }, second, third], {}, 'cloned'],
  ['a mark', [{ ...first, pendingFor: 'beta' }, second, third], {}, 'pending'],
  ["a peer's base", three, { peers: [{ name: 'beta', common: [1n] }] }, 'base'],
  ["a peer's interrupted stream", three, { peers: [{ name: 'beta', common: [], partial: [1n, 7n] }] }, 'partial'],
]
for (const [title, snapshots, situation, reason] of needed) {
  test(`${title} keeps a snapshot, whatever the policy`, () => {
    const found = decide(snapshots, { last: 0 }, situation)
    assert.equal(found, { kept: ['2026-01-03 newest', `2026-01-01 ${reason}`], destroyed: ['2026-01-02'] })
  })
}

test('a peer needs the newest that it has, and each peer its own', () => {
  const snapshots = made('2026-01-01', '2026-01-02', '2026-01-03', '2026-01-04', '2026-01-05')
  const peers = [
    { name: 'beta', common: [1n, 3n] },
    { name: 'gamma', common: [2n] },
  ]
  const found = decide(snapshots, { last: 0 }, { peers })
  assert.equal(found.kept, ['2026-01-05 newest', '2026-01-03 base', '2026-01-02 base'])
})

test('as long as it is not known what a peer has, nothing goes', () => {
  const peers = [
    { name: 'beta', common: [3n] },
    { name: 'gamma', common: undefined },
  ]
  assert.equal(decide(three, { last: 0 }, { peers }).destroyed, [])
})

test('by default only what this package has made may go', () => {
  const named = [snapshotName(new Date()), 'flocker-mine', 'nightly', 'xflocker-20260101T000000.000Z-0000', 'last']
  assert.equal(named.map(isSnapshotName), [true, false, false, false, false])
  const snapshots = three.map((snapshot, i) => ({ ...snapshot, name: named[[0, 1, 4][i] as number] as string }))
  const { destroy } = decideRetention(snapshots, { last: 0 }, { now })
  assert.equal(
    destroy.map(({ snapshot }) => snapshot.guid),
    [1n],
  )
})

test('deciding again changes nothing, and deciding often keeps what deciding once would', () => {
  const policy = { last: 3, hourly: 5, daily: 4, weekly: 3, monthly: 2 }
  const all = every(20, 4000)
  const once = decideRetention(all, { ...any, ...policy }, { now })
  let kept: RetentionSnapshot[] = []
  for (const snapshot of all) {
    const time = { now: new Date(Number(snapshot.creation) * 1000) }
    kept = decideRetention([...kept, snapshot], { ...any, ...policy }, time).keep.map((one) => one.snapshot)
  }
  const names = (snapshots: readonly RetentionSnapshot[]) => snapshots.map(({ name }) => name)
  assert.equal(names(kept), names(once.keep.map(({ snapshot }) => snapshot)))
  assert.equal(decideRetention(kept, { ...any, ...policy }, { now }).destroy, [])
})

test('a clock that goes on while no snapshot is made destroys nothing', () => {
  const policy = { last: 1, hourly: 5, daily: 4 }
  const kept = decideRetention(every(60, 200), { ...any, ...policy }, { now }).keep.map(({ snapshot }) => snapshot)
  assert.equal(decideRetention(kept, { ...any, ...policy }, { now: new Date('2036-01-01') }).destroy, [])
})

test('counts and times that are none are refused', () => {
  for (const policy of [{ last: -1 }, { daily: 1.5 }, { yearly: Number.NaN }]) {
    assert.throws(
      () => decideRetention(three, policy, { now }),
      (error: { code: string }) => error.code === 'INVALID_ARGUMENT',
    )
  }
  assert.throws(() => decideRetention(three, { last: 1 }, { now: new Date('never') }))
})

test.run()
