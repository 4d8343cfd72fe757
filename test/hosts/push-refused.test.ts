import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createCa, createHostCertificate, type Rule } from '../../src/index.js'
import { installCredentials } from '../lab/pair.js'
import { Cluster } from './cluster.js'
import { checkRecovers, Unharmed, volumeWithReplica } from './failure.js'

test('a full destination pool', async () => {
  await using cluster = await Cluster.open({ betaDisk: '192 MiB' })
  await volumeWithReplica(cluster, 'data', 200)
  const unharmed = await Unharmed.remember(cluster)
  const run = await cluster.push({ volume: 'data', checkSpace: false })
  assert.is(run.error?.code, 'NO_SPACE', run.error?.message)
  assert.is(run.error?.peer, 'beta')
  unharmed.checkSender(run)
  await unharmed.checkSource('refusal')
  await unharmed.checkReplica('refusal')
  await cluster.alpha.run(['sh', '-c', 'rm -r /flocker/data/b && sync'])
  await checkRecovers(cluster, 'data')
})

test('a certificate of an unknown CA, an expired one, and a peer without rights', async () => {
  await using cluster = await Cluster.open()
  await volumeWithReplica(cluster, 'data', 1)
  const unharmed = await Unharmed.remember(cluster)
  const refused = async (directory: string, code: string, pattern: RegExp): Promise<void> => {
    await installCredentials(cluster.alpha, directory, '/etc/other')
    const run = await cluster.push({ volume: 'data', credentials: '/etc/other' })
    assert.is(run.error?.code, code, run.error?.message)
    assert.match(run.error?.message ?? '', pattern)
    unharmed.checkSender(run)
    await unharmed.checkSource('refusal')
    await unharmed.checkReplica('refusal')
  }
  const path = (name: string): string => join(cluster.certificates, name)

  await createCa(path('foreign-ca'), { name: 'foreign' })
  await createHostCertificate(path('foreign-ca'), path('foreign'), { identity: 'alpha' })
  await refused(path('foreign'), 'TLS_FAILED', /CA|authority|issuer|certificate/i)

  const past = { notBefore: new Date(Date.now() - 2 * 86_400_000), notAfter: new Date(Date.now() - 86_400_000) }
  await createHostCertificate(path('ca'), path('expired'), { identity: 'alpha', ...past })
  await refused(path('expired'), 'TLS_FAILED', /expired/i)

  await createHostCertificate(path('ca'), path('gamma'), { identity: 'gamma' })
  await refused(path('gamma'), 'NOT_AUTHORIZED', /gamma/)

  await checkRecovers(cluster, 'data')
})

test('a right to one dataset is none to its neighbour', async () => {
  const rules = (root: string): Rule[] => [
    { peer: 'alpha', verbs: ['inspect', 'receive'], datasets: [`${root}/allowed`] },
  ]
  await using cluster = await Cluster.open({ rules })
  for (const name of ['allowed', 'other']) await cluster.createVolume(name)
  assert.is((await cluster.push({ volume: 'allowed' })).result?.kind, 'full')
  const { error } = await cluster.push({ volume: 'other' })
  assert.is(error?.code, 'NOT_AUTHORIZED')
  assert.is((await cluster.snapshots(cluster.alpha)).length, 1)
})

test.run()
