/** What both drivers promise. */
import * as assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { type Test, test } from 'uvu'
import { ArgumentError } from '../../src/errors.js'
import type { RouteAddress } from '../../src/routing/index.js'
import {
  Application,
  Certificates,
  Client,
  codeOf,
  type Driver,
  freePort,
  get,
  HOST,
  httpApplication,
  info,
  nap,
  type Scope,
  scoped,
  until,
  within,
} from './fixtures.js'

const minute = { deadlineMilliseconds: 60_000 }

const tcp = (port: number): RouteAddress => ({ kind: 'tcp', port })

/** Asks again and again, so that bytes flow while something else changes. */
function keepAsking(client: Client, name: string): { asked(): number; stop(): Promise<void> } {
  let going = true
  let count = 0
  const done = (async () => {
    while (going) {
      assert.equal(await client.ask(`line ${count}`), `${name} line ${count}`)
      count++
    }
  })()
  // Where the test fails for another reason, this one is told by stop() alone.
  done.catch(() => undefined)
  return {
    asked: () => count,
    stop: async () => {
      going = false
      await done
    },
  }
}

async function waits(
  router: { list: Parameters<typeof info>[0]['list'] } & Parameters<typeof info>[0],
  key: string,
  count: number,
): Promise<void> {
  await until(async () => (await info(router, key)).waiting === count)
}

