import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ensureEngines } from '../lab/build/index.js'
import { type Engine, query, startDocker, startPodman, waitForPostgres } from '../lab/engines/index.js'
import { type Host, openLab } from '../lab/index.js'

const times: string[] = []

async function timed<T>(what: string, action: () => Promise<T>): Promise<T> {
  const begin = performance.now()
  const result = await action()
  times.push(`${what} ${((performance.now() - begin) / 1000).toFixed(1)} s`)
  return result
}

async function openHost() {
  const lab = await openLab({ hosts: [{ name: 'alpha', engines: true, disks: ['4 GiB'] }] })
  const host = lab.host('alpha')
  await host.run(['zpool', 'create', '-O', 'mountpoint=none', host.pool, host.disks[0] as string])
  return lab
}

async function checkImages(engine: Engine): Promise<void> {
  for (const { reference, id } of Object.values((await ensureEngines()).images)) {
    const { stdout } = await engine.docker(['image', 'inspect', '-f', '{{.Id}}', reference])
    assert.is(stdout.trim().replace(/^(sha256:)?/, 'sha256:'), id)
  }
}

/** The container's volume is a file system of the pool's, as an application's would be. */
async function createDatabase(engine: Engine): Promise<void> {
  const { host } = engine
  await host.run(['zfs', 'create', '-o', 'recordsize=8k', '-o', 'mountpoint=/srv/data', `${host.pool}/data`])
  const { reference } = (await ensureEngines()).images.postgres
  const volume = ['-v', '/srv/data:/var/lib/postgresql/data']
  await timed('create', () => engine.docker(['create', '--name', 'data', '--network', 'host', ...volume, reference]))
  await timed('first start', () => startDatabase(engine))
  await query(host, "CREATE TABLE words (word text); INSERT INTO words VALUES ('kept')")
}

async function startDatabase(engine: Engine): Promise<void> {
  await engine.docker(['start', 'data'])
  await waitForPostgres(engine.host)
}

async function survivesPowerCut(host: Host, start: () => Promise<Engine>): Promise<void> {
  const engine = await timed('images and engine', start)
  await checkImages(engine)
  const { reference } = (await ensureEngines()).images.busybox
  const hello = ['run', '--rm', '--network', 'host', reference, 'echo', 'hello']
  assert.is((await timed('run', () => engine.docker(hello))).stdout, 'hello\n')
  await createDatabase(engine)

  await host.cutPower()
  await host.boot()
  await host.importPools()
  const again = await timed('engine after a power cut', start)
  await timed('second start', () => startDatabase(again))
  assert.is(await query(host, 'SELECT word FROM words'), 'kept')
  await timed('checkpoint', () => query(host, 'CHECKPOINT'))
  await timed('stop', () => again.docker(['stop', '-t', '60', 'data']))
  const stopped = await again.docker(['inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', 'data'])
  assert.is(stopped.stdout, 'exited 0\n')
  await timed('end', () => again.stop())
  console.log(`\nmeasured: ${engine.kind}: ${times.splice(0).join(', ')}`)
}

// The tests of moves do so too, with all that is ours.
const more = process.env.FLOCKER_ZFS_ENGINES === 'all' ? test : test.skip

more('Docker: a database on a ZFS volume survives a power cut', async () => {
  await using lab = await openHost()
  await survivesPowerCut(lab.host('alpha'), () => startDocker(lab.host('alpha')))
})

test('Podman: its API does the same with the same images', async () => {
  await using lab = await openHost()
  await survivesPowerCut(lab.host('alpha'), () => startPodman(lab.host('alpha')))
})

test('Docker publishes the port of a container in a network of its own', async () => {
  await using lab = await openHost()
  const host = lab.host('alpha')
  const engine = await startDocker(host, { images: false })
  const { reference } = await engine.load('busybox')
  await host.run(['sh', '-c', 'mkdir /srv/www && echo page >/srv/www/index.html'])
  const server = ['httpd', '-f', '-p', '80', '-h', '/www']
  await engine.docker(['run', '-d', '-p', '8080:80', '-v', '/srv/www:/www', reference, ...server])
  const fetch = `fetch("http://${host.address}:8080/").then((r) => r.text()).then((t) => process.stdout.write(t))`
  assert.is((await host.run(['node', '-e', fetch])).stdout, 'page\n')
})

test.run()
