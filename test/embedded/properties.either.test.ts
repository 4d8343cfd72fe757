/** Properties that go with streams, between two hosts in this process: what a replica gets, and what it never does. */
import { randomUUID } from 'node:crypto'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  getOwnProperties,
  getProperties,
  getReceivedProperties,
  inheritProperty,
  setProperties,
} from '../../src/datasets/index.js'
import {
  type Host,
  type Peer,
  pullVolume,
  pushVolume,
  type ReplicationOptions,
  type ReplicationResult,
  replicate,
} from '../../src/index.js'
import * as lzc from '../../src/lzc/index.js'
import type { SentProperties, Setting } from '../../src/replication/choose-properties.js'
import { move } from '../../src/replication/move.js'
import { RemoteDestination } from '../../src/replication/remote-destination.js'
import { VERBS } from '../../src/transport/index.js'
import { eventually, failure } from '../zfs/pool.js'
import { equip, mebibyte, openBeta, reopenAlpha } from './cluster.js'
import { useEngine, withDirectory } from './engine.js'
import { createDisk, write } from './trees.js'

const source = 'alpha/flocker/disk'
const replica = 'beta/flocker/disk'

interface Two {
  alpha: Host
  /** As alpha sees it. */
  beta: Peer
  /** Pushes alpha's disk. */
  push: (options?: ReplicationOptions) => Promise<ReplicationResult>
  betaHost: Host
}

/** @param granted properties that beta's rules let alpha bring */
async function withTwo(granted: readonly string[], use: (two: Two) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    await equip(directory)
    await using alpha = await reopenAlpha(directory)
    await using betaHost = await openBeta(directory)
    const rule = { peer: 'alpha', verbs: [...VERBS], datasets: ['beta/flocker/**'], properties: granted }
    const server = await betaHost.listen({ port: 0, address: '127.0.0.1', authorize: [rule] })
    await using beta = await alpha.connect(`127.0.0.1:${server.port}`)
    await lzc.create('alpha/flocker', { properties: { canmount: 'off' } })
    const push = async (options: ReplicationOptions = {}) => pushVolume(await alpha.getVolume('disk'), beta, options)
    await use({ alpha, beta, push, betaHost })
  })
}

async function valuesOf(dataset: string, ...names: string[]): Promise<string> {
  const properties = await getProperties(dataset, names)
  return names
    .map((name) => `${name}=${properties[name] && `${properties[name].value} ${properties[name].source}`}`)
    .join(', ')
}

const received = async (dataset: string) => ({ ...(await getReceivedProperties(dataset)) })

test('a block volume: what is safe arrives as received values, and follows the source', () =>
  withTwo([], async ({ push }) => {
    await createDisk(source)
    await setProperties(source, {
      compression: 'gzip-3',
      refreservation: mebibyte,
      volmode: 'none',
      snapshot_limit: 50n,
      'com.example:owner': 'me',
      'com.sun:auto-snapshot': 'true',
      'flocker-zfs:note': 'x',
    })
    const full = await push()
    assert.equal(full.propertiesLeftOut, [])
    assert.equal(await received(replica), { compression: 'gzip-3', 'com.example:owner': 'me' })
    assert.is(await valuesOf(replica, 'readonly', 'refreservation'), 'readonly=on local, refreservation=0 default')
    assert.equal(
      { ...(await getOwnProperties(replica)) },
      { compression: 'gzip-3', 'com.example:owner': 'me', readonly: 'on' },
    )

    await setProperties(source, { compression: 'lz4', 'com.example:new': 'n', sync: 'always' })
    await inheritProperty(source, 'com.example:owner')
    await setProperties(replica, { sync: 'disabled', 'com.example:new': 'theirs' })
    assert.is((await push()).kind, 'incremental')
    assert.equal(await received(replica), { compression: 'lz4', 'com.example:new': 'n', sync: 'always' })
    assert.is(await valuesOf(replica, 'sync', 'com.example:new'), 'sync=disabled local, com.example:new=theirs local')
    await inheritProperty(replica, 'sync', { received: true })
    assert.is(await valuesOf(replica, 'sync'), 'sync=always received')

    await setProperties(source, { sync: 'standard' })
    await push({ properties: { send: 'none' } })
    assert.is(await valuesOf(replica, 'sync'), 'sync=always received', 'stays where none are sent')
    await push({ properties: { send: ['com.example:*'] } })
    assert.equal(await received(replica), { 'com.example:new': 'n' })
  }))