/** Adds the tests for a driver to this file's. */
export function conformance(driver: Driver): Test {
  const check = (name: string, body: (scope: Scope) => Promise<void>) => test(`${driver.name}: ${name}`, scoped(body))

  check('routes are created, listed and removed, one without another', async (scope) => {
    const router = await driver.open(scope)
    const [one, two, three] = [await freePort(), await freePort(), await freePort()]
    const alpha = await Application.lines(scope, 'alpha')
    const beta = await Application.lines(scope, 'beta')
    await router.set(tcp(two), beta.target)
    const steady = Client.tcp(scope, two)
    const asking = keepAsking(steady, 'beta')
    await until(() => asking.asked() > 0)

    await router.set(tcp(one), alpha.target)
    await router.set(tcp(one), alpha.target)
    await router.set(tcp(three), undefined)
    assert.equal(await Client.tcp(scope, one).ask('hello'), 'alpha hello')
    assert.equal(await Client.tcp(scope, three).ask('hello'), 'closed')
    const listed = (await router.list()).map(({ key, target, state, open, waiting }) => ({
      key,
      target,
      state,
      open,
      waiting,
    }))
    assert.deepEqual(
      listed,
      [
        { key: `tcp:${one}`, target: alpha.target, state: 'open', open: 1, waiting: 0 },
        { key: `tcp:${two}`, target: beta.target, state: 'open', open: 1, waiting: 0 },
        { key: `tcp:${three}`, target: undefined, state: 'none', open: 0, waiting: 0 },
      ].sort((a, b) => (a.key < b.key ? -1 : 1)),
    )

    const ended = Client.tcp(scope, one)
    await ended.ask('hello')
    await router.remove(tcp(one))
    await router.remove(tcp(one))
    await within(ended.closed, 'the end of a removed route')
    assert.equal(await Client.tcp(scope, one).ask('hello'), 'closed')
    assert.deepEqual((await router.list()).map(({ key }) => key).sort(), [`tcp:${three}`, `tcp:${two}`].sort())
    const before = asking.asked()
    await until(() => asking.asked() > before)
    await asking.stop()
    assert.equal(beta.connections >= 1, true)
    assert.equal(steady.error, undefined)
  })

  check('clients wait while their route is held, and go to the new target in one step', async (scope) => {
    const router = await driver.open(scope)
    const [port, other] = [await freePort(), await freePort()]
    const old = await Application.lines(scope, 'old')
    const fresh = await Application.lines(scope, 'new')
    await router.set(tcp(port), old.target)
    await router.set(tcp(other), old.target)
    const steady = keepAsking(Client.tcp(scope, other), 'old')
    const established = Client.tcp(scope, port)
    assert.equal(await established.ask('before'), 'old before')

    await router.hold(tcp(port), minute)
    await router.hold(tcp(port), minute)
    const waiting = Array.from({ length: 20 }, () => Client.tcp(scope, port))
    const answers = Promise.all(waiting.map((client, i) => client.ask(`${i}`)))
    await waits(router, `tcp:${port}`, 20)
    assert.equal((await info(router, `tcp:${port}`)).state, 'held')
    assert.equal(await established.ask('during'), 'old during')
    assert.equal(await Client.tcp(scope, other).ask('during'), 'old during')

    const began = performance.now()
    await router.set(tcp(port), fresh.target)
    assert.deepEqual(
      await answers,
      waiting.map((_, i) => `new ${i}`),
    )
    console.log(
      `\nmeasured: ${driver.name}: 20 waiting clients had their answers ${(performance.now() - began).toFixed(0)} ms after the switch began`,
    )
    assert.equal(await Client.tcp(scope, port).ask('after'), 'new after')
    assert.equal(await established.ask('after'), 'old after')
    const { state, waiting: left, target } = await info(router, `tcp:${port}`)
    assert.deepEqual({ state, left, target }, { state: 'open', left: 0, target: fresh.target })
    await steady.stop()
  })

  check('a hold ends at its deadline, and those who wait are closed', async (scope) => {
    const router = await driver.open(scope)
    const port = await freePort()
    const application = await Application.lines(scope, 'app')
    await router.set(tcp(port), application.target)
    await router.hold(tcp(port), { deadlineMilliseconds: 400 })
    assert.equal(await Client.tcp(scope, port).ask('hello'), 'closed')
    assert.equal(await Client.tcp(scope, port).ask('hello'), 'closed')
    const { state, waiting, target } = await info(router, `tcp:${port}`)
    assert.deepEqual({ state, waiting, target }, { state: 'none', waiting: 0, target: application.target })
    assert.equal(application.connections <= 1, true)
    await router.release(tcp(port))
    assert.equal(await Client.tcp(scope, port).ask('hello'), 'app hello')
  })

  check('a hold is released, and goes on with the target it had', async (scope) => {
    const router = await driver.open(scope)
    const port = await freePort()
    const application = await Application.lines(scope, 'app')
    await router.set(tcp(port), application.target)
    await router.hold(tcp(port), minute)
    const client = Client.tcp(scope, port)
    const answer = client.ask('hello')
    // It says its end and still wants the answer.
    const half = Client.tcp(scope, port)
    const halfAnswer = half.ask('half')
    half.socket.end()
    await waits(router, `tcp:${port}`, 2)
    await router.release(tcp(port))
    await router.release(tcp(port))
    assert.equal(await answer, 'app hello')
    assert.equal(await halfAnswer, 'app half')
    await within(
      half.closed.then(() => undefined),
      'the end of the half-open one',
    ).catch(() => half.socket.destroy())
  })

  check('routes may be added and removed while another is held', async (scope) => {
    const router = await driver.open(scope)
    const [port, other] = [await freePort(), await freePort()]
    const old = await Application.lines(scope, 'old')
    const fresh = await Application.lines(scope, 'new')
    await router.set(tcp(port), old.target)
    await router.hold(tcp(port), minute)
    const early = Client.tcp(scope, port).ask('early')
    await waits(router, `tcp:${port}`, 1)
    await router.set(tcp(other), old.target)
    const late = Client.tcp(scope, port).ask('late')
    await waits(router, `tcp:${port}`, 2)
    await router.remove(tcp(other))
    await router.set(tcp(port), fresh.target)
    assert.deepEqual(await Promise.all([early, late]), ['new early', 'new late'])
  })

  check('clients wait for a target that does not accept yet', async (scope) => {
    const router = await driver.open(scope)
    const port = await freePort()
    const target = { host: HOST, port: await freePort() }
    await router.set(tcp(port), target)
    const answers = Array.from({ length: 5 }, (_, i) => Client.tcp(scope, port).ask(`${i}`))
    await nap(600)
    await Application.lines(scope, 'late', target.port)
    assert.deepEqual(
      await Promise.all(answers),
      answers.map((_, i) => `late ${i}`),
    )
  })

  check('clients that wait for a target go to another one, once it is set', async (scope) => {
    const router = await driver.open(scope)
    const port = await freePort()
    await router.set(tcp(port), { host: HOST, port: await freePort() })
    const answer = Client.tcp(scope, port).ask('hello')
    await waits(router, `tcp:${port}`, 1)
    const fresh = await Application.lines(scope, 'new')
    await router.set(tcp(port), fresh.target)
    assert.equal(await answer, 'new hello')
  })

  check('clients wait for a target that does not accept for a bounded time', async (scope) => {
    const router = await driver.open(scope, { connectMilliseconds: 500 })
    const port = await freePort()
    await router.set(tcp(port), { host: HOST, port: await freePort() })
    const began = performance.now()
    assert.equal(await Client.tcp(scope, port).ask('hello'), 'closed')
    assert.ok(performance.now() - began > 400)
  })

  check('disconnect ends connections to former targets, and no others', async (scope) => {
    const router = await driver.open(scope)
    const [port, other] = [await freePort(), await freePort()]
    const one = await Application.lines(scope, 'one')
    const two = await Application.lines(scope, 'two')
    await router.set(tcp(port), one.target)
    await router.set(tcp(other), one.target)
    const bystander = Client.tcp(scope, other)
    const first = Client.tcp(scope, port)
    await Promise.all([first.ask('a'), bystander.ask('a')])
    assert.equal(await router.disconnect(tcp(port)), 0)
    await router.set(tcp(port), two.target)
    const second = Client.tcp(scope, port)
    assert.equal(await second.ask('a'), 'two a')
    assert.equal((await info(router, `tcp:${port}`)).open, 2)

    assert.equal(await router.disconnect(tcp(port)), 1)
    await within(first.closed, 'the end of a connection to the former target')
    assert.equal(await second.ask('b'), 'two b')
    assert.equal(await bystander.ask('b'), 'one b')
    await until(async () => (await info(router, `tcp:${port}`)).open === 1)
    assert.equal(await router.disconnect(tcp(port), { target: one.target }), 0)

    // A reload in between: the connection is an old worker's.
    const third = await freePort()
    await router.set(tcp(third), one.target)
    assert.equal(await router.disconnect(tcp(port), { target: two.target }), 1)
    await within(second.closed, 'the end of a connection to the named target')
    assert.equal(await bystander.ask('c'), 'one c')
    assert.equal(await router.disconnect(tcp(await freePort())), 0)
  })

  check('a server name chooses the target, and TLS is between the client and it', async (scope) => {
    const router = await driver.open(scope)
    const port = await freePort()
    const certificates = await Certificates.create(await scope.directory())
    const red = await certificates.application(scope, 'red.example', 'red')
    const blue = await certificates.application(scope, 'blue.example', 'blue')
    const later = await certificates.application(scope, 'blue.example', 'later')
    const address = (serverName: string) => ({ kind: 'tls', port, serverName }) as const
    await router.set(address('red.example'), red.target)
    await router.set(address('Blue.Example'), blue.target)
    const steady = certificates.client(scope, port, 'red.example')
    assert.equal(await steady.ask('hello'), 'red hello')
    assert.equal(await certificates.client(scope, port, 'blue.example').ask('hello'), 'blue hello')

    const stranger = certificates.client(scope, port, 'green.example')
    assert.equal(await stranger.ask('hello'), 'closed')
    assert.match(String(stranger.error), /unrecognized.name|ECONNRESET|disconnected/)

    await router.hold(address('blue.example'), minute)
    const waiting = certificates.client(scope, port, 'blue.example').ask('waited')
    await waits(router, `tls:${port}:blue.example`, 1)
    assert.equal(await certificates.client(scope, port, 'red.example').ask('meanwhile'), 'red meanwhile')
    await router.set(address('blue.example'), later.target)
    assert.equal(await waiting, 'later waited')
    await router.remove(address('blue.example'))
    assert.equal(await certificates.client(scope, port, 'blue.example').ask('hello'), 'closed')
    assert.equal(await steady.ask('still'), 'red still')
  })

  check('a Host header chooses the target', async (scope) => {
    const router = await driver.open(scope)
    const port = await freePort()
    const red = await httpApplication(scope, 'red')
    const blue = await httpApplication(scope, 'blue')
    const later = await httpApplication(scope, 'later')
    const address = (host: string) => ({ kind: 'http', port, host }) as const
    await router.set(address('red.example'), red.target)
    await router.set(address('blue.example'), blue.target)
    assert.deepEqual(await get(port, 'red.example', '/a?b'), { status: 200, body: 'red red.example /a?b' })
    assert.deepEqual(await get(port, `Blue.Example:${port}`), { status: 200, body: `blue Blue.Example:${port} /` })
    assert.equal((await get(port, 'green.example')).status, 421)

    await router.hold(address('blue.example'), minute)
    const waiting = get(port, 'blue.example')
    await waits(router, `http:${port}:blue.example`, 1)
    assert.equal((await get(port, 'red.example')).body, 'red red.example /')
    await router.set(address('blue.example'), later.target)
    assert.equal((await waiting).body, 'later blue.example /')
    await router.set(address('blue.example'), undefined)
    assert.equal((await get(port, 'blue.example')).status, 503)
    await router.remove(address('blue.example'))
    assert.equal((await get(port, 'blue.example')).status, 421)
    assert.equal((await get(port, 'red.example')).body, 'red red.example /')
  })

  check('what can not be is refused, and nothing is changed', async (scope) => {
    const router = await driver.open(scope)
    const [port, taken] = [await freePort(), await freePort()]
    const application = await Application.lines(scope, 'app')
    await router.set(tcp(port), application.target)
    const client = Client.tcp(scope, port)
    await client.ask('a')
    const before = await router.list()
    const { target } = application

    await assert.rejects(router.set({ kind: 'tls', port, serverName: 'a.example' }, target), ArgumentError)
    await assert.rejects(router.set({ kind: 'tls', port: taken, serverName: 'a b\n' }, target), ArgumentError)
    await assert.rejects(router.set({ kind: 'http', port: taken, host: 'a;show' }, target), ArgumentError)
    await assert.rejects(router.set(tcp(0), target), ArgumentError)
    await assert.rejects(router.set(tcp(taken), { host: 'a b', port: 1 }), ArgumentError)
    await assert.rejects(router.hold(tcp(port), { deadlineMilliseconds: 0 }), ArgumentError)
    for (const change of [router.hold(tcp(taken), minute), router.release(tcp(taken))]) {
      assert.equal(await codeOf(change), 'ROUTE_UNKNOWN')
    }
    const squatter = createServer()
    await new Promise<void>((resolve) => squatter.listen(taken, HOST, resolve))
    scope.defer(() => new Promise((resolve) => squatter.close(resolve)))
    assert.equal(await codeOf(router.set(tcp(taken), target)), 'PORT_IN_USE')
    assert.equal(await codeOf(router.set(tcp(port), target, { signal: AbortSignal.abort() })), 'ABORTED')
    assert.deepEqual(await router.list(), before)
    assert.equal(await client.ask('b'), 'app b')
  })

  check('no more clients wait than may', async (scope) => {
    const router = await driver.open(scope, { waitingClients: 5 })
    const port = await freePort()
    const application = await Application.lines(scope, 'app')
    await router.set(tcp(port), application.target)
    await router.hold(tcp(port), minute)
    const answers = Array.from({ length: 5 }, (_, i) => Client.tcp(scope, port).ask(`${i}`))
    await waits(router, `tcp:${port}`, 5)
    assert.equal(await Client.tcp(scope, port).ask('one too many'), 'closed')
    await router.release(tcp(port))
    assert.deepEqual(
      await Promise.all(answers),
      answers.map((_, i) => `app ${i}`),
    )
  })

  check('clients that say nothing, or too much, are closed', async (scope) => {
    const router = await driver.open(scope, { openingMilliseconds: 300 })
    const [tls, http] = [await freePort(), await freePort()]
    const application = await Application.lines(scope, 'app')
    await router.set({ kind: 'tls', port: tls, serverName: 'a.example' }, application.target)
    await router.set({ kind: 'http', port: http, host: 'a.example' }, application.target)
    const silent = [tls, http].map((port) => Client.tcp(scope, port))
    for (const client of silent) client.socket.on('end', () => client.socket.end()).write(Buffer.from('16', 'hex'))
    const much = Client.tcp(scope, http)
    much.socket.on('end', () => much.socket.end()).write(`GET / HTTP/1.1\r\nX: ${'x'.repeat(100_000)}`)
    for (const client of [...silent, much]) await within(client.closed, 'the end of a client that does not behave')
    assert.equal(application.connections, 0)
  })

  check('much data goes both ways, and the end of one direction leaves the other', async (scope) => {
    const router = await driver.open(scope)
    const port = await freePort()
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const parts: Buffer[] = []
      socket.on('data', (part) => parts.push(part))
      // Nothing before the end has arrived, and then all.
      socket.once('end', () => nap(100).then(() => socket.end(Buffer.concat(parts))))
    })
    const application = await Application.listen(scope, server)
    await router.set(tcp(port), application.target)
    const sent = randomBytes(8 * 1024 * 1024)
    const socket = connect({ host: HOST, port, allowHalfOpen: true })
    scope.defer(() => socket.destroy())
    socket.end(sent)
    const hash = createHash('sha256')
    socket.on('data', (part) => hash.update(part))
    await within(new Promise((resolve, reject) => socket.once('end', resolve).once('error', reject)), 'the data')
    assert.equal(hash.digest('hex'), createHash('sha256').update(sent).digest('hex'))
  })

  check('a thousand open connections go on while their route switches', async (scope) => {
    const router = await driver.open(scope)
    const port = await freePort()
    const old = await Application.lines(scope, 'old')
    const fresh = await Application.lines(scope, 'new')
    await router.set(tcp(port), old.target)
    const clients: Client[] = []
    while (clients.length < 1000) {
      const some = Array.from({ length: 100 }, () => Client.tcp(scope, port))
      await Promise.all(some.map((client) => client.ask('connect')))
      clients.push(...some)
    }
    const all = (line: string) => Promise.all(clients.map((client) => client.ask(line)))
    assert.equal((await info(router, `tcp:${port}`)).open, 1000)
    assert.deepEqual(new Set(await all('before')), new Set(['old before']))
    const during = all('during')
    await router.hold(tcp(port), minute)
    const waiting = Array.from({ length: 200 }, (_, i) => Client.tcp(scope, port).ask(`${i}`))
    await waits(router, `tcp:${port}`, 200)
    const began = performance.now()
    await router.set(tcp(port), fresh.target)
    const answers = await Promise.all(waiting)
    console.log(
      `\nmeasured: ${driver.name}: 200 waiting clients beside 1,000 open ones had their answers ${(performance.now() - began).toFixed(0)} ms after the switch began`,
    )
    assert.deepEqual(
      answers,
      waiting.map((_, i) => `new ${i}`),
    )
    assert.deepEqual(new Set(await during), new Set(['old during']))
    assert.deepEqual(new Set(await all('after')), new Set(['old after']))
    assert.equal((await info(router, `tcp:${port}`)).open, 1200)
    assert.equal(await router.disconnect(tcp(port)), 1000)
    await within(Promise.all(clients.map((client) => client.closed)), 'the end of the connections to the old target')
    assert.equal(await Client.tcp(scope, port).ask('last'), 'new last')
  })

  check('nothing is left after close', async (scope) => {
    const count = () => readdirSync('/proc/self/fd').length
    const application = await Application.lines(scope, 'app')
    const before = count()
    const inner = await driverRound(driver, application)
    await until(() => application.open === 0)
    await until(() => count() <= before)
    assert.equal(inner, 'ROUTER_CLOSED')
  })

  return test
}

