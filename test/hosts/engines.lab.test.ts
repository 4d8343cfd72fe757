import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Engine, query, startDocker, startPodman, waitForPostgres } from '../lab/engines/index.js'
import { type Host, openLab } from '../lab/index.js'

const DISKS = ['4 GiB']

async function createPool(host: Host): Promise<void> {
  await host.run([
    'zpool',
    'create',
    '-O',
    'compression=lz4',
    '-O',
    'mountpoint=none',
    host.pool,
    host.disks[0] as string,
  ])
}

const times: string[] = []

async function timed<T>(what: string, action: () => Promise<T>): Promise<T> {
  const begin = performance.now()
  const result = await action()
  times.push(`${what} ${((performance.now() - begin) / 1000).toFixed(1)} s`)
  return result
}

function report(engine: Engine): void {
  console.log(
    `measured: ${engine.kind}: up ${(engine.startMilliseconds / 1000).toFixed(1)} s, ${times.splice(0).join(', ')}`,
  )
}

/** The container's volume is a file system of the pool's, as an application's would be. */
async function createDatabase(engine: Engine): Promise<void> {
  const { host } = engine
  await host.run(['zfs', 'create', '-o', 'recordsize=8k', '-o', 'mountpoint=/srv/data', `${host.pool}/data`])
  const image = await timed('image', () => engine.load('postgres'))
  const volume = ['-v', '/srv/data:/var/lib/postgresql/data']
  await timed('create', () =>
    engine.docker(['create', '--name', 'database', '--network', 'host', ...volume, image.reference]),
  )
  await timed('first start', async () => {
    await engine.docker(['start', 'database'])
    await waitForPostgres(host)
  })
  await query(host, 'CREATE TABLE words (word text)')
  await query(host, "INSERT INTO words VALUES ('kept')")
}

async function runsBusybox(engine: Engine): Promise<void> {
  const image = await engine.load('busybox')
  const { stdout } = await timed('run', () =>
    engine.docker(['run', '--rm', '--network', 'host', image.reference, 'echo', 'hello']),
  )
  assert.is(stdout, 'hello\n')
  const { stdout: id } = await engine.docker(['image', 'inspect', '-f', '{{.Id}}', image.reference])
  assert.is(id.trim().replace(/^sha256:/, ''), image.id.replace(/^sha256:/, ''))
}

test('Docker: a database on a ZFS volume survives a power cut', async () => {
  await using lab = await openLab({ hosts: [{ name: 'alpha', engines: true, disks: DISKS }] })
  const host = lab.host('alpha')
  await createPool(host)
  const engine = await startDocker(host)
  await runsBusybox(engine)
  await createDatabase(engine)

  await host.cutPower()
  await host.boot()
  await host.importPools()
  const again = await startDocker(host)
  const state = await again.docker(['inspect', '-f', '{{.State.Status}}', 'database'])
  assert.is(state.stdout, 'exited\n')
  await timed('start after a power cut', async () => {
    await again.docker(['start', 'database'])
    await waitForPostgres(host)
  })
  assert.is(await query(host, 'SELECT word FROM words'), 'kept')
  await timed('checkpoint', () => query(host, 'CHECKPOINT'))
  await timed('stop', () => again.docker(['stop', '-t', '60', 'database']))
  const stopped = await again.docker(['inspect', '-f', '{{.State.ExitCode}}', 'database'])
  assert.is(stopped.stdout, '0\n')
  report(again)
})

test('Docker: a published port is reached from another host', async () => {
  await using lab = await openLab({
    hosts: [
      { name: 'alpha', engines: true, disks: DISKS },
      { name: 'client', engines: true },
    ],
  })
  const host = lab.host('alpha')
  await createPool(host)
  const engine = await startDocker(host)
  const image = await engine.load('busybox')
  await host.run(['sh', '-c', 'mkdir /srv/www && echo page >/srv/www/index.html'])
  const server = ['httpd', '-f', '-p', '80', '-h', '/www']
  await timed('run with a published port', () =>
    engine.docker(['run', '-d', '-p', '8080:80', '-v', '/srv/www:/www', image.reference, ...server]),
  )
  const fetch = 'const r = await fetch("http://alpha:8080/"); process.stdout.write(await r.text())'
  const { stdout } = await lab.host('client').run(['node', '--input-type=module', '-e', fetch])
  assert.is(stdout, 'page\n')
  await engine.stop()
  report(engine)
})

test('Podman: its API runs the same images', async () => {
  await using lab = await openLab({ hosts: [{ name: 'alpha', engines: true, disks: DISKS }] })
  const host = lab.host('alpha')
  await createPool(host)
  const engine = await startPodman(host)
  await runsBusybox(engine)
  await createDatabase(engine)

  await host.cutPower()
  await host.boot()
  await host.importPools()
  const again = await startPodman(host)
  await timed('start after a power cut', async () => {
    await again.docker(['start', 'database'])
    await waitForPostgres(host)
  })
  assert.is(await query(host, 'SELECT word FROM words'), 'kept')
  await timed('stop', () => again.docker(['stop', '-t', '60', 'database']))
  report(again)
})

test.run()
