/** The nine ways in which the first Flocker lost data, each as what happens here instead. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { acquireVolume, handoffVolume, pullVolume, pushVolume } from '../../src/index.js'
import * as lzc from '../../src/lzc/index.js'
import { failure } from '../zfs/pool.js'
import { digest, fill } from './cluster.js'
import { useEngine, withDirectory } from './engine.js'
import { TwoHosts } from './two-hosts.js'

const withTwo = (use: (two: TwoHosts) => Promise<void>): Promise<void> =>
  withDirectory(async (directory) => {
    await using two = await TwoHosts.open(directory)
    await use(two)
  })

const replica = 'beta/flocker/disk'

test('1: a receive that fails is not taken for one that succeeded, and its copy never becomes the owner', () =>
  withTwo(async ({ alpha, beta, toBeta }) => {
    const disk = await alpha.createVolume('disk', { size: '32M' })
    await fill(disk, 0, 1)
    await pushVolume(disk, toBeta)
    await fill(disk, 0, 24)
    await lzc.create('beta/full', { type: 'volume', properties: { volsize: '8M', refreservation: '8M' } })
    const hash = await digest(disk)
    const cut = new AbortController()
    const handoff = handoffVolume(disk, toBeta, {
      signal: cut.signal,
      limit: 32_000_000,
      onProgress: ({ bytes }) => {
        if (bytes > 4_000_000n) cut.abort()
      },
    })
    assert.is((await failure(handoff)).code, 'ABORTED')
    assert.ok((await alpha.inspectVolume('disk')).served)
    assert.not((await beta.inspectVolume('disk')).served)
    const { guid } = await handoffVolume(disk, toBeta)
    assert.is((await beta.status('disk')).newest?.guid, guid)
    assert.is(await digest({ dataset: replica }), hash)
  }))

test('2: where there is no common snapshot nothing is forced', () =>
  withTwo(async ({ alpha, toBeta }) => {
    const disk = await alpha.createVolume('disk', { size: '8M' })
    await lzc.create('beta/flocker', { properties: { canmount: 'off' } })
    await lzc.create(replica, { type: 'volume', properties: { volsize: '8M' } })
    await lzc.writeVolume(replica, 0n, Buffer.alloc(512, 7))
    await lzc.snapshot([`${replica}@theirs`])
    const before = await digest({ dataset: replica })
    assert.is((await failure(pushVolume(disk, toBeta))).code, 'DIVERGED')
    assert.is((await failure(handoffVolume(disk, toBeta))).code, 'DIVERGED')
    assert.is(await digest({ dataset: replica }), before)
    assert.ok((await alpha.inspectVolume('disk')).served)
  }))

test('3: snapshots of the same name are not the same', () =>
  withTwo(async ({ alpha, toBeta }) => {
    const disk = await alpha.createVolume('disk', { size: '8M' })
    await lzc.create('beta/flocker', { properties: { canmount: 'off' } })
    await lzc.create(replica, { type: 'volume', properties: { volsize: '8M' } })
    await lzc.snapshot(['alpha/flocker/disk@same'])
    await lzc.snapshot([`${replica}@same`])
    assert.is((await failure(pushVolume(disk, toBeta))).code, 'DIVERGED')
  }))

test('4: between the owner before and the next there is at most one, and each has an epoch of its own', () =>
  withTwo(async ({ alpha, beta, toBeta, toAlpha }) => {
    const disk = await alpha.createVolume('disk', { size: '8M' })
    await fill(disk, 0, 4)
    await pushVolume(disk, toBeta)
    const serving = async (): Promise<string[]> => {
      const infos = [await alpha.inspectVolume('disk'), await beta.inspectVolume('disk')]
      return infos.flatMap(({ served }, i) => (served ? [i === 0 ? 'alpha' : 'beta'] : []))
    }
    const seen: Promise<string[]>[] = []
    const moved = await handoffVolume(disk, toBeta, { onPhase: () => void seen.push(serving()) })
    for (const each of await Promise.all(seen)) assert.ok(each.length <= 1 && !each.includes('beta'), each.join())
    assert.equal(await serving(), ['beta'])
    assert.equal([moved.owner, moved.epoch], ['beta', 2n])
    assert.is((await failure(handoffVolume(disk, toBeta))).code, 'NOT_OWNER')
    assert.is((await failure(pushVolume(disk, toBeta))).code, 'NOT_OWNER')
    const back = await acquireVolume('disk', toBeta)
    assert.equal([back.owner, back.epoch], ['alpha', 3n])
    assert.ok(back.bytes < 1n << 20n, `it comes back as an increment: ${back.bytes}`)
    assert.is((await failure(pushVolume(await beta.getVolume('disk'), toAlpha))).code, 'NOT_OWNER')
    assert.equal(await serving(), ['alpha'])
  }))

test('5: what uses a volume is stopped before the last push, and started again if it stays', () =>
  withTwo(async ({ alpha, beta, toBeta }) => {
    const disk = await alpha.createVolume('disk', { size: '8M' })
    const order: string[] = []
    const last = Buffer.from('the last words')
    const quiesce = async (): Promise<void> => {
      order.push('quiesce')
      await disk.write(0, Buffer.concat([last, Buffer.alloc(512 - last.length)]))
    }
    const refused = handoffVolume(disk, toBeta, {
      quiesce,
      resume: () => void order.push('resume'),
      onPhase: (phase) => {
        order.push(phase)
        if (phase === 'commit') throw new Error('not today')
      },
    })
    assert.match(await refused.then(String, String), /not today/)
    assert.equal(order, ['prepare', 'copy', 'quiesce', 'quiesce', 'freeze', 'push', 'commit', 'resume'])
    await disk.write(512, Buffer.alloc(512, 1))
    const fails = handoffVolume(disk, toBeta, { quiesce: () => Promise.reject(new Error('it does not stop')) })
    assert.is((await failure(fails)).code, 'HOOK_FAILED')
    assert.ok((await alpha.inspectVolume('disk')).served)
    await handoffVolume(disk, toBeta, { quiesce })
    assert.equal((await (await beta.getVolume('disk')).read(0, 512)).subarray(0, last.length), last)
  }))

test('6: a host that does not answer is unknown, not empty', () =>
  withDirectory(async (directory) => {
    const two = await TwoHosts.open(directory)
    const disk = await two.alpha.createVolume('disk', { size: '8M' })
    await fill(disk, 0, 1)
    await handoffVolume(disk, two.toBeta)
    await acquireVolume('disk', two.toBeta)
    await using again = await two.restart()
    await again.beta.close()
    const [left] = await again.alpha.recover()
    assert.equal([left?.volume, (left?.why as { code?: string } | undefined)?.code], ['disk', 'OWNER_UNCONFIRMED'])
    assert.not((await again.alpha.inspectVolume('disk')).served)
    assert.is((await failure(again.alpha.createVolume('disk', { size: '8M' }))).code, 'EXISTS')
    await again.alpha.serveVolume('disk', { unconfirmed: true })
    assert.ok((await again.alpha.inspectVolume('disk')).served)
  }))

test('7: a name is the same wherever the owner is', () =>
  withTwo(async ({ alpha, beta, toBeta }) => {
    const disk = await alpha.createVolume('db/disk', { size: '8M' })
    await handoffVolume(disk, toBeta)
    const [ours, theirs] = [await alpha.inspectVolume('db/disk'), await beta.inspectVolume('db/disk')]
    assert.equal([ours.name, ours.id], [theirs.name, theirs.id])
    assert.equal([ours.dataset, theirs.dataset], ['alpha/flocker/db/disk', 'beta/flocker/db/disk'])
  }))

test('8: a replica can not diverge: it is read-only', () =>
  withTwo(async ({ alpha, beta, toBeta, toAlpha }) => {
    const disk = await alpha.createVolume('disk', { size: '8M' })
    await pushVolume(disk, toBeta)
    const copy = await beta.getVolume('disk')
    assert.is((await failure(copy.write(0, Buffer.alloc(512)))).code, 'READ_ONLY')
    assert.is((await failure(beta.cloneVolume('disk', 'other'))).code, 'NOT_OWNER')
    assert.is((await failure(pullVolume('disk', toBeta))).code, 'OWNED_HERE')
    assert.is((await failure(toAlpha.preserveReplica('disk'))).code, 'OWNED_HERE')
    await fill(disk, 0, 1)
    assert.is((await pushVolume(disk, toBeta)).kind, 'incremental')
  }))

test('9: at every moment there is a whole copy under the proper name', () =>
  withTwo(async ({ alpha, toBeta }) => {
    const disk = await alpha.createVolume('disk', { size: '16M' })
    await fill(disk, 0, 1)
    await pushVolume(disk, toBeta)
    await fill(disk, 0, 12)
    let looks = 0
    const looking: Promise<void>[] = []
    const look = async (): Promise<void> => {
      assert.ok(await lzc.exists(replica), 'it has its name')
      await lzc.readVolume(replica, 0n, 512)
      looks++
    }
    await handoffVolume(disk, toBeta, {
      onProgress: () => void looking.push(look()),
      onPhase: () => void looking.push(look()),
    })
    await Promise.all(looking)
    assert.ok(looks > 5)
  }))

test.before(useEngine)

test.run()
