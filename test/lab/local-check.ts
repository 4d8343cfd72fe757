/** Run on a machine with ZFS by the harness's own test: a lab on that machine itself. */
import * as assert from 'uvu/assert'
import { NotSupportedError } from '../../src/errors.js'
import { openLab } from './index.js'

async function main(): Promise<void> {
  await using lab = await openLab({
    hosts: [
      { name: 'alpha', disks: ['128 MiB'] },
      { name: 'beta', disks: ['128 MiB'] },
    ],
    local: true,
  })
  for (const host of lab.hosts) {
    await host.run(['zpool', 'create', host.pool, ...host.disks])
    await host.writeFile('/etc/own', host.name)
    assert.is((await host.readFile('/etc/own')).toString(), host.name)
    assert.is((await host.run(['hostname'])).stdout.trim(), host.name)
  }
  assert.throws(() => lab.link('alpha'), /no cables/)
  const [refused] = await Promise.allSettled([lab.host('alpha').cutPower()])
  assert.ok(refused?.status === 'rejected' && refused.reason instanceof NotSupportedError)
}

main().catch((error: Error) => {
  console.error(error)
  process.exitCode = 1
})
