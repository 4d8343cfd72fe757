import { randomBytes } from 'node:crypto'
import { connect as tlsConnect } from 'node:tls'
import { pino } from 'pino'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { DivergedError, ZfsError } from '../../src/errors.js'
import { type Credentials, defineMethod, handle } from '../../src/transport/index.js'
import { encodeMessage, VERSIONS } from '../../src/transport/messages.js'
import { tlsOptions } from '../../src/transport/tls.js'
import { Cluster, FaultyLink, failure, ping, pingHandler, scoped, until } from './transport-fixtures.js'

let cluster: Cluster

test.before(async () => {
  cluster = await Cluster.create()
})

test.after(() => cluster.destroy())

const wait = defineMethod('wait', { params: z.object({}), result: z.object({}), event: z.object({ step: z.int() }) })
const fail = defineMethod('fail', { params: z.object({ how: z.string() }), result: z.object({}) })

/** An authenticated client that says what it likes; resolves with what the server said until the connection closed. */
function speak(credentials: Credentials, port: number, ...say: Buffer[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = tlsConnect({ ...tlsOptions(credentials), host: '127.0.0.1', port })
    let text = ''
    socket.once('secureConnect', () => socket.write(Buffer.concat(say)))
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => resolve(text))
  })
}

const opening = encodeMessage({ type: 'control', versions: VERSIONS, hello: {} }, 16_384)
const message = (value: object): Buffer => encodeMessage(value, 1 << 30)
const length = (value: number): Buffer => {
  const header = Buffer.alloc(4)
  header.writeUInt32BE(value)
  return header
}

test(
  'a request is answered; uint64 and identities arrive exactly',
  scoped(async (scope) => {
    const server = await scope.listen(await cluster.host('beta'))
    const connection = await scope.connect(await cluster.host('alpha'), server.port)
    assert.is(connection.identity, 'beta')
    assert.equal(connection.remoteHello, { name: 'server' })
    const number = 0xffff_ffff_ffff_ffffn
    assert.equal(await connection.request(ping, { text: 'ö', number }), { text: 'ö', number, peer: 'alpha' })
  }),
)

test(
  'a thousand requests one after the other, then many at once',
  scoped(async (scope) => {
    const server = await scope.listen(await cluster.host('beta'))
    const connection = await scope.connect(await cluster.host('alpha'), server.port)
    for (let n = 0n; n < 1000n; n += 1n) assert.is((await connection.request(ping, { text: '', number: n })).number, n)
    const text = 'x'.repeat(200_000)
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, n) => connection.request(ping, { text, number: BigInt(n) })),
    )
    assert.equal(
      answers.map(({ number }) => number),
      Array.from({ length: 60 }, (_, n) => BigInt(n)),
    )
  }),
)

test(
  'bad parameters are refused before they are sent; an unknown method and bad answers are PROTOCOL',
  scoped(async (scope) => {
    const liar = defineMethod('liar', { params: z.object({}), result: z.string() })
    const server = await scope.listen(await cluster.host('beta'), {
      handlers: [pingHandler, handle(liar, () => 'text')],
    })
    const connection = await scope.connect(await cluster.host('alpha'), server.port)
    assert.is((await failure(connection.request(ping, { text: '', number: -1n }))).code, 'INVALID_ARGUMENT')
    const unknown = await failure(connection.request(wait, {}))
    assert.is(unknown.code, 'PROTOCOL')
    assert.match(unknown.message, /There is no method "wait"/)
    const expectsNumber = defineMethod('liar', { params: z.object({}), result: z.number() })
    assert.is((await failure(connection.request(expectsNumber, {}))).code, 'PROTOCOL')
    const loose = defineMethod('ping', { params: z.object({ text: z.number() }), result: z.unknown() })
    assert.match((await failure(connection.request(loose, { text: 1 }))).message, /Bad parameters for ping/)
    const long = await failure(connection.request(ping, { text: 'x'.repeat(2_000_000), number: 0n }))
    assert.is(long.code, 'INVALID_ARGUMENT')
    await connection.request(ping, { text: '', number: 1n })
  }),
)

