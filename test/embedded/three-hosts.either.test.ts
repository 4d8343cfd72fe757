/** A third host, and a registry that decides: what two hosts alone do not show. */
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  createHostCertificate,
  FlockerError,
  type FollowReport,
  follow,
  type Host,
  handoffVolume,
  type Ownership,
  type OwnershipRegistry,
  openHost,
  type VolumeKey,
} from '../../src/index.js'
import { VERBS } from '../../src/transport/index.js'
import { eventually, failure } from '../zfs/pool.js'
import { digest, fill } from './cluster.js'
import { useEngine, withDirectory } from './engine.js'
import { TwoHosts } from './two-hosts.js'

async function openGamma(directory: string): Promise<{ gamma: Host; port: number }> {
  const credentials = join(directory, 'gamma-credentials')
  const certificate = { identity: 'gamma', addresses: ['127.0.0.1'] }
  await createHostCertificate(join(directory, 'ca'), credentials, certificate)
  const gamma = await openHost({ embedded: join(directory, 'gamma'), pool: 'gamma', credentials })
  const authorize = ['alpha', 'beta'].map((peer) => ({ peer, verbs: VERBS, datasets: [`${gamma.root}/**`] }))
  return { gamma, port: (await gamma.listen({ port: 0, address: '127.0.0.1', authorize })).port }
}

test('any replica goes on from any other: two are followed, one is handed the volume, the third gets increments', () =>
  withDirectory(async (directory) => {
    await using two = await TwoHosts.open(directory)
    const { gamma, port } = await openGamma(directory)
    await using _ = gamma
    await using toGamma = await two.alpha.connect(`127.0.0.1:${port}`)
    const disk = await two.alpha.createVolume('disk', { size: '16M' })
    await fill(disk, 0, 8)
    const stop = new AbortController()
    const reports: FollowReport[] = []
    const options = { intervalMilliseconds: 20, signal: stop.signal }
    const onReport = (report: FollowReport): void => void reports.push(report)
    const following = follow(disk, [two.toBeta, toGamma], { ...options, onReport })
    const has = async (pool: string): Promise<boolean> =>
      reports.some(({ peer }) => peer === pool) &&
      (await digest({ dataset: `${pool}/flocker/disk` })) === (await digest(disk))
    await eventually(async () => (await has('beta')) && (await has('gamma')), 30_000)
    // Gamma is away, and behind.
    await toGamma.close()
    await fill(disk, 8, 1)
    await eventually(() => has('beta'), 30_000)
    stop.abort()
    await following
    assert.equal((await two.alpha.inspectVolume('disk')).peers, ['beta', 'gamma'])

    await handoffVolume(disk, two.toBeta)
    assert.is((await gamma.inspectVolume('disk')).owner.host, 'alpha', 'it has not heard')
    const volume = await two.beta.getVolume('disk')
    await fill(volume, 9, 1)
    await using fromBeta = await two.beta.connect(`127.0.0.1:${port}`)
    const [later, told] = [new AbortController(), [] as FollowReport[]]
    await follow(volume, [fromBeta, two.toAlpha], {
      intervalMilliseconds: 20,
      signal: later.signal,
      onReport: (report) => {
        told.push(report)
        if (new Set(told.filter(({ withinLag }) => withinLag).map(({ peer }) => peer)).size === 2) later.abort()
      },
    })
    assert.equal(
      told.filter(({ failure: failed }) => failed !== undefined),
      [],
    )
    const sent = told.reduce((sum, { bytes }) => sum + bytes, 0n)
    assert.ok(sent < 6n << 20n, `increments: ${sent}`)
    for (const pool of ['alpha', 'gamma']) {
      assert.is(await digest({ dataset: `${pool}/flocker/disk` }), await digest(volume), pool)
    }
    assert.equal((await gamma.inspectVolume('disk')).owner, { host: 'beta', epoch: 2n })
    assert.equal((await two.beta.inspectVolume('disk')).peers, ['alpha', 'gamma'])
  }))

/** A store that decides, in memory. */
class Registry implements OwnershipRegistry {
  readonly owners = new Map<string, Ownership>()
  /** What the next commit answers with, once it has decided, or instead. */
  fault: { decides: boolean; error: Error } | undefined

  async read({ id }: VolumeKey): Promise<Ownership | undefined> {
    return this.owners.get(id)
  }

  async commit({ id }: VolumeKey, from: Ownership, to: Ownership): Promise<void> {
    const { fault } = this
    this.fault = undefined
    if (fault !== undefined && !fault.decides) throw fault.error
    const owner = this.owners.get(id) ?? from
    if (owner.host !== from.host || owner.epoch !== from.epoch)
      throw new FlockerError('REGISTRY_CONFLICT', 'somebody else owns it')
    this.owners.set(id, to)
    if (fault !== undefined) throw fault.error
  }
}

test('a registry decides: on a handoff, on an answer that was lost, on a promotion, and after a start', () =>
  withDirectory(async (directory) => {
    const registry = new Registry()
    const two = await TwoHosts.open(directory, { registry })
    const disk = await two.alpha.createVolume('disk', { size: '8M' })
    const { id } = await two.alpha.inspectVolume('disk')
    registry.fault = { decides: false, error: new FlockerError('REGISTRY_AWAY', 'no quorum') }
    assert.is((await failure(handoffVolume(disk, two.toBeta))).code, 'REGISTRY_AWAY')
    assert.ok((await two.alpha.inspectVolume('disk')).served, 'nothing was decided')

    registry.fault = { decides: true, error: new FlockerError('REGISTRY_AWAY', 'the answer was lost') }
    const moved = await handoffVolume(disk, two.toBeta)
    assert.equal([moved.owner, moved.epoch], ['beta', 2n], 'what was decided is carried out')
    assert.equal(registry.owners.get(id), { host: 'beta', epoch: 2n })
    assert.equal(
      [(await two.alpha.inspectVolume('disk')).served, (await two.beta.inspectVolume('disk')).served],
      [false, true],
    )

    await two.alpha.promoteVolume('disk', { fence: () => true })
    assert.equal(registry.owners.get(id), { host: 'alpha', epoch: 3n })
    await using again = await two.restart()
    assert.equal([await again.alpha.recover(), await again.beta.recover()], [[], []])
    assert.equal(
      [(await again.alpha.inspectVolume('disk')).served, (await again.beta.inspectVolume('disk')).served],
      [true, false],
    )
    registry.owners.set(id, { host: 'gamma', epoch: 9n })
    const refused = await failure(handoffVolume(await again.alpha.getVolume('disk'), again.toBeta))
    assert.is(refused.code, 'REGISTRY_CONFLICT')
  }))

test.before(useEngine)

test.run()
