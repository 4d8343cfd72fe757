import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Cluster } from './cluster.js'
import { checkRecovers, pushHalfWay, Unharmed, volumeWithReplica } from './failure.js'

test('power cut of the receiver mid-push', async () => {
  await using cluster = await Cluster.open()
  await volumeWithReplica(cluster, 'data')
  const unharmed = await Unharmed.remember(cluster)
  const running = await pushHalfWay(cluster, { volume: 'data' })
  await cluster.beta.cutPower()
  const run = await running.done
  assert.is(run.error?.code, 'PEER_LOST')
  unharmed.checkSender(run)
  await unharmed.checkSource()
  await cluster.link('alpha').clear()
  await cluster.revive(cluster.beta)
  await unharmed.checkReplica('new agent')
  await checkRecovers(cluster, 'data')
})

test('power cut of the sender mid-push', async () => {
  await using cluster = await Cluster.open()
  await volumeWithReplica(cluster, 'data')
  const unharmed = await Unharmed.remember(cluster)
  const running = await pushHalfWay(cluster, { volume: 'data' })
  const gone = running.done.then(
    () => assert.unreachable('the program lost its host'),
    (error: unknown) => assert.instance(error, Error),
  )
  await cluster.alpha.cutPower()
  await gone
  await unharmed.checkReplica()
  await cluster.link('alpha').clear()
  await cluster.revive(cluster.alpha)
  assert.equal(await cluster.holds(cluster.alpha), [], 'temporary holds end with the host')
  await checkRecovers(cluster, 'data')
  assert.is((await cluster.snapshots(cluster.alpha)).length, 2, 'the snapshot of the lost push is gone')
})

test('cut link mid-push', async () => {
  await using cluster = await Cluster.open()
  await volumeWithReplica(cluster, 'data')
  const unharmed = await Unharmed.remember(cluster)
  const running = await pushHalfWay(cluster, { volume: 'data' })
  await cluster.link('alpha').cut()
  const run = await running.done
  assert.is(run.error?.code, 'PEER_LOST')
  unharmed.checkSender(run)
  await unharmed.checkSource()
  await unharmed.checkReplica()
  await cluster.link('alpha').clear()
  await checkRecovers(cluster, 'data')
})

test('bytes garbled on the way', async () => {
  await using cluster = await Cluster.open()
  await volumeWithReplica(cluster, 'data')
  const unharmed = await Unharmed.remember(cluster)
  const running = await pushHalfWay(cluster, { volume: 'data' })
  await cluster.link('alpha').garble(0.05)
  const run = await running.done
  assert.ok(['GARBLED', 'TLS_FAILED', 'PEER_LOST'].includes(run.error?.code ?? ''), run.error?.code)
  unharmed.checkSender(run)
  await cluster.link('alpha').clear()
  await unharmed.checkSource()
  await unharmed.checkReplica()
  await checkRecovers(cluster, 'data')
})

test('an abort half-way', async () => {
  await using cluster = await Cluster.open()
  await volumeWithReplica(cluster, 'data')
  const unharmed = await Unharmed.remember(cluster)
  await cluster.link('alpha').throttle(16 * 1024 * 1024)
  const run = await cluster.push({ volume: 'data', abortAfterBytes: 16 * 1024 * 1024 })
  assert.is(run.error?.code, 'ABORTED')
  assert.is(run.error?.name, 'AbortError')
  unharmed.checkSender(run)
  await unharmed.checkSource()
  await unharmed.checkReplica()
  await checkRecovers(cluster, 'data')
})

test.run()
