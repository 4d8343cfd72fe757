import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Inventory, SnapshotPoint } from '../../src/replication/planner/inventory.js'
import { planPush } from '../../src/replication/planner/plan.js'

/** `a1` is a point named a with GUID 1; its place in the list is its createtxg. */
function points(words: string): SnapshotPoint[] {
  const parsed = words.split(' ').filter((word) => word !== '')
  return parsed.map((word, i) => ({ name: word.slice(0, 1), guid: BigInt(word.slice(1)), createtxg: BigInt(i + 10) }))
}

function inventory(snapshots: string, bookmarks = ''): Inventory {
  return { dataset: 'tank/v', snapshots: points(snapshots), bookmarks: points(bookmarks) }
}

test('a peer without the dataset gets a full stream', () => {
  assert.equal(planPush(inventory('a1'), undefined), { kind: 'full' })
})

test('the base is the newest point of the peer that the source has too', () => {
  const plan = planPush(inventory('a1 b2 c3'), inventory('a1 b2'))
  assert.equal(plan, { kind: 'incremental', base: { kind: 'snapshot', name: 'tank/v@b', guid: 2n, createtxg: 11n } })
})

test('points match by GUID, whatever they are called', () => {
  const plan = planPush(inventory('x7 y8'), inventory('a7'))
  assert.is(plan.kind === 'incremental' && plan.base.name, 'tank/v@x')
})

test('one name with two GUIDs is nothing in common', () => {
  const plan = planPush(inventory('a1'), inventory('a2'))
  assert.is(plan.kind === 'diverged' && plan.divergence.reason, 'no-common-point')
})

test('a bookmark serves where the snapshot is gone, and only there', () => {
  const gone = planPush(inventory('b2', 'm1'), inventory('a1'))
  assert.is(gone.kind === 'incremental' && gone.base.name, 'tank/v#m')
  const both = planPush(inventory('a1 b2', 'm1'), inventory('a1'))
  assert.is(both.kind === 'incremental' && both.base.name, 'tank/v@a')
})

test('a newer snapshot on the peer alone is divergence, and is named', () => {
  const plan = planPush(inventory('a1 b2'), inventory('a1 z9'))
  assert.is(plan.kind, 'diverged')
  if (plan.kind !== 'diverged') return
  assert.is(plan.divergence.reason, 'destination-has-newer')
  assert.is(plan.divergence.common?.guid, 1n)
  assert.equal(
    plan.divergence.onlyOnDestination.map(({ name }) => name),
    ['z'],
  )
})

test('a dataset without snapshots is never overwritten', () => {
  assert.is(planPush(inventory('a1'), inventory('')).kind, 'diverged')
})

test('a chosen snapshot: there already, older than the replica, newer', () => {
  const source = inventory('a1 b2 c3')
  const [a, , c] = source.snapshots
  assert.is(planPush(source, inventory('a1 b2'), a).kind, 'current')
  assert.is(planPush(source, inventory('b2'), a).kind, 'superseded')
  assert.is(planPush(source, inventory('a1 b2'), c).kind, 'incremental')
})

test.run()
