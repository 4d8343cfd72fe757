/** Volumes: made, listed, resized, cloned, destroyed, leased, followed; and whoever may not do so. */

import { setTimeout as wait } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { getProperties, setProperties } from '../../src/datasets/index.js'
import { acquireVolume, type FollowReport, follow, handoffVolume, pushVolume } from '../../src/index.js'
import * as lzc from '../../src/lzc/index.js'
import { VERBS } from '../../src/transport/index.js'
import { eventually, failure } from '../zfs/pool.js'
import { digest, fill, mebibyte, snapshotsOf } from './cluster.js'
import { useEngine, withDirectory } from './engine.js'
import { TwoHosts } from './two-hosts.js'

const withTwo = (use: (two: TwoHosts) => Promise<void>): Promise<void> =>
  withDirectory(async (directory) => {
    await using two = await TwoHosts.open(directory)
    await use(two)
  })

test('a volume is its own record', () =>
  withTwo(async ({ alpha }) => {
    const made = await alpha.createVolume('disk', { size: '16 MiB', metadata: { app: 'db', 'ü "x"': 'a\nb' } })
    await lzc.create('alpha/flocker/foreign', { type: 'volume', properties: { volsize: '8M' } })
    const [info, ...more] = await alpha.listVolumes()
    assert.equal(more, [], 'what we have not made is left alone')
    const { id, lease, handoff, path, ...rest } = info as NonNullable<typeof info>
    assert.match(id, /^[0-9a-f-]{36}$/)
    assert.equal([lease, handoff, path], [undefined, undefined, undefined])
    assert.equal(rest, {
      name: 'disk',
      dataset: made.dataset,
      type: 'volume',
      owner: { host: 'alpha', epoch: 1n },
      served: true,
      size: 16n << 20n,
      metadata: { app: 'db', 'ü "x"': 'a\nb' },
      peers: [],
    })
    assert.is((await failure(alpha.inspectVolume('foreign'))).code, 'NOT_FOUND')
    assert.is((await failure(alpha.createVolume('disk', { size: '8M' }))).code, 'EXISTS')
    for (const size of ['0', '1 furlong', -1, 1.5]) {
      assert.is((await failure(alpha.createVolume('bad', { size }))).code, 'INVALID_ARGUMENT')
    }
    const long = { metadata: { x: 'x'.repeat(8200) }, size: '8M' }
    assert.is((await failure(alpha.createVolume('bad', long))).code, 'INVALID_ARGUMENT')
    await setProperties(made.dataset, { 'flocker-zfs:owner': 'nobody' })
    assert.is((await failure(alpha.inspectVolume('disk'))).code, 'RECORD_INVALID')
  }))

test('the first volumes of a host may be made, and arrive, all at once', () =>
  withTwo(async ({ alpha, beta, toBeta }) => {
    const names = ['a', 'b', 'c', 'x/y/d', 'x/y/e']
    const volumes = await Promise.all(names.map((name) => alpha.createVolume(name, { size: '8M' })))
    await Promise.all(volumes.map((volume) => pushVolume(volume, toBeta)))
    assert.equal((await beta.listVolumes()).map(({ name }) => name).sort(), names)
  }))

test('resize, clone and destroy', () =>
  withTwo(async ({ alpha }) => {
    const disk = await alpha.createVolume('disk', { size: 8 * mebibyte, metadata: { of: 'disk' } })
    await fill(disk, 0, 8)
    await alpha.resizeVolume('disk', '16M')
    assert.is(await disk.size(), 16n << 20n)
    assert.is((await failure(alpha.resizeVolume('disk', '8M'))).code, 'INVALID_ARGUMENT')
    await alpha.resizeVolume('disk', '12M', { shrink: true })
    assert.is(await disk.size(), 12n << 20n)

    const copy = await alpha.cloneVolume('disk', 'copy')
    assert.is(await digest(copy), await digest(disk))
    const [own, theirs] = [await alpha.inspectVolume('copy'), await alpha.inspectVolume('disk')]
    assert.is.not(own.id, theirs.id)
    assert.equal([own.served, own.metadata], [true, { of: 'disk' }])
    assert.is((await failure(alpha.destroyVolume('disk'))).code, 'HAS_DEPENDENTS')
    assert.ok((await alpha.inspectVolume('disk')).served, 'it is served as before')
    await alpha.destroyVolume('copy')
    await alpha.destroyVolume('disk')
    assert.equal(await alpha.listVolumes(), [])
  }))

test('what is held stays', () =>
  withTwo(async ({ alpha, beta, toBeta }) => {
    const disk = await alpha.createVolume('disk', { size: '8M' })
    await pushVolume(disk, toBeta)
    assert.is((await failure(beta.destroyVolume('disk'))).code, 'NOT_OWNER')
    const held = await failure(beta.destroyVolume('disk', { replica: true }))
    assert.is(held.code, 'BUSY')
    assert.match(held.message, /forget: \['alpha'\]/)
    const [snapshot = ''] = await snapshotsOf('beta/flocker/disk')
    await lzc.hold({ [snapshot]: 'mine' })
    assert.is((await failure(beta.destroyVolume('disk', { replica: true, forget: ['alpha'] }))).code, 'BUSY')
    await lzc.release({ [snapshot]: 'mine' })
    await beta.destroyVolume('disk', { replica: true, forget: ['alpha'] })
    assert.equal(await beta.listVolumes(), [])
    await alpha.destroyVolume('disk')
  }))

