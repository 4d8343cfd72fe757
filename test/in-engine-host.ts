/** Runs one compiled test file inside a lab host with a container engine: `node build/test/in-engine-host.js ENGINE test/containers/NAME.test.js`. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCa, createHostCertificate } from '../src/index.js'
import { startDocker, startPodman } from './lab/engines/index.js'
import { type Host, openLab } from './lab/index.js'
import { credentialsDirectory, installCredentials } from './lab/pair.js'

const deadlineMilliseconds = 10 * 60_000

async function main(kind: string, entry: string): Promise<void> {
  await using lab = await openLab({ hosts: [{ name: 'alpha', disks: ['4 GiB'], memory: '2 GiB', engines: true }] })
  const host = lab.host('alpha')
  await host.run(['zpool', 'create', '-O', 'mountpoint=none', host.pool, host.disks[0] as string])
  await installCertificates(host)
  const engine = await (kind === 'podman' ? startPodman(host) : startDocker(host))
  const { reference } = await engine.load('busybox')
  const env = {
    TEST_POOL: host.pool,
    TEST_ENGINE: engine.socket,
    TEST_ENGINE_KIND: kind,
    TEST_IMAGE: reference,
    TEST_CREDENTIALS: credentialsDirectory,
    FLOCKER_ZFS_ENGINES: process.env.FLOCKER_ZFS_ENGINES ?? '',
  }
  const done = await host.runEntry(entry, [], { env, check: false, timeoutMilliseconds: deadlineMilliseconds })
  process.stdout.write(done.stdout)
  process.stderr.write(done.stderr)
  if (done.status !== 0) process.stderr.write(`\n${await engine.log()}\n`)
  process.exitCode = done.status ?? 1
}

async function installCertificates(host: Host): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'flocker-zfs-'))
  try {
    await createCa(join(directory, 'ca'), { name: 'lab' })
    await createHostCertificate(join(directory, 'ca'), join(directory, host.name), {
      identity: host.name,
      addresses: [host.name, host.address],
    })
    await installCredentials(host, join(directory, host.name))
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

const [kind, entry] = process.argv.slice(2)
if (kind === undefined || entry === undefined) throw new Error('usage: in-engine-host ENGINE ENTRY')
void main(kind, entry)
