import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { cursorName, peerOfCursor, readTag, receivedTag, sendingTag } from '../../src/replication/names.js'
import type { Traces } from '../../src/replication/read-traces.js'
import { type AskedPeer, describeAge, judgeStale, type StaleSituation } from '../../src/replication/stale.js'

const day = 86_400_000
const now = new Date('2026-11-24T20:00:00Z')
const daysAgo = (days: number): Date => new Date(now.getTime() - days * day)
const transfer = 'flocker:2b7a0c3e-8f0e-4a53-9d61-0a0a5b6b7c8d'
const nameOf = (n: number): string => `flocker-20261124T20000${n}.000Z-0000`

/** A dataset with three snapshots, GUIDs 1 to 3, made 30, 20 and 10 days ago. */
function traces(more: Partial<Traces> & { marks?: Record<number, string>; clones?: number[] } = {}): Traces {
  const { marks = {}, clones = [], ...rest } = more
  const holds = rest.holds ?? []
  const snapshots = [1, 2, 3].map((n) => ({
    name: nameOf(n),
    guid: BigInt(n),
    createtxg: BigInt(n),
    creation: BigInt(daysAgo(40 - n * 10).getTime() / 1000),
    userrefs: BigInt(holds.filter(({ guid }) => guid === BigInt(n)).length),
    pendingFor: marks[n],
    cloned: clones.includes(n),
  }))
  return { dataset: 'tank/a', snapshots, cursors: [], holds: [], partial: undefined, ...rest }
}

const hold = (n: number, tag: string, days: number): Traces['holds'][number] => {
  const ours = readTag(tag)
  if (ours === undefined) throw new Error(tag)
  return { snapshot: nameOf(n), guid: BigInt(n), tag, ...ours, created: daysAgo(days) }
}

const cursor = (n: number, peer = 'beta'): Traces['cursors'][number] => ({
  name: cursorName(peer, BigInt(n)),
  peer,
  guid: BigInt(n),
  createtxg: BigInt(n),
  creation: BigInt(daysAgo(40 - n * 10).getTime() / 1000),
})

const asked = (guids: bigint[], more: Partial<AskedPeer> = {}): AskedPeer[] => [
  { peer: 'beta', guids: new Set(guids), complete: true, partial: undefined, ...more },
]

/** What is judged stale, as `KIND NAME`; everything has its reason. */
function stale(of: Traces, situation: Partial<StaleSituation> = {}): string[] {
  const found = judgeStale(of, { now, staleMilliseconds: 7 * day, receiving: false, ...situation })
  for (const { why } of found) assert.ok(why.length > 10, why)
  return found.map(({ kind, guid, tag }) => `${kind} ${guid}${tag === undefined ? '' : ` ${tag}`}`)
}

test('tags and cursors are read as they are made, and those of others are not ours', () => {
  assert.equal(readTag(sendingTag('beta')), { kind: 'to', peer: 'beta' })
  assert.equal(readTag(receivedTag('a.b-c')), { kind: 'from', peer: 'a.b-c' })
  assert.equal(readTag(transfer), { kind: 'transfer', peer: undefined })
  for (const tag of [
    'backup',
    'flocker',
    'flocker:',
    'flocker:to:',
    'flocker:to:a:b',
    'my-flocker:to:beta',
    'flocker:mine',
  ]) {
    assert.is(readTag(tag), undefined, tag)
  }
  assert.is(peerOfCursor(cursorName('beta', 7n)), 'beta')
  assert.is(peerOfCursor('flocker:beta:mine'), undefined)
})

test('a dataset at rest has nothing stale', () => {
  assert.equal(stale(traces()), [])
  assert.equal(stale(traces({ cursors: [cursor(3)], holds: [hold(3, receivedTag('gamma'), 300)] })), [])
})

