/**
 * TLS records made and read by the kernel: where it can, the tests of the data planes with it at either end and at both, with the kernel's
 * own count of what it did; where it can't, the reason, and the same streams without it. That takes no pool. FLOCKER_ZFS_INTEROP=all runs all of
 * them between all kinds of ends.
 */
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Host, openLab, type ProfileName } from '../lab/index.js'

const suites = ['data', 'rotation', 'limit', 'progress']
/** All of them between all kinds of ends, in place of what each kind is about. */
const all = process.env.FLOCKER_ZFS_INTEROP === 'all'

async function withHost(profile: ProfileName, use: (host: Host) => Promise<void>): Promise<void> {
  await using lab = await openLab({ hosts: [{ name: 'alpha', profile, memory: '2 GiB' }] })
  await use(lab.host('alpha'))
}

/** Runs a file of test/unit between two hosts of whose data planes these are the choices. */
async function runUnit(host: Host, name: string, near: string, far: string): Promise<void> {
  const env = { TEST_PLANES: `${near} ${far}` }
  const options = { env, check: false, timeoutMilliseconds: 240_000 }
  const { stdout, stderr, status } = await host.runEntry(`test/unit/${name}.test.js`, [], options)
  assert.is(status, 0, `${name}, ${near} to ${far}:\n${stdout}\n${stderr}`)
}

/** The kernel's counters (its Documentation/networking/tls.rst). */
async function statistics(host: Host): Promise<Map<string, number>> {
  const { stdout } = await host.run(['cat', '/proc/net/tls_stat'])
  return new Map(
    stdout
      .split('\n')
      .map((line) => line.split(/\s+/))
      .map(([name = '', value]) => [name, Number(value)]),
  )
}

for (const [near, far, some] of [
  ['kernel-tls', 'kernel-tls', suites],
  ['kernel-tls', 'auto', ['rotation']],
  ['auto', 'kernel-tls', ['data']],
  ['kernel-tls', 'javascript', ['data']],
  ['javascript', 'kernel-tls', ['rotation']],
] as const) {
  test(`the kernel's TLS where it can: ${near} to ${far}`, () =>
    withHost('newest', async (host) => {
      const ran: readonly string[] = all ? suites : some
      for (const suite of ran) await runUnit(host, `transport-${suite}.planes`, near, far)
      const counted = await statistics(host)
      const count = (name: string): number => counted.get(name) ?? 0
      for (const name of ['TlsTxSw', 'TlsRxSw']) assert.ok(count(name) > 10, `${name} ${count(name)}`)
      // More often than when it was tried.
      if (ran.includes('rotation')) assert.ok(count('TlsTxRekeyOk') > ran.length, 'keys were changed')
      const told = ['TlsTxSw', 'TlsRxSw', 'TlsTxRekeyOk', 'TlsRxRekeyOk', 'TlsDecryptError']
      console.log(`\nmeasured: ${near} to ${far}: ${told.map((name) => `${name} ${count(name)}`).join(', ')}`)
    }))
}

test('a kernel that cannot change keys is found out, and does without', () =>
  withHost('oldest', async (host) => {
    const script = `console.log(require('${join(__dirname, '../../src/index.js')}').kernelTlsProblem())`
    const { stdout } = await host.run([process.execPath, '-e', script])
    assert.match(stdout, /can't change the keys/)
    await runUnit(host, 'transport-data.planes', 'kernel-tls', 'kernel-tls')
    // The two processes' attempts, and no more.
    assert.is((await statistics(host)).get('TlsTxSw'), 2)
  }))

test.run()