test('a snapshot that is there already brings nothing', () =>
  withTwo([], async ({ push }) => {
    await createDisk(source)
    const { snapshot } = await push()
    await setProperties(source, { compression: 'lz4' })
    const again = await push({ snapshot: snapshot.split('@')[1] as string })
    assert.equal([again.kind, again.propertiesLeftOut], ['current', []])
    assert.equal(await received(replica), {})
  }))

test('a tree of filesystems: quotas, mountpoints, shares and rights stay, in name of safety', () =>
  withTwo(['quota'], async ({ alpha, beta }) => {
    const [from, to] = ['alpha/flocker/app/fs', 'beta/flocker/app/fs']
    await lzc.create('alpha/flocker/app', { properties: { 'com.example:of': 'parent', recordsize: '16K' } })
    await lzc.create(from, {
      properties: {
        ...{ quota: 20 * mebibyte, refquota: 10 * mebibyte, reservation: mebibyte, filesystem_limit: 3n },
        ...{ mountpoint: '/etc', canmount: 'on', sharenfs: 'on', overlay: 'off', zoned: 'off', snapdev: 'visible' },
        ...{ exec: 'off', setuid: 'on', devices: 'on', atime: 'off', acltype: 'posix', dedup: 'on' },
      },
    })
    const push = async (properties?: ReplicationOptions['properties']) => {
      const result = await replicate('app', { from: alpha, to: beta }, properties && { properties })
      assert.equal([result.failed, result.leftOut], [0, 0])
      return result.outcomes.flatMap((outcome) => (outcome.kind === 'done' ? outcome.propertiesLeftOut : []))
    }
    assert.equal(await push(), [])
    assert.equal(await received('beta/flocker/app'), { 'com.example:of': 'parent', recordsize: 16384n })
    assert.equal(await received(to), { exec: 'off', atime: 'off', acltype: 'posix' })
    assert.is(
      await valuesOf(to, 'readonly', 'canmount', 'quota', 'mountpoint', 'setuid'),
      'readonly=on local, canmount=noauto local, quota=0 default, mountpoint=/flocker/app/fs inherited from beta/flocker, setuid=on default',
    )

    const named = await push({
      send: ['*', 'quota', 'mountpoint', 'setuid'],
      exclude: ['atime'],
      override: { readonly: 'off' },
    })
    assert.equal(
      named.filter(({ why }) => why !== 'not-allowed'),
      [],
    )
    assert.equal(named.map(({ name }) => name).sort(), ['mountpoint', 'readonly', 'readonly', 'setuid'])
    assert.equal(await received(to), { exec: 'off', acltype: 'posix', quota: BigInt(20 * mebibyte) })
    assert.is(await valuesOf(to, 'readonly', 'quota'), `readonly=on local, quota=${20 * mebibyte} received`)
    await push({ override: { 'com.example:note': 'set', recordsize: '32K' } })
    assert.is(
      await valuesOf(to, 'com.example:note', 'recordsize'),
      'com.example:note=set local, recordsize=32768 local',
    )
  }))

