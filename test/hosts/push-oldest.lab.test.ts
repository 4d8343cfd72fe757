import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Cluster } from './cluster.js'

test('what the oldest ZFS cannot receive is refused before any byte flows', async () => {
  await using cluster = await Cluster.open({ alpha: 'newest', beta: 'oldest' })
  await cluster.createVolume('data', { longname: 'on' })
  await cluster.alpha.run(['sh', '-c', 'touch /flocker/data/$(printf "n%.0s" $(seq 400))'])
  const { error, events } = await cluster.push({ volume: 'data' })
  assert.is(error?.code, 'NOT_SUPPORTED')
  assert.match(error?.message ?? '', /longname, which OpenZFS has since 2\.3; this host runs 2\.1\.11/)
  assert.not(events.some(({ event }) => event === 'progress'))
  assert.equal(await cluster.datasets(cluster.beta), [])
  assert.equal(await cluster.snapshots(cluster.alpha), [])
})

test.run()
