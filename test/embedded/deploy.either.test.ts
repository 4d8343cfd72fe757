/** Deployments over two hosts without container engines: what is known of whom, what fails, and what is not begun. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type ClusterDescription, formatDeployment } from '../../src/index.js'
import { failure } from '../zfs/pool.js'
import { useEngine, withDirectory } from './engine.js'
import { TwoHosts } from './two-hosts.js'

const withTwo = (use: (two: TwoHosts) => Promise<void>): Promise<void> =>
  withDirectory(async (directory) => {
    await using two = await TwoHosts.open(directory)
    await use(two)
  })

const database = (host: string): ClusterDescription => ({
  applications: [{ host, application: { name: 'db', image: 'i', volumes: [{ volume: 'data', path: '/data' }] } }],
})

test('the owner of a volume is asked, and its volume is made nowhere else', () =>
  withTwo(async ({ alpha, beta, toBeta }) => {
    await beta.createVolume('data', { size: '8M' })
    const { plan, hosts, converged } = await alpha.deploy(database('alpha'))
    assert.equal(
      plan.blocked.map(({ code, volume }) => [code, volume]),
      [['unexpected-owner', 'data']],
    )
    assert.not(converged)
    assert.equal(
      hosts.map(
        (host) => host.known && host.volumes.map(({ name, owner, size, served }) => [name, owner, size, served]),
      ),
      [[], [['data', 'beta', 8n << 20n, true]]],
    )
    assert.equal(await alpha.listVolumes(), [])
    await toBeta.close()
    const both = {
      applications: [...database('alpha').applications, { host: 'beta', application: { name: 'web', image: 'i' } }],
    }
    const away = await alpha.deploy(both)
    assert.equal(
      away.plan.blocked.map(({ code }) => code),
      ['unknown-host', 'unknown-host'],
    )
    assert.match(formatDeployment(away.plan), /! unknown {4}beta/)
    assert.equal(await alpha.listVolumes(), [])
  }))

test('who may not see all of a host knows nothing of it', () =>
  withTwo(async ({ alpha, beta, toBeta }) => {
    await beta.createVolume('data', { size: '8M' })
    await toBeta.close()
    const root = beta.root
    const authorize = [
      { peer: 'alpha', verbs: ['inspect', 'own', 'receive', 'send'] as const, datasets: [`${root}/**`] },
      { peer: 'alpha', verbs: ['run'] as const, datasets: [`${root}/db`, `${root}/*`] },
    ]
    const server = await beta.listen({ port: 0, address: '127.0.0.1', authorize })
    await using _ = await alpha.connect(`127.0.0.1:${server.port}`)
    const { plan } = await alpha.deploy(database('alpha'))
    assert.equal(plan.phases, [])
    assert.equal(
      plan.unknown.map(({ host }) => host),
      ['beta'],
    )
    assert.match(plan.unknown[0]?.why ?? '', /alpha may not see all of what this host has/)
    assert.equal(await alpha.listVolumes(), [])
  }))

test('what fails keeps back what needs it, and an abort whatever has not begun', () =>
  withTwo(async ({ alpha, beta }) => {
    const stop = new AbortController()
    const aborted = alpha.deploy(database('beta'), { signal: stop.signal, onPlan: () => stop.abort() })
    assert.is((await failure(aborted)).code, 'ABORTED')
    const seen: string[] = []
    const { actions, converged } = await alpha.deploy(database('beta'), { onAction: ({ state }) => seen.push(state) })
    // An embedded host has no filesystems of its own.
    assert.equal(
      actions.map(({ action, state, error }) => [action.kind, state, (error as { code?: string }).code]),
      [
        ['create', 'failed', 'NOT_SUPPORTED'],
        ['start', 'skipped', 'NOT_DONE'],
      ],
    )
    assert.equal([seen, converged], [['failed', 'skipped'], false])
    assert.equal(await beta.listVolumes(), [])
    const held = { ...database('beta'), volumes: [{ name: 'data', properties: { mountpoint: '/etc' } }] }
    const refused = await alpha.deploy(held)
    assert.match(refused.actions[0]?.error?.message ?? '', /can't be given mountpoint/)
  }))

test.before(useEngine)
test.run()