test('a lease blocks move and delete, and only its holder renews and releases it', () =>
  withTwo(async ({ alpha, beta, toBeta, toAlpha }) => {
    const disk = await alpha.createVolume('disk', { size: '8M' })
    const lease = await alpha.acquireLease('disk', 'one')
    assert.is((await failure(alpha.acquireLease('disk', 'two'))).code, 'LEASED')
    for (const blocked of [
      () => alpha.destroyVolume('disk'),
      () => handoffVolume(disk, toBeta),
      () => acquireVolume('disk', toAlpha),
    ]) {
      assert.is((await failure(blocked())).code, 'LEASED')
      assert.ok((await alpha.inspectVolume('disk')).served)
    }
    const again = await alpha.acquireLease('disk', 'one', { milliseconds: 60_000 })
    assert.ok(again.token > lease.token)
    for (const lost of [() => alpha.renewLease(lease), () => alpha.releaseLease(lease)]) {
      assert.is((await failure(lost())).code, 'LEASE_LOST')
    }
    const renewed = await alpha.renewLease(again, { milliseconds: 40 })
    assert.is(renewed.token, again.token)
    await wait(50)
    assert.is((await failure(alpha.renewLease(renewed))).code, 'LEASE_LOST')
    const second = await alpha.acquireLease('disk', 'two')
    assert.ok(second.token > again.token)
    await alpha.releaseLease(second)

    await handoffVolume(disk, toBeta)
    assert.is((await failure(alpha.acquireLease('disk', 'one'))).code, 'NOT_OWNER')
    const there = await beta.acquireLease('disk', 'one')
    assert.ok(there.token > second.token, 'tokens grow from host to host')
  }))

test('what runs on a volume is told, and taken in from those only that may have it run', async () => {
  const application = { 'flocker-zfs:application': '{"running":true,"application":{"name":"db","image":"db:1"}}' }
  const noted = async (): Promise<unknown> =>
    (await getProperties('beta/flocker/disk', ['flocker-zfs:application']))['flocker-zfs:application']?.value
  for (const [verbs, expected] of [
    [VERBS.filter((verb) => verb !== 'run'), undefined],
    [VERBS, application['flocker-zfs:application']],
  ] as const) {
    await withDirectory(async (directory) => {
      await using two = await TwoHosts.open(directory, { verbs })
      const disk = await two.alpha.createVolume('disk', { size: '8M' })
      await setProperties(disk.dataset, application)
      await pushVolume(disk, two.toBeta)
      assert.is(await noted(), expected)
      assert.is((await failure(handoffVolume(disk, two.toBeta))).code, 'IN_USE')
      assert.is((await failure(acquireVolume('disk', two.toAlpha))).code, 'IN_USE')
      assert.is((await failure(two.alpha.destroyVolume('disk'))).code, 'IN_USE')
      assert.ok((await two.alpha.inspectVolume('disk')).served)
    })
  }
})

test('following keeps replicas within their lag, over lost connections, and goes on after a restart', () =>
  withDirectory(async (directory) => {
    const two = await TwoHosts.open(directory)
    const stop = new AbortController()
    const reports: FollowReport[] = []
    const disk = await two.alpha.createVolume('disk', { size: '8M' })
    await fill(disk, 0, 1)
    const options = { intervalMilliseconds: 30, signal: stop.signal, retention: { last: 2 } }
    const following = follow(disk, [two.toBeta], { ...options, onReport: (report) => reports.push(report) })
    await eventually(() => reports.some(({ withinLag }) => withinLag), 20_000)
    await two.toBeta.connection.close()
    await fill(disk, 1, 1)
    const hash = await digest(disk)
    await eventually(async () => (await digest({ dataset: 'beta/flocker/disk' })) === hash, 20_000)
    assert.equal(
      reports.filter(({ failure }) => failure?.againMilliseconds === undefined && failure !== undefined),
      [],
    )
    assert.equal((await two.alpha.inspectVolume('disk')).peers, ['beta'])
    stop.abort()
    await following

    await using again = await two.restart()
    const { served } = await again.alpha.inspectVolume('disk')
    assert.not(served, 'beta may have been promoted')
    assert.is((await failure(disk.write(0, Buffer.alloc(512)))).code, 'READ_ONLY')
    assert.equal(await again.alpha.recover(), [])
    assert.ok((await again.alpha.inspectVolume('disk')).served)
    await fill(disk, 2, 1)
    const later = new AbortController()
    const told: FollowReport[] = []
    const onReport = (report: FollowReport): void => {
      told.push(report)
      if (report.bytes > 0n) later.abort()
    }
    await follow(disk, [again.toBeta], { ...options, signal: later.signal, onReport })
    assert.is(await digest({ dataset: 'beta/flocker/disk' }), await digest(disk))
    assert.ok((told.at(-1)?.bytes ?? 0n) < 2n << 20n, 'an increment')
    await handoffVolume(disk, again.toBeta)
    assert.is((await failure(follow(disk, [again.toBeta]))).code, 'NOT_OWNER')
  }))

test('a handoff to a peer that is followed all the time', () =>
  withTwo(async (two) => {
    const disk = await two.alpha.createVolume('disk', { size: '64M' })
    await fill(disk, 0, 32)
    const following = follow(disk, [two.toBeta], { intervalMilliseconds: 5 })
    const ended = failure(following)
    const writing = new AbortController()
    const write = async (): Promise<void> => {
      for (let i = 0; !writing.signal.aborted; i++) await fill(disk, i % 32, 1)
    }
    const written = write()
    await wait(200)
    const quiesce = async (): Promise<void> => {
      writing.abort()
      await written
    }
    assert.is((await handoffVolume(disk, two.toBeta, { quiesce, mostRounds: 3 })).owner, 'beta')
    assert.is((await ended).code, 'NOT_OWNER')
    assert.equal(await two.alpha.recover(), [])
  }))

test.before(useEngine)

test.run()