test('a pull: what the pulling host names in full comes in, and it may have the replica otherwise', () =>
  withTwo([], async ({ beta }) => {
    await lzc.create('beta/flocker', { properties: { canmount: 'off' } })
    await createDisk(replica)
    await setProperties(replica, { compression: 'gzip-5', snapshot_limit: 9n, 'com.example:a': 'b', volmode: 'none' })
    const pull = (properties?: ReplicationOptions['properties']) =>
      pullVolume('disk', beta, properties === undefined ? {} : { properties })
    assert.equal((await pull()).propertiesLeftOut, [])
    assert.equal(await received(source), { compression: 'gzip-5', 'com.example:a': 'b' })
    await pull({ send: ['snapshot_limit'], override: { readonly: 'off', compression: 'lz4' } })
    assert.equal(await received(source), { snapshot_limit: 9n })
    assert.is(await valuesOf(source, 'readonly', 'compression'), 'readonly=off local, compression=lz4 local')
    await pull({ send: 'none' })
    assert.is(await valuesOf(source, 'readonly', 'snapshot_limit'), 'readonly=on local, snapshot_limit=9 received')
  }))

test('a hostile sender gets nothing past the receiving host', () =>
  withTwo([], async ({ beta }) => {
    await createDisk(source)
    await lzc.snapshot(`${source}@1`)
    const hostile = async (properties: SentProperties) => {
      const stream = lzc.send(`${source}@1`)
      const begin = await new Promise<Buffer>((resolve) => {
        stream.once('readable', () => {
          const record: Buffer = stream.read(lzc.beginRecordBytes)
          stream.unshift(record)
          resolve(record)
        })
      })
      const transfer = randomUUID()
      const arrival = { transfer, volume: 'disk', snapshot: '1', from: 'alpha', properties }
      try {
        const { body, outcome } = await new RemoteDestination(beta, transfer).open(
          arrival,
          begin,
          0n,
          AbortSignal.timeout(60_000),
        )
        const [{ leftOut }] = await Promise.all([outcome, move({ stream }, body, {})])
        return leftOut.map(({ name }) => name)
      } finally {
        stream.destroy()
      }
    }
    const many: Setting[] = Array.from({ length: 1001 }, (_, i) => ({ name: `a:${i}`, value: 'x' }))
    for (const properties of [
      { received: many, overrides: [] },
      { overrides: many.slice(0, 65) },
      { overrides: [{ name: 'a'.repeat(256), value: 'x' }] },
      { overrides: [{ name: 'a:b', value: 'x'.repeat(8192) }] },
    ]) {
      const error = await failure(hostile(properties))
      assert.ok(['PROTOCOL', 'INVALID_ARGUMENT', 'INTERNAL'].includes(error.code), error.code)
      assert.not(await lzc.exists(replica))
    }
    const bad = {
      ...{ keylocation: 'file:///etc/passwd', encryption: 'on', volsize: '1', version: '1', readonly: 'off' },
      ...{ 'flocker-zfs:pending': 'alpha', 'org.zfsbootmenu:commandline': 'init=/bin/sh', refreservation: '4194304' },
      ...{ mountpoint: '/etc', recordsize: '4096', nosuch: '1', compression: 'x', 'A:b': 'x', $hasrecvd: '1' },
    }
    const settings = Object.entries(bad).map(([name, value]) => ({ name, value }))
    const good = { name: 'com.example:a', value: 'b' }
    const leftOut = await hostile({ received: [...settings, good], overrides: settings })
    assert.equal(leftOut, [...Object.keys(bad), ...Object.keys(bad)])
    assert.equal(await received(replica), { 'com.example:a': 'b' })
    assert.equal({ ...(await getOwnProperties(replica)) }, { 'com.example:a': 'b', readonly: 'on' })
  }))

