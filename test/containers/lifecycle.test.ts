/** Containers on a real engine, with volumes of a real pool. Runs inside a lab host. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Application, type ContainerInfo, type Host, openHost } from '../../src/index.js'
import { eventually, failure, pool, zfs } from '../zfs/pool.js'
import { serveImage } from './registry.js'

const socket = process.env.TEST_ENGINE ?? '/run/docker.sock'
const image = process.env.TEST_IMAGE ?? 'busybox'
const credentials = process.env.TEST_CREDENTIALS ?? '/etc/flocker-zfs'
const sleeper = ['sleep', '1000']
/** Podman's own networks need more of a kernel than every lab host has. */
const isPodman = process.env.TEST_ENGINE_KIND === 'podman'
const network = isPodman ? { network: 'host' } : {}
/** The port that a program in a container listens on so that it is found at that one of the host's. */
const inside = (host: number): number => (isPodman ? host : 80)

async function docker(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('docker', ['-H', `unix://${socket}`, ...args])
  return stdout.trim()
}

/** What is decided by us alone need not be tried with each engine. */
const once = isPodman && process.env.FLOCKER_ZFS_ENGINES !== 'all' ? test.skip : test

/** Podman wants to be configured for a registry without TLS. */
const withDocker = isPodman ? test.skip : test

let count = 0
const fresh = (more: Partial<Application> = {}): Application => ({
  name: `app${process.pid}-${++count}`,
  image,
  command: sleeper,
  stopSeconds: 1,
  ...network,
  ...more,
})

async function using(run: (host: Host) => Promise<void>): Promise<void> {
  await using host = await openHost({ pool, credentials, engine: socket, recovery: 'none' })
  await run(host)
  for (const { name } of await host.listContainers()) await host.removeContainer(name, { stop: true })
}

const stateOf = async (host: Host, name: string): Promise<ContainerInfo['state']> =>
  (await host.inspectContainer(name)).state

test('starts once, stops, starts again, is removed; a second time each changes nothing', () =>
  using(async (host) => {
    const app = fresh()
    const { id, state, application } = await host.startContainer(app)
    assert.is(state, 'running')
    assert.equal(application, app)
    assert.is((await host.startContainer(app)).id, id, 'no double start')
    assert.is((await host.stopContainer(app.name))?.state, 'exited')
    assert.is((await host.stopContainer(app.name))?.state, 'exited')
    assert.equal(
      (await host.listContainers()).map(({ name, state: now }) => [name, now]),
      [[app.name, 'exited']],
      'one that has ended is listed',
    )
    assert.is((await host.startContainer(app)).id, id)
    assert.is((await failure(host.removeContainer(app.name))).code, 'CONTAINER_RUNNING')
    await host.removeContainer(app.name, { stop: true })
    await host.removeContainer(app.name)
    assert.is(await host.stopContainer(app.name), undefined)
    assert.is((await failure(host.inspectContainer(app.name))).code, 'CONTAINER_UNKNOWN')
    assert.equal(await host.listContainers(), [])
  }))

once('a slow stop is awaited, and one that does not end is killed', () =>
  using(async (host) => {
    const script = 'trap "sleep 2; exit 7" TERM; while :; do sleep .1; done'
    const slow = await host.startContainer(fresh({ command: ['sh', '-c', script], stopSeconds: 20 }))
    const stopped = await host.stopContainer(slow.name)
    assert.equal([stopped?.state, stopped?.exitStatus], ['exited', 7])
    const deaf = await host.startContainer(fresh({ command: ['sh', '-c', 'trap "" TERM; while :; do sleep .1; done'] }))
    assert.is((await host.stopContainer(deaf.name))?.exitStatus, 137)
  }),
)

test('containers of others are left alone', () =>
  using(async (host) => {
    const app = fresh()
    await docker('run', '-d', '--name', app.name, '--network', 'none', image, ...sleeper)
    assert.is((await failure(host.startContainer(app))).code, 'NAME_TAKEN')
    assert.is((await failure(host.stopContainer(app.name))).code, 'NAME_TAKEN')
    assert.is((await failure(host.removeContainer(app.name, { stop: true }))).code, 'NAME_TAKEN')
    assert.equal(await host.listContainers(), [])
    assert.is(await docker('inspect', '-f', '{{.State.Status}}', app.name), 'running')
    await docker('rm', '-f', app.name)
  }))