test(
  'errors keep their class, code, errno, dataset and next step; others become a reference',
  scoped(async (scope) => {
    const lines: string[] = []
    const logger = pino({ level: 'debug' }, { write: (line: string) => lines.push(line) })
    const handler = handle(fail, ({ how }) => {
      if (how === 'zfs')
        throw new ZfsError('BUSY', 'dataset is busy', { errno: 16, dataset: 'tank/a', next: 'Unmount it.' })
      if (how === 'diverged') throw new DivergedError('nothing in common')
      throw new Error('secret /etc/path')
    })
    const server = await scope.listen(await cluster.host('beta'), { handlers: [handler], logger })
    const connection = await scope.connect(await cluster.host('alpha'), server.port)
    const zfs = (await failure(connection.request(fail, { how: 'zfs' }))) as unknown as ZfsError
    assert.instance(zfs, ZfsError)
    assert.equal([zfs.code, zfs.errno, zfs.dataset, zfs.next, zfs.peer], ['BUSY', 16, 'tank/a', 'Unmount it.', 'beta'])
    assert.is(zfs.message, 'dataset is busy\n  Unmount it.')
    assert.instance(await failure(connection.request(fail, { how: 'diverged' })), DivergedError)
    const internal = await failure(connection.request(fail, { how: 'other' }))
    assert.is(internal.code, 'INTERNAL')
    assert.not.match(internal.message, /secret|path/)
    const reference = /reference ([0-9a-f]+)/.exec(internal.message)?.[1]
    assert.ok(lines.some((line) => line.includes(`${reference}`) && line.includes('secret /etc/path')))
  }),
)

test(
  'events arrive in order; a cancel and a deadline reach the handler',
  scoped(async (scope) => {
    const reasons: string[] = []
    const handler = handle(wait, async (_, { signal, emit }) => {
      for (const step of [1, 2, 3]) emit({ step })
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      reasons.push(signal.reason.code)
      return {}
    })
    const server = await scope.listen(await cluster.host('beta'), { handlers: [handler] })
    const connection = await scope.connect(await cluster.host('alpha'), server.port)
    const steps: number[] = []
    const stop = new AbortController()
    const request = failure(
      connection.request(wait, {}, { signal: stop.signal, onEvent: ({ step }) => steps.push(step) }),
    )
    await until(() => steps.length === 3)
    assert.equal(steps, [1, 2, 3])
    stop.abort()
    assert.is((await request).name, 'AbortError')
    assert.is((await failure(connection.request(wait, {}, { timeoutMilliseconds: 50 }))).code, 'TIMEOUT')
    await until(() => reasons.length === 2)
    assert.equal(reasons, ['ABORTED', 'ABORTED'])
  }),
)