test('a stream that is gone on with brings them too, as they are by then', () =>
  withTwo([], async ({ alpha, push }) => {
    await createDisk(source, 32)
    await write(source, 24 * 1024)
    await setProperties(source, { compression: 'gzip-2', 'com.example:a': 'first', 'com.example:gone': 'soon' })
    const cut = async (): Promise<void> => {
      const pause = new AbortController()
      const onProgress = ({ bytes }: { bytes: bigint }): void => {
        if (bytes > 6n * BigInt(mebibyte)) pause.abort()
      }
      const error = await failure(push({ signal: pause.signal, onAbort: 'keep', onProgress, limit: 32 * mebibyte }))
      assert.is(error.code, 'ABORTED')
    }
    const finish = async (): Promise<void> => {
      const [pending] = (await alpha.status('disk')).peers.flatMap((peer) => peer.pending)
      const { resumed, bytes } = await push({ snapshot: pending?.name as string })
      assert.is(resumed?.bytes, bytes, 'it was gone on with, and that was all')
    }
    await cut()
    await setProperties(source, { 'com.example:a': 'second' })
    await inheritProperty(source, 'com.example:gone')
    await finish()
    assert.equal(await received(replica), { compression: 'gzip-2', 'com.example:a': 'second' })

    await write(source, 24 * 1024)
    await cut()
    // Beta puts them back when its receive has ended, which an abort does not wait for.
    await eventually(async () => (await received(replica))['com.example:a'] === 'second')
    assert.equal(await received(replica), { compression: 'gzip-2', 'com.example:a': 'second' }, 'as before')
    await setProperties(source, { 'com.example:a': 'third' })
    await finish()
    assert.equal(await received(replica), { compression: 'gzip-2', 'com.example:a': 'third' })
  }))

test('what comes back to a volume that was the source leaves what is set there', () =>
  withTwo([], async ({ alpha, betaHost, push }) => {
    await createDisk(source)
    const own = {
      compression: 'gzip-3',
      'com.example:owner': 'alpha',
      snapshot_limit: 100n,
      refreservation: BigInt(mebibyte),
    }
    await setProperties(source, own)
    await push()
    await setProperties(replica, { readonly: 'off', 'com.example:owner': 'beta', 'com.example:new': 'n' })
    await write(replica)
    const rule = { peer: 'beta', verbs: [...VERBS], datasets: ['alpha/flocker/**'] }
    const server = await alpha.listen({ port: 0, address: '127.0.0.1', authorize: [rule] })
    await using back = await betaHost.connect(`127.0.0.1:${server.port}`)
    const returned = await pushVolume(await betaHost.getVolume('disk'), back)
    assert.is(returned.kind, 'incremental')
    assert.equal({ ...(await getOwnProperties(source)) }, { ...own, readonly: 'on', 'com.example:new': 'n' })
    assert.equal(await received(source), { compression: 'gzip-3', 'com.example:owner': 'beta', 'com.example:new': 'n' })
  }))

test('what this OpenZFS does not know is left out, and told', () =>
  withTwo([], async ({ push }) => {
    await createDisk(source)
    const { propertiesLeftOut } = await push({ properties: { override: { volthreading: 'off', sync: 'always' } } })
    const known = (await lzc.version()).module.startsWith('2.1') ? [{ name: 'volthreading', why: 'refused' }] : []
    assert.equal(propertiesLeftOut, known)
    assert.is(await valuesOf(replica, 'sync'), 'sync=always local')
  }))

test('options and rules that can not be meant are refused before anything is touched', () =>
  withTwo([], async ({ beta, push, betaHost, alpha }) => {
    await createDisk(source)
    for (const properties of [{ send: ['keylocation'] }, { override: { readonly: 'maybe' } }]) {
      assert.is((await failure(push({ properties }))).code, 'INVALID_ARGUMENT')
      const tree = replicate('disk', { from: alpha, to: beta }, { properties })
      assert.is((await failure(tree)).code, 'INVALID_ARGUMENT')
    }
    assert.not(await lzc.exists(replica))
    const rule = { peer: 'alpha', verbs: [...VERBS], datasets: ['beta/**'], properties: ['keylocation'] }
    assert.is((await failure(betaHost.listen({ port: 0, authorize: [rule] }))).code, 'INVALID_ARGUMENT')
  }))

test.before(async () => {
  await useEngine()
})

test.run()