test('what is described is what runs', () =>
  using(async (host) => {
    const volume = await host.createVolume(`v${++count}`)
    const app = fresh({
      entrypoint: ['/bin/sh'],
      command: ['-c', 'echo "$GREETING" > /data/said; id -u >> /data/said; pwd >> /data/said; exec sleep 1000'],
      environment: { GREETING: 'hello = "you"' },
      user: '0:0',
      workingDirectory: '/tmp',
      volumes: [{ volume: volume.name, path: '/data' }],
      ports: [{ container: inside(8080), host: 8080 }],
      links: [{ alias: 'my-db', port: 5432, routePort: 15432 }],
      cpus: 0.5,
      memory: 64 << 20,
      stopSignal: 'SIGINT',
    })
    const { id } = await host.startContainer(app)
    const said = `${volume.path}/said`
    // The engine has started it; its shell has its time.
    await eventually(async () => existsSync(said) && (await readFile(said, 'utf8')).includes('/tmp'))
    assert.is(await readFile(said, 'utf8'), 'hello = "you"\n0\n/tmp\n')
    const [{ Config, HostConfig }] = JSON.parse(await docker('inspect', id))
    assert.is(HostConfig.NanoCpus, 500_000_000)
    assert.is(HostConfig.Memory, 64 << 20)
    assert.is(HostConfig.RestartPolicy.Name, 'no', 'the engine never starts what has a volume')
    if (!isPodman) assert.is(HostConfig.PortBindings['80/tcp'][0].HostPort, '8080')
    assert.is(Config.StopSignal, isPodman ? '2' : 'SIGINT')
    const proxy = isPodman ? '127.0.0.1' : 'host.docker.internal'
    for (const line of [
      `MY_DB_PORT_5432_TCP=tcp://${proxy}:15432`,
      `MY_DB_PORT_5432_TCP_ADDR=${proxy}`,
      'MY_DB_PORT_5432_TCP_PORT=15432',
      'MY_DB_PORT_5432_TCP_PROTO=tcp',
    ]) {
      assert.ok(Config.Env.includes(line), line)
    }
    assert.is((await failure(host.destroyVolume(volume.name))).code, 'IN_USE')
    await host.removeContainer(app.name, { stop: true })
    await host.destroyVolume(volume.name)
  }))

once('another description is refused, or replaces what runs when asked to', () =>
  using(async (host) => {
    const app = fresh()
    const before = await host.startContainer(app)
    const other = { ...app, environment: { A: 'b' } }
    const error = await failure(host.startContainer(other))
    assert.is(error.code, 'CONTAINER_DIFFERS')
    assert.match(error.message, 'environment')
    assert.is((await host.inspectContainer(app.name)).id, before.id)
    const after = await host.startContainer(other, { replace: true })
    assert.is.not(after.id, before.id)
    assert.is(await docker('inspect', '-f', '{{.State.Status}}', before.id).catch(() => 'gone'), 'gone')
  }),
)

once('restart policies of what has no volume are left to the engine', () =>
  using(async (host) => {
    const policyOf = async (restart: Application['restart']): Promise<string> => {
      const { id } = await host.startContainer(fresh(restart === undefined ? {} : { restart }))
      return docker('inspect', '-f', '{{.HostConfig.RestartPolicy.Name}}', id)
    }
    assert.equal(
      [await policyOf('no'), await policyOf('on-failure'), await policyOf('always'), await policyOf(undefined)],
      ['no', 'on-failure', 'unless-stopped', 'unless-stopped'],
    )
  }),
)

once('an image that is missing, a port that is taken, a volume of another host: nothing is left', () =>
  using(async (host) => {
    const missing = fresh({ image: 'no.such/image:1' })
    assert.is((await failure(host.startContainer(missing))).code, 'IMAGE_MISSING')
    assert.is((await failure(host.startContainer(missing, { pull: true }))).code, 'IMAGE_MISSING', 'nor has a registry')
    const server = createServer().listen(8081)
    const taken = fresh({ ports: [{ container: 80, host: 8081 }] })
    if (!isPodman) assert.is((await failure(host.startContainer(taken))).code, 'PORT_IN_USE')
    server.close()
    const volume = await host.createVolume(`v${++count}`)
    const app = fresh({ volumes: [{ volume: volume.name, path: '/data' }] })
    assert.is(
      (await failure(host.startContainer({ ...app, volumes: [{ volume: 'none', path: '/data' }] }))).code,
      'NOT_FOUND',
    )
    await zfs('set', 'flocker-zfs:owner=9 beta', volume.dataset)
    assert.is((await failure(host.startContainer(app))).code, 'NOT_OWNER')
    assert.equal(await host.listContainers(), [])
    await zfs('set', 'flocker-zfs:owner=10 alpha', volume.dataset)
    await host.destroyVolume(volume.name)
  }),
)