test(
  'more requests than allowed are answered PEER_BUSY; a lost connection ends handlers and requests',
  scoped(async (scope) => {
    const reasons: string[] = []
    const handler = handle(wait, async (_, { signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      reasons.push(signal.reason.code)
      return {}
    })
    const server = await scope.listen(await cluster.host('beta'), { handlers: [handler], limits: { requests: 2 } })
    const link = await FaultyLink.open(scope, server.port)
    const connection = await scope.connect(await cluster.host('alpha'), link.port)
    const requests = [failure(connection.request(wait, {})), failure(connection.request(wait, {}))]
    assert.is((await failure(connection.request(wait, {}))).code, 'PEER_BUSY')
    link.reset()
    for (const request of requests) assert.is((await request).code, 'PEER_LOST')
    await until(() => reasons.length === 2)
    assert.equal(reasons, ['PEER_LOST', 'PEER_LOST'])
    assert.is((await failure(connection.request(wait, {}))).code, 'PEER_LOST')
  }),
)

test(
  'an orderly close is no error for `closed`, and requests say who closed',
  scoped(async (scope) => {
    const handler = handle(wait, async (_, { signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      return {}
    })
    const server = await scope.listen(await cluster.host('beta'), { handlers: [handler] })
    const alpha = await cluster.host('alpha')
    const first = await scope.connect(alpha, server.port)
    const mine = failure(first.request(wait, {}))
    await first.close()
    assert.is((await mine).code, 'ABORTED')
    assert.is(await first.closed, undefined)
    const second = await scope.connect(alpha, server.port)
    const theirs = failure(second.request(wait, {}))
    await second.request(ping, { text: '', number: 0n }).catch((error) => assert.is(error.code, 'PROTOCOL'))
    await server.close()
    assert.is((await theirs).code, 'PEER_LOST')
    assert.is(await second.closed, undefined)
  }),
)

test(
  'no version in common: both ranges are named',
  scoped(async (scope) => {
    const server = await scope.listen(await cluster.host('beta'))
    const future = message({ type: 'control', versions: { minimum: 7, maximum: 9 }, hello: {} })
    const text = await speak(await cluster.host('alpha'), server.port, future)
    assert.match(text, /"code":"VERSION".*this host speaks 2, alpha 7 to 9.*"versions":\{"minimum":2,"maximum":2\}/)
  }),
)

test(
  'garbage from a certified peer is answered PROTOCOL and hung up on, at every stage',
  scoped(async (scope) => {
    const server = await scope.listen(await cluster.host('beta'))
    const alpha = await cluster.host('alpha')
    const beforeHello = [
      length(0xffff_ffff),
      length(16_385),
      length(0),
      Buffer.concat([length(4), Buffer.from('{{{{')]),
      Buffer.concat([length(4), Buffer.from([0xff, 0xfe, 0, 1])]),
      message({ type: 'request', id: 1, method: 'ping', params: {} }),
      message({ type: 'control', versions: { minimum: 'a', maximum: 1 }, hello: {} }),
      message({ type: 'data', versions: VERSIONS, ticket: '../..' }),
      Buffer.concat([length(500), randomBytes(500)]),
    ]
    for (const bytes of beforeHello) assert.match(await speak(alpha, server.port, bytes), /"refused".*"PROTOCOL"/)
    const afterHello = [
      length(0xffff_ffff),
      length(1024 * 1024 + 1),
      message({ type: 'result', id: 1, result: {} }),
      message({ type: 'nonsense' }),
      message({ type: 'request', id: 0, method: 'ping' }),
      message([1, 2]),
      Buffer.concat([1, 1].map((id) => message({ type: 'request', id, method: 'none', params: {} }))),
      Buffer.concat([length(60_000), Buffer.from('['.repeat(60_000))]),
    ]
    for (const bytes of afterHello)
      assert.match(await speak(alpha, server.port, opening, bytes), /"welcome".*"bye".*"PROTOCOL"/s)
    const connection = await scope.connect(alpha, server.port)
    await connection.request(ping, { text: '', number: 0n })
  }),
)

test(
  'a peer that falls silent is lost on both ends within its time, not before',
  scoped(async (scope) => {
    const server = await scope.listen(await cluster.host('beta'))
    const link = await FaultyLink.open(scope, server.port)
    const connection = await scope.connect(await cluster.host('alpha'), link.port)
    const start = performance.now()
    link.silent = true
    const error = await failure(connection.request(ping, { text: '', number: 0n }))
    assert.is(error.code, 'PEER_LOST')
    const took = performance.now() - start
    assert.ok(took > 3900 && took < 8000, `${took} ms`)
    await until(() => server.connections === 0, 8000 - took)
  }),
)

test(
  'a connection whose keys have carried enough closes in order, once nothing is in work',
  scoped(async (scope) => {
    const server = await scope.listen(await cluster.host('beta'))
    const connection = await scope.connect(await cluster.host('alpha'), server.port, { keyBytes: 256 * 1024 })
    const text = 'x'.repeat(100_000)
    const answers = Array.from({ length: 5 }, () => connection.request(ping, { text, number: 0n }))
    assert.is((await Promise.all(answers)).length, 5)
    assert.is(await connection.closed, undefined)
    const error = await failure(connection.request(ping, { text, number: 0n }))
    assert.is(error.code, 'PEER_LOST')
    assert.match(error.message, /all that its keys may.*\n {2}Connect anew/)
  }),
)

test(
  'no secret is logged, and nothing is left behind',
  scoped(async (scope) => {
    const lines: string[] = []
    const logger = pino({ level: 'trace' }, { write: (line: string) => lines.push(line) })
    const before = process.getActiveResourcesInfo().filter((name) => /TCP|TLS|Timeout/.test(name)).length
    const offer = defineMethod('offer', { params: z.object({}), result: z.object({ ticket: z.string() }) })
    const handler = handle(offer, (_, context) => ({ ticket: context.offerData().ticket }))
    const credentials = await cluster.host('alpha')
    const server = await scope.listen(await cluster.host('beta'), { handlers: [handler], logger })
    const connection = await scope.connect(credentials, server.port, { logger })
    const { ticket } = await connection.request(offer, {})
    await connection.openData(ticket)
    await failure(connection.openData(ticket))
    await connection.request(offer, {})
    await connection.close()
    await server.close()
    const text = lines.join('')
    assert.ok(text.length > 0)
    assert.not.ok(text.includes(ticket))
    assert.not.match(text, /PRIVATE KEY/)
    const left = () => process.getActiveResourcesInfo().filter((name) => /TCP|TLS|Timeout/.test(name))
    await until(() => left().length <= before + 1, 2000)
  }),
)

test.run()