/** Opens a router with clients connected, waiting and silent, and closes it under them. */
async function driverRound(driver: Driver, application: Application): Promise<string> {
  const scope = new (await import('./fixtures.js')).Scope()
  const router = await driver.open(scope)
  try {
    const [port, held, tls] = [await freePort(), await freePort(), await freePort()]
    await router.set(tcp(port), application.target)
    await router.set(tcp(held), application.target)
    await router.set({ kind: 'tls', port: tls, serverName: 'a.example' }, application.target)
    await router.hold(tcp(held), minute)
    const mute = createServer({ allowHalfOpen: true }, (socket) => socket.on('error', () => undefined).resume())
    const deaf = await freePort()
    await router.set(tcp(deaf), (await Application.listen(scope, mute)).target)
    const clients = [port, held, tls, deaf].map((each) => Client.tcp(scope, each))
    // It has said its end, and its application has not.
    clients[3]?.socket.end()
    await until(async () => (await info(router, `tcp:${deaf}`)).open === 1)
    await clients[0]?.ask('hello')
    await waits(router, `tcp:${held}`, 1)
    await Promise.all([router.close(), router.close()])
    await within(Promise.all(clients.map((client) => client.closed)), 'the end of all clients')
    return await codeOf(router.list())
  } finally {
    await scope.close()
  }
}
