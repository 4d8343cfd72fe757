import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readPool } from '../../src/datasets/pools.js'
import { readVdev } from '../../src/datasets/vdev.js'
import type { NvList } from '../../src/lzc/nvlist.js'

/** A vdev_stat_t of so many members. */
function stats(length: number, members: Record<number, bigint>): BigUint64Array {
  const array = new BigUint64Array(length)
  for (const [index, value] of Object.entries(members)) array[Number(index)] = value
  return array
}

const leaf = (vdevStats: BigUint64Array): NvList => ({
  ...{ type: 'disk', id: 0n, guid: 5n, path: '/dev/sda1' },
  vdev_stats: vdevStats,
})

test("a device's own size stands where the release has it", () => {
  assert.is(readVdev(leaf(stats(46, { 1: 7n, 45: 9n }))).physicalSize, 9n)
  assert.is(readVdev(leaf(stats(47, { 1: 7n, 45: 1n, 46: 9n }))).physicalSize, 9n)
  assert.is(readVdev(leaf(stats(48, { 1: 7n, 46: 9n, 47: 3n }))).physicalSize, 9n)
  assert.is(readVdev(leaf(stats(45, { 1: 7n }))).physicalSize, undefined)
})

test('fewer members than today are no harm', () => {
  const { state, errors, slowIos, fragmentation } = readVdev(leaf(stats(23, { 1: 7n, 22: 4n })))
  assert.equal([state, errors, slowIos, fragmentation], ['ONLINE', { read: 0n, write: 0n, checksum: 4n }, 0n, 0n])
  const { vdev_stats: _, ...without } = leaf(stats(0, {}))
  assert.is(readVdev(without).state, 'UNAVAIL')
})

test('states and reasons are those of zpool status', () => {
  const read = (state: bigint, aux: bigint, role?: 'spare'): [string, string | undefined] => {
    const vdev = readVdev(leaf(stats(48, { 1: state, 2: aux })), role)
    return [vdev.state, vdev.reason]
  }
  assert.equal(read(7n, 0n), ['ONLINE', undefined])
  assert.equal(read(7n, 0n, 'spare'), ['AVAIL', undefined])
  assert.equal(read(7n, 10n, 'spare'), ['INUSE', 'currently in use'])
  assert.equal(read(6n, 3n), ['DEGRADED', 'insufficient replicas'])
  assert.equal(read(5n, 11n), ['FAULTED', 'too many errors'])
  assert.equal(read(4n, 1n), ['UNAVAIL', 'cannot open'])
  assert.equal(read(4n, 2n), ['FAULTED', 'corrupted data'])
  assert.equal(read(4n, 15n), ['SPLIT', 'split into new pool'])
  assert.equal(read(2n, 0n), ['OFFLINE', undefined])
  assert.equal(read(3n, 0n), ['REMOVED', undefined])
})

test('groups have names and roles', () => {
  const child = leaf(stats(48, { 1: 7n }))
  const group = (more: NvList): NvList => ({ id: 2n, guid: 1n, children: [child, child], ...more })
  const root = readVdev({
    type: 'root',
    children: [
      group({ type: 'mirror', is_log: 1n }),
      group({ type: 'raidz', nparity: 2n, alloc_bias: 'special' }),
      group({ type: 'draid', nparity: 1n, draid_ndata: 1n, draid_nspares: 0n }),
    ],
  })
  assert.equal(
    root.children.map(({ name, role }) => `${name} ${role}`),
    ['mirror-2 log', 'raidz2-2 special', 'draid1:1d:2c:0s-2 data'],
  )
  assert.is(root.children[0]?.children[0]?.role, 'log')
  assert.is(root.children[0]?.physicalSize, undefined)
})

test("a pool's health and scan", () => {
  const scan = new BigUint64Array([2n, 1n, 100n, 0n, 9n, 8n, 0n, 7n, 6n, 0n, 0n, 1n, 0n, 0n, 5n])
  const configuration = { name: 'tank', pool_guid: 3n, vdev_tree: { type: 'root', vdev_stats: stats(48, { 1: 6n }) } }
  const unknown = { fragmentation: { value: 2n ** 64n - 1n, source: 1n } }
  const plain = readPool(configuration, unknown, 0)
  assert.equal(
    [plain.health, plain.scan, plain.space.fragmentation, plain.openErrno],
    ['DEGRADED', undefined, undefined, undefined],
  )
  assert.is(readPool({ ...configuration, suspended: 1n }, {}, 0).health, 'SUSPENDED')
  assert.equal([readPool(configuration, {}, 6).health, readPool(configuration, {}, 6).openErrno], ['FAULTED', 6])
  const scanning = readPool({ ...configuration, vdev_tree: { type: 'root', scan_stats: scan } }, {}, 0).scan
  assert.equal(scanning, {
    ...{ kind: 'resilver', state: 'scanning', paused: true, startTime: 100n, endTime: 0n },
    ...{ toExamine: 9n, examined: 8n, issued: 5n, repaired: 7n, errors: 6n },
  })
})

test.run()
