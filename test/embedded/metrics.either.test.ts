/** What a push looks like in numbers, on both sides of it. */
import { Registry } from 'prom-client'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { pushVolume } from '../../src/index.js'
import { metrics } from '../../src/metrics/index.js'
import { failure } from '../zfs/pool.js'
import { fill, mebibyte, openAlpha, openBeta } from './cluster.js'
import { useEngine, withDirectory } from './engine.js'

/** A metric's values by its labels, such as `peer=beta side=send`. */
async function valuesOf(registry: Registry, name: string): Promise<Record<string, number>> {
  const found = (await registry.getMetricsAsJSON()).find((metric) => metric.name === `flocker_zfs_${name}`)
  const values = (found as { values: { labels: Record<string, string | number>; value: number }[] }).values
  return Object.fromEntries(
    values.map(({ labels, value }) => {
      const text = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))
      return [text.map(([key, label]) => `${key}=${label}`).join(' '), value]
    }),
  )
}

test('streams are counted on either side, with how they ended; the lag is read from the pool', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    await using beta = await openBeta(directory)
    const authorize = [{ peer: 'alpha', verbs: ['inspect', 'receive'] as const, datasets: ['beta/flocker/**'] }]
    const server = await beta.listen({
      port: 0,
      address: '127.0.0.1',
      authorize: authorize.map((rule) => ({ ...rule, verbs: [...rule.verbs] })),
    })
    const registry = new Registry()
    const stop = metrics(registry, { host: alpha, statusMilliseconds: 0 })
    assert.throws(() => metrics(registry), /already/)
    const volume = await alpha.createVolume('disk', { size: 128 * mebibyte })
    await fill(volume, 0, 64)
    const address = `127.0.0.1:${server.port}`
    {
      const peer = await alpha.connect(address)
      let done = false
      const broken = pushVolume(volume, peer, {
        limit: 64 * mebibyte,
        onProgress: ({ bytes }) => {
          if (done || bytes < 24n * BigInt(mebibyte)) return
          done = true
          void peer.close()
        },
      })
      assert.is((await failure(broken)).code, 'ABORTED')
    }
    await using peer = await alpha.connect(address)
    const pushed = await pushVolume(volume, peer)

    const sent = 'peer=beta side=send'
    const came = 'peer=alpha side=receive'
    const full = (labels: string) => `kind=full ${labels}`
    const rest = (labels: string) => `kind=incremental ${labels}`
    const started = await valuesOf(registry, 'streams_started_total')
    assert.equal(started, { [full(sent)]: 2, [full(came)]: 2, [rest(sent)]: 1, [rest(came)]: 1 })
    const done = await valuesOf(registry, 'streams_done_total')
    assert.equal(done, { [full(sent)]: 1, [full(came)]: 1, [rest(sent)]: 1, [rest(came)]: 1 })
    const failed = await valuesOf(registry, 'streams_failed_total')
    assert.is(failed[`code=ABORTED ${full(sent)}`], 1)
    assert.is(Object.keys(failed).length, 2)
    assert.equal(await valuesOf(registry, 'streams_in_flight'), { [sent]: 0, [came]: 0 })
    const bytes = await valuesOf(registry, 'stream_bytes_total')
    const moved = (bytes[full(sent)] ?? 0) + (bytes[rest(sent)] ?? 0)
    assert.ok(moved >= Number(pushed.bytes) + 24 * mebibyte, `${moved}`)
    const resumed = await valuesOf(registry, 'stream_resumed_bytes_total')
    assert.is(resumed[full(sent)], Number(pushed.resumed?.kept))
    assert.equal(await valuesOf(registry, 'replications_total'), {
      [`code=ABORTED ${sent}`]: 1,
      [`code=OK ${sent}`]: 1,
    })
    assert.match(await registry.metrics(), /flocker_zfs_stream_seconds_bucket\{.*kind="full"/)
    const lag = 'peer=beta volume=disk'
    assert.ok(((await valuesOf(registry, 'lag_seconds'))[lag] ?? -1) >= 0)
    await fill(volume, 64, 8)
    await volume.flush()
    assert.ok(((await valuesOf(registry, 'lag_bytes'))[lag] ?? 0) > 7 * mebibyte)
    assert.equal(await valuesOf(registry, 'stale'), { 'volume=disk': 0 })

    stop()
    await pushVolume(volume, peer)
    assert.equal(await valuesOf(registry, 'streams_started_total'), started)
  }))

test('a status that can not be read is counted', () =>
  withDirectory(async (directory) => {
    const alpha = await openAlpha(directory)
    await alpha.close()
    const registry = new Registry()
    const stop = metrics(registry, { host: alpha })
    assert.equal(await valuesOf(registry, 'lag_seconds'), {})
    assert.equal(Object.values(await valuesOf(registry, 'status_errors_total')), [1])
    stop()
  }))

test.before(async () => {
  await useEngine()
})

test.run()