test('running is not ready', () =>
  using(async (host) => {
    const serve = `sleep 1; mkdir -p /tmp/www; echo ok > /tmp/www/health; exec httpd -f -p ${inside(8082)} -h /tmp/www`
    const health = { kind: 'http', port: inside(8082), path: '/health' } as const
    const app = fresh({ command: ['sh', '-c', serve], ports: [{ container: inside(8082), host: 8082 }], health })
    await host.startContainer(app)
    const began = performance.now()
    await host.waitReady(app.name)
    assert.ok(performance.now() - began > 300, 'it was waited for')
    await host.waitReady(app.name, { probe: ({ name }) => name === app.name })
    assert.is(
      (await failure(host.waitReady(app.name, { probe: () => false, timeoutMilliseconds: 500 }))).code,
      'NOT_READY',
    )

    const late = fresh({
      command: ['sh', '-c', 'sleep 1; touch /tmp/there; exec sleep 1000'],
      health: { kind: 'container', command: ['test', '-e', '/tmp/there'] },
    })
    await host.startContainer(late)
    await host.waitReady(late.name)
    const listener = fresh({
      command: ['sh', '-c', `sleep 1; exec nc -l -p ${inside(8083)}`],
      ports: [{ container: inside(8083), host: 8083 }],
      health: { kind: 'tcp', port: inside(8083) },
    })
    await host.startContainer(listener)
    await host.waitReady(listener.name)

    const ends = fresh({ command: ['sh', '-c', 'exit 3'], restart: 'no' })
    await host.startContainer(ends)
    await docker('wait', ends.name)
    const error = await failure(host.waitReady(ends.name))
    assert.is(error.code, 'NOT_READY')
    assert.match(error.message, 'status 3')
    const aborted = host.waitReady(late.name, { probe: () => false, signal: AbortSignal.timeout(200) })
    assert.is((await failure(aborted)).code, 'TIMEOUT')
  }))

test('what is to run runs again: after its end, after its removal, and not after its stop', () =>
  using(async (host) => {
    const volume = await host.createVolume(`v${++count}`)
    const app = fresh({ volumes: [{ volume: volume.name, path: '/data' }] })
    const { id } = await host.startContainer(app)
    await docker('kill', id)
    await eventually(async () => {
      await host.keepApplications()
      return (await stateOf(host, app.name)) === 'running'
    }, 20_000)
    await docker('rm', '-f', app.name)
    assert.equal(await host.keepApplications(), [])
    assert.is(await stateOf(host, app.name), 'running')
    await host.stopContainer(app.name)
    assert.equal(await host.keepApplications(), [])
    assert.is(await stateOf(host, app.name), 'exited')
    await host.startContainer(app)

    await zfs('set', 'flocker-zfs:owner=9 beta', volume.dataset)
    assert.equal(await host.keepApplications(), [])
    assert.is((await failure(host.inspectContainer(app.name))).code, 'CONTAINER_UNKNOWN', "it is another host's")
    await zfs('set', 'flocker-zfs:owner=10 alpha', volume.dataset)
    assert.equal(await host.keepApplications(), [])
    assert.is(await stateOf(host, app.name), 'running')
    await host.removeContainer(app.name, { stop: true })
    assert.equal(await host.keepApplications(), [])
    await host.destroyVolume(volume.name)
  }))

withDocker('an image that is missing is fetched from its registry, if that is allowed', () =>
  using(async (host) => {
    const server = await serveImage((file) => docker('save', '-o', file, image), 5000)
    const app = fresh({ image: '127.0.0.1:5000/lab/fetched:1' })
    assert.is((await failure(host.startContainer(app))).code, 'IMAGE_MISSING')
    const { state, imageId } = await host.startContainer(app, { pull: true })
    assert.is(state, 'running')
    assert.is(imageId, await docker('image', 'inspect', '-f', '{{.Id}}', image), 'the very same')
    await host.removeContainer(app.name, { stop: true })
    await docker('rmi', app.image)
    server.close()
    server.closeAllConnections()
  }),
)

once('the engine is not there', async () => {
  await using host = await openHost({ pool, credentials, engine: '/run/none.sock', recovery: 'none' })
  const error = await failure(host.listContainers())
  assert.is(error.code, 'ENGINE_UNAVAILABLE')
  assert.match(error.message, 'systemctl start docker')
})

test.run()
