import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { ProfileName } from '../lab/index.js'
import { agentPort, commandLine, credentialsDirectory, root } from '../lab/pair.js'
import { Cluster } from './cluster.js'

/** Either profile in either place; those with their own kind are pushed between in the other files. */
const mixed: [ProfileName, ProfileName][] = [
  ['oldest', 'newest'],
  ['newest', 'oldest'],
]
const alike: [ProfileName, ProfileName][] = [
  ['newest', 'newest'],
  ['oldest', 'oldest'],
]
const pairs = process.env.FLOCKER_ZFS_INTEROP === 'all' ? [...mixed, ...alike] : mixed

for (const [alpha, beta] of pairs) {
  test(`${alpha} to ${beta}: full, incremental, unchanged, and from a bookmark`, async () => {
    await using cluster = await Cluster.open({ alpha, beta })
    const { alpha: source } = cluster
    const later = alpha === 'newest' ? { prefetch: 'metadata' } : {}
    await cluster.createVolume('data', { quota: '512M', sync: 'always', 'com.example:owner': 'me', ...later })
    await cluster.fill('data', 'a', 24)

    const full = await cluster.push({ volume: 'data' })
    assert.equal(full.error, undefined)
    assert.is(full.result?.kind, 'full')
    assert.is(await cluster.replicaHashes('data'), await cluster.hashes(source, '/flocker/data'))

    await cluster.fill('data', 'b', 4)
    await source.run(['rm', '/flocker/data/a/1'])
    const increment = await cluster.push({ volume: 'data' })
    assert.equal(increment.error, undefined)
    assert.is(increment.result?.kind, 'incremental')
    assert.is(increment.result?.base, full.result?.snapshot)
    assert.ok((increment.result?.bytes ?? 0) < (full.result?.bytes ?? 0) / 2)
    assert.is(await cluster.replicaHashes('data'), await cluster.hashes(source, '/flocker/data'))

    await source.run(['zfs', 'destroy', increment.result?.snapshot as string])
    await cluster.fill('data', 'c', 2)
    const fromBookmark = await cluster.push({ volume: 'data' })
    assert.equal(fromBookmark.error, undefined)
    assert.match(fromBookmark.result?.base ?? '', /\/flocker\/data#flocker:beta:[0-9a-f]{16}$/)
    assert.is(await cluster.replicaHashes('data'), await cluster.hashes(source, '/flocker/data'))

    const again = await cluster.push({
      volume: 'data',
      snapshot: fromBookmark.result?.snapshot.split('@')[1] as string,
    })
    assert.is(again.result?.kind, 'current')

    const [theirs, ours] = [await cluster.snapshots(cluster.beta), await cluster.snapshots(source)]
    assert.is(theirs.length, 3)
    assert.is(ours.length, 2)
    assert.ok(
      ours.every((line) => theirs.includes(line)),
      'same names, same GUIDs',
    )
    assert.equal(await cluster.holds(source), [])
    const [base, ...more] = await cluster.holds(cluster.beta)
    assert.is(
      base?.split('\t').slice(0, 2).join(),
      `${fromBookmark.result?.snapshot.replace(root(source), root(cluster.beta))},flocker:from:alpha`,
    )
    assert.equal(more, [])
    const replica = ['zfs', 'get', '-Hpo', 'value', 'readonly,canmount,mounted', `${root(cluster.beta)}/data`]
    assert.is((await cluster.beta.run(replica)).stdout.replaceAll('\n', ' ').trim(), 'on noauto no')
    const received = ['zfs', 'get', '-Hs', 'received', '-o', 'property,value', 'all', `${root(cluster.beta)}/data`]
    const names = (await cluster.beta.run(received)).stdout.split('\n').map((line) => line.split('\t')[0])
    const known = alpha === 'newest' && beta === 'newest'
    assert.equal(names.filter(Boolean).sort(), ['com.example:owner', ...(known ? ['prefetch'] : []), 'sync'])
    const told = cluster.agentLog.filter((line) => line.includes('{"name":"prefetch","why":"refused"}'))
    assert.is(
      told.length,
      alpha === 'newest' && beta === 'oldest' ? 3 : 0,
      'what an older OpenZFS does not know is told',
    )
    const { before, after } = increment.end as NonNullable<typeof increment.end>
    assert.equal(after, before)
    await checkBench(cluster)
  })
}

/** `flocker-zfs bench` measures every stage, and leaves nothing on either kernel. */
async function checkBench(cluster: Cluster): Promise<void> {
  const { alpha, beta } = cluster
  const [theirs, held] = [await cluster.datasets(beta), await cluster.holds(alpha)]
  const flags = ['--pool', alpha.pool, '--credentials', credentialsDirectory, '--seconds', '1']
  const { stdout } = await alpha.run(['node', commandLine, 'bench', `beta:${agentPort}`, ...flags])
  for (const stage of ['cipher, one core here', 'pool here', 'wire', 'whole path']) {
    assert.match(stdout, new RegExp(`^${stage}.* [\\d.]+ [KMG]iB/s`, 'm'))
  }
  assert.match(stdout, /^(The bottleneck: [a-z ]+\. |There was too little)/m)
  assert.equal([await cluster.datasets(beta), await cluster.holds(alpha)], [theirs, held])
}

// Without udev there is no /dev/zvol; the kernel calls a host's only block volume zd0.
test('a block volume is pushed like a filesystem', async () => {
  await using cluster = await Cluster.open()
  await cluster.alpha.run(['zfs', 'create', '-p', '-s', '-V', '64M', `${root(cluster.alpha)}/disk`])
  await cluster.alpha.run(['dd', 'if=/dev/urandom', 'of=/dev/zd0', 'bs=1M', 'count=16', 'conv=fsync'])
  const full = await cluster.push({ volume: 'disk' })
  assert.equal(full.error, undefined)
  await cluster.alpha.run(['dd', 'if=/dev/urandom', 'of=/dev/zd0', 'bs=1M', 'count=1', 'seek=7', 'conv=notrunc,fsync'])
  const increment = await cluster.push({ volume: 'disk' })
  assert.is(increment.result?.kind, 'incremental')
  const hash = ['sha256sum', '/dev/zd0']
  assert.is((await cluster.beta.run(hash)).stdout, (await cluster.alpha.run(hash)).stdout)
})

test('divergence is reported and nothing is touched', async () => {
  await using cluster = await Cluster.open()
  await cluster.createVolume('data')
  await cluster.fill('data', 'a', 1)
  assert.is((await cluster.push({ volume: 'data' })).error, undefined)
  await cluster.beta.run(['zfs', 'snapshot', `${root(cluster.beta)}/data@theirs`])
  const [before, ours] = [await cluster.snapshots(cluster.beta), await cluster.snapshots(cluster.alpha)]

  const newer = await cluster.push({ volume: 'data' })
  assert.is(newer.error?.name, 'DivergedError')
  assert.match(newer.error?.message ?? '', /1 snapshot \(newest: @theirs guid \d+\)/)
  assert.equal(await cluster.snapshots(cluster.beta), before)
  assert.equal(await cluster.snapshots(cluster.alpha), ours)

  await cluster.createVolume('other')
  await cluster.beta.run(['zfs', 'create', '-o', 'canmount=off', `${root(cluster.beta)}/other`])
  const nothingInCommon = await cluster.push({ volume: 'other' })
  assert.is(nothingInCommon.error?.code, 'DIVERGED')
  assert.equal(await cluster.snapshots(cluster.alpha), ours)
})

test('a destination without room is refused by the estimate, before any byte flows', async () => {
  await using cluster = await Cluster.open({ betaDisk: '128 MiB' })
  await cluster.createVolume('data')
  await cluster.fill('data', 'a', 160)
  const { error, events } = await cluster.push({ volume: 'data' })
  assert.is(error?.code, 'NO_SPACE')
  assert.is(error?.peer, 'beta')
  assert.not(events.some(({ event }) => event === 'progress'))
  assert.equal(await cluster.snapshots(cluster.alpha), [])
})

test.run()
