import * as assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import { MasterSocket } from '../../src/routing/haproxy/master.js'
import { openHaproxyRouter, type Router, type RouterOptions } from '../../src/routing/index.js'
import {
  Application,
  Client,
  codeOf,
  freePort,
  get,
  HOST,
  httpApplication,
  info,
  type Scope,
  scoped,
  until,
  within,
} from './fixtures.js'
import { haproxyProgram } from './haproxy-program.js'
import { conformance } from './suite.js'

async function open(scope: Scope, directory: string, options: RouterOptions = {}): Promise<Router> {
  const router = await openHaproxyRouter({ directory, program: await haproxyProgram(), address: HOST, ...options })
  scope.defer(() => router.close())
  return router
}

conformance({ name: 'HAProxy', open: async (scope, options) => open(scope, await scope.directory(), options) })

test(
  'a HAProxy that was killed is started again, with the present targets and holds',
  scoped(async (scope) => {
    const directory = await scope.directory()
    const router = await open(scope, directory)
    const [port, held] = [await freePort(), await freePort()]
    const one = await Application.lines(scope, 'one')
    const two = await Application.lines(scope, 'two')
    for (const each of [port, held]) await router.set({ kind: 'tcp', port: each }, one.target)
    await router.set({ kind: 'tcp', port }, two.target)
    await router.hold({ kind: 'tcp', port: held }, { deadlineMilliseconds: 60_000 })
    const { master } = await new MasterSocket(join(directory, 'master.sock')).workers()
    process.kill(master, 'SIGKILL')
    await until(async () => (await Client.tcp(scope, port).ask('hello')) === 'two hello')
    await router.list()
    const waiting = Client.tcp(scope, held).ask('hello')
    await until(async () => (await info(router, `tcp:${held}`)).waiting === 1)
    await router.set({ kind: 'tcp', port: held }, two.target)
    assert.equal(await waiting, 'two hello')
  }),
)

test(
  'another router goes on with the routes, and with the HAProxy, that one has left',
  scoped(async (scope) => {
    const directory = await scope.directory()
    const first = await open(scope, directory)
    const port = await freePort()
    const application = await Application.lines(scope, 'app')
    await first.set({ kind: 'tcp', port }, application.target)
    const client = Client.tcp(scope, port)
    await client.ask('hello')
    // As if the process had died: nobody closes the first one before.
    const second = await open(scope, directory)
    assert.equal(await client.ask('still'), 'app still')
    assert.equal((await info(second, `tcp:${port}`)).open, 1)
    await second.close()
    await within(client.closed, 'the end of the connection')
    const third = await open(scope, directory)
    assert.equal(await Client.tcp(scope, port).ask('again'), 'app again')
    await third.remove({ kind: 'tcp', port })
  }),
)

test(
  'a target is known from others also where many have connections',
  scoped(async (scope) => {
    const router = await open(scope, await scope.directory())
    const port = await freePort()
    const applications: Application[] = []
    const clients: Client[] = []
    for (let i = 0; i < 6; i++) {
      const application = await Application.lines(scope, `app${i}`)
      await router.set({ kind: 'tcp', port }, application.target)
      const client = Client.tcp(scope, port)
      assert.equal(await client.ask('hello'), `app${i} hello`)
      applications.push(application)
      clients.push(client)
    }
    assert.equal(await router.disconnect({ kind: 'tcp', port }, { target: applications[2]?.target }), 1)
    await within(clients[2]?.closed ?? Promise.reject(), 'the end of the third')
    for (const i of [0, 1, 3, 4, 5]) assert.equal(await clients[i]?.ask('still'), `app${i} still`)
    assert.equal(await router.disconnect({ kind: 'tcp', port }), 4)
    assert.equal(await clients[5]?.ask('still'), 'app5 still')
  }),
)

test(
  'requests of one client go to the hosts that each of them names',
  scoped(async (scope) => {
    const router = await open(scope, await scope.directory())
    const port = await freePort()
    for (const host of ['red.example', 'blue.example']) {
      await router.set({ kind: 'http', port, host }, (await httpApplication(scope, host)).target)
    }
    const client = Client.tcp(scope, port)
    for (const host of ['red.example', 'blue.example']) {
      client.socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    }
    const bodies: string[] = []
    client.socket.on('data', (chunk) => bodies.push(chunk.toString('latin1')))
    await until(() => /red.example red.example[\s\S]*blue.example blue.example/.test(bodies.join('')))
    assert.equal((await get(port, 'red.example')).status, 200)
  }),
)

test(
  'a HAProxy that runs already keeps its own configuration, and the routes after close',
  scoped(async (scope) => {
    const directory = join(await scope.directory(), 'routes')
    const elsewhere = await scope.directory()
    const [own, port] = [await freePort(), await freePort()]
    const application = await Application.lines(scope, 'app')
    const socket = join(elsewhere, 'master.sock')
    const { host, port: target } = application.target
    const sections = [
      // As Debian's service: where it may, it leaves the file system and its rights.
      `global\n  ${process.getuid?.() === 0 ? `chroot ${elsewhere}\n  user nobody\n` : ''}  stats socket ${elsewhere}/stats mode 600 level admin expose-fd listeners`,
      'defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m',
      `listen own\n  bind ${HOST}:${own}\n  server a ${host}:${target}`,
    ]
    await mkdir(directory)
    await writeFile(join(elsewhere, 'own.cfg'), `${sections.join('\n')}\n`)
    const child = spawn(
      await haproxyProgram(),
      ['-W', '-S', socket, '-f', join(elsewhere, 'own.cfg'), '-f', directory],
      { stdio: 'ignore' },
    )
    scope.defer(async () => {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await gone
    })
    await until(async () => (await Client.tcp(scope, own).ask('hello')) === 'app hello')
    // Its worker serves before the master does.
    const master = new MasterSocket(socket)
    await until(() =>
      master.workers().then(
        () => true,
        () => false,
      ),
    )
    const router = await openHaproxyRouter({ directory, masterSocket: socket, address: HOST })
    await router.set({ kind: 'tcp', port }, application.target)
    assert.equal(await Client.tcp(scope, port).ask('hello'), 'app hello')
    await router.hold({ kind: 'tcp', port }, { deadlineMilliseconds: 60_000 })
    const waiting = Client.tcp(scope, port).ask('waited')
    await until(async () => (await info(router, `tcp:${port}`)).waiting === 1)
    await router.release({ kind: 'tcp', port })
    assert.equal(await waiting, 'app waited')
    await router.close()
    assert.equal(await Client.tcp(scope, port).ask('hello'), 'app hello')
    assert.equal(await Client.tcp(scope, own).ask('hello'), 'app hello')
  }),
)

test(
  'a program that does not start is an error with its reason, and one that is not there too',
  scoped(async (scope) => {
    for (const program of ['/bin/false', '/nowhere/haproxy']) {
      const opening = openHaproxyRouter({ directory: await scope.directory(), program })
      assert.equal(await codeOf(opening), 'ROUTER_FAILED')
    }
  }),
)

test.run()
