import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Cluster } from './cluster.js'
import { checkRecovers, pushHalfWay, Unharmed, volumeWithReplica } from './failure.js'
import type { Resumed } from './guest/push.js'

/** Most of what had gone was not sent again. What is in flight when a link breaks is lost. */
function checkResumed(resumed: Resumed | undefined): void {
  assert.ok(resumed !== undefined && resumed.kept > 4 * 1024 * 1024, JSON.stringify(resumed))
  assert.ok(resumed.kept + resumed.bytes < 55 * 1024 * 1024, JSON.stringify(resumed))
}

test('power cut of the receiver mid-push', async () => {
  await using cluster = await Cluster.open()
  await volumeWithReplica(cluster, 'data')
  const unharmed = await Unharmed.remember(cluster)
  const running = await pushHalfWay(cluster, { volume: 'data' })
  await cluster.beta.cutPower()
  const run = await running.done
  assert.is(run.error?.code, 'PEER_LOST')
  unharmed.checkSender(run)
  await unharmed.checkSource('interruption')
  await cluster.link('alpha').clear()
  await cluster.revive(cluster.beta)
  await unharmed.checkReplica('interruption', 'new agent')
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
  await unharmed.checkReplica('interruption')
  await cluster.link('alpha').clear()
  await cluster.revive(cluster.alpha)
  // The other ones, temporary, have ended with the host.
  assert.is((await cluster.holds(cluster.alpha)).map((line) => line.split('\t')[1]).join(), 'flocker:to:beta')
  checkResumed(await checkRecovers(cluster, 'data'))
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
  await unharmed.checkSource('interruption')
  await unharmed.checkReplica('interruption')
  await cluster.link('alpha').clear()
  checkResumed(await checkRecovers(cluster, 'data'))
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
  await unharmed.checkSource('interruption')
  await unharmed.checkReplica('interruption')
  checkResumed(await checkRecovers(cluster, 'data'))
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
  await unharmed.checkSource('refusal')
  await unharmed.checkReplica('refusal')
  assert.is(await checkRecovers(cluster, 'data'), undefined)
})

test('a pause half-way', async () => {
  await using cluster = await Cluster.open()
  await volumeWithReplica(cluster, 'data')
  const unharmed = await Unharmed.remember(cluster)
  await cluster.link('alpha').throttle(16 * 1024 * 1024)
  const run = await cluster.push({ volume: 'data', abortAfterBytes: 16 * 1024 * 1024, onAbort: 'keep' })
  assert.is(run.error?.code, 'ABORTED')
  unharmed.checkSender(run)
  await unharmed.checkSource('interruption')
  await unharmed.checkReplica('interruption')
  checkResumed(await checkRecovers(cluster, 'data'))
})

test.run()