test('a snapshot on its way is kept until it is old, confirmed, or the peer has nothing of it', () => {
  const fresh = traces({ holds: [hold(3, sendingTag('beta'), 6)], marks: { 3: 'beta' } })
  const old = traces({ holds: [hold(3, sendingTag('beta'), 8)], marks: { 3: 'beta' } })
  const both = ['hold 3 flocker:to:beta', 'snapshot 3']
  // The snapshot is ten days old, but who holds it is not.
  assert.equal(stale(fresh), [])
  assert.equal(stale(old), both)
  assert.equal(stale(fresh, { asked: asked([1n]) }), both)
  assert.equal(stale(old, { asked: asked([1n], { partial: 3n }) }), [], 'the peer goes on with it')
  assert.equal(stale(old, { asked: asked([1n, 3n]) }), [], 'the peer has it: the next push confirms it')
  assert.equal(stale(fresh, { asked: asked([1n], { complete: false }) }), [], 'the peer may have it')
  const begun = traces({ holds: [hold(3, sendingTag('beta'), 1 / 1440)] })
  assert.equal(stale(begun, { asked: asked([1n]) }), [], 'a push may just be about to send it')
  const confirmed = traces({ ...fresh, cursors: [cursor(3)], marks: { 3: 'beta' } })
  assert.equal(stale(confirmed), ['hold 3 flocker:to:beta', 'mark 3'])
})

test('what a process is at work with is not stale, however old', () => {
  const holds = [hold(3, sendingTag('beta'), 100), hold(3, transfer, 100)]
  assert.equal(stale(traces({ holds, marks: { 3: 'beta' } })), [])
})

test('a marked snapshot is not destroyed while anything else needs it', () => {
  const marks = { 2: 'beta' }
  assert.equal(stale(traces({ marks })), ['snapshot 2'])
  assert.equal(stale(traces({ marks, clones: [2] })), [])
  assert.equal(stale(traces({ marks, holds: [hold(2, receivedTag('gamma'), 1)] })), [])
  const foreign = traces({ marks, holds: [hold(2, sendingTag('beta'), 8)] })
  for (const snapshot of foreign.snapshots) if (snapshot.guid === 2n) snapshot.userrefs = 2n
  assert.equal(stale(foreign), ['hold 2 flocker:to:beta'])
  const own = traces({ marks })
  for (const snapshot of own.snapshots) snapshot.name = `mine-${snapshot.guid}`
  assert.equal(stale(own), [])
})

test('of what came from a peer only the last is held', () => {
  const tag = receivedTag('gamma')
  const holds = [hold(1, tag, 30), hold(3, tag, 10), hold(2, receivedTag('delta'), 20)]
  assert.equal(stale(traces({ holds })), [`hold 1 ${tag}`])
})

test('only the peer can tell which cursor is its base', () => {
  const cursors = [cursor(1), cursor(2), cursor(3), cursor(3, 'gamma')]
  assert.equal(stale(traces({ cursors })), [])
  assert.equal(stale(traces({ cursors }), { asked: asked([1n, 2n]) }), ['cursor 1', 'cursor 3'])
  assert.equal(stale(traces({ cursors }), { asked: asked([9n]) }), [])
  assert.equal(stale(traces({ cursors }), { asked: asked([1n, 2n], { complete: false }) }), [])
})

test('a part that nobody goes on with', () => {
  const part = (since: Date | undefined, unreadable?: string) =>
    traces({ partial: { token: '1-x', decoded: undefined, unreadable, since } })
  assert.equal(stale(part(daysAgo(6))), [])
  assert.equal(stale(part(daysAgo(8))), ['partial undefined'])
  assert.equal(stale(part(daysAgo(8)), { receiving: true }), [])
  assert.equal(stale(part(undefined)), [])
  assert.equal(stale(part(daysAgo(1), 'its checksum is wrong')), ['partial undefined'])
})

test('an age in its largest unit', () => {
  assert.is(describeAge(8.9 * day), '8 days')
  assert.is(describeAge(day), '1 day')
  assert.is(describeAge(90_000), '1 minute')
  assert.is(describeAge(-5), '0 seconds')
})

test.run()
