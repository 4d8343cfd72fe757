import { createServer as createPlainServer, connect as netConnect } from 'node:net'
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Credentials } from '../../src/transport/index.js'
import { connect } from '../../src/transport/index.js'
import { tlsOptions } from '../../src/transport/tls.js'
import { Cluster, failure, ping, type Scope, scoped, until } from './transport-fixtures.js'

let cluster: Cluster
let strangers: Cluster
const DAY = 86_400_000

test.before(async () => {
  cluster = await Cluster.create()
  strangers = await Cluster.create()
})

test.after(async () => {
  await cluster.destroy()
  await strangers.destroy()
})

const dial = (credentials: Credentials, port: number, more: { expectIdentity?: string; host?: string } = {}) =>
  failure(connect({ host: '127.0.0.1', port, credentials, hello: {}, ...more }))

/** What the server's side of a raw TLS connection says, up to its end. */
function rawTls(port: number, options: object, say?: Buffer): Promise<{ text: string; error?: Error }> {
  return new Promise((resolve) => {
    const socket = tlsConnect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
    let text = ''
    let failed: Error | undefined
    if (say) socket.once('secureConnect', () => socket.write(say))
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    socket.on('error', (error) => {
      failed = error
    })
    socket.on('close', () => resolve(failed ? { text, error: failed } : { text }))
  })
}

async function tlsServer(scope: Scope, options: object): Promise<number> {
  const server = createTlsServer(options, (socket) => {
    socket.on('error', () => socket.destroy())
    socket.resume()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  scope.defer(() => new Promise((resolve) => server.close(resolve)))
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

test(
  'a client of an unknown CA is refused, on both ends with the reason',
  scoped(async (scope) => {
    const server = await scope.listen(await cluster.host('beta'))
    const stranger = await strangers.host('alpha')
    const here = await dial(stranger, server.port)
    assert.is(here.code, 'TLS_FAILED')
    assert.match(here.message, /was not signed by this cluster's CA/)
    // One that trusts the server and only shows a foreign certificate hears it from the server.
    const there = await dial({ ...stranger, ca: (await cluster.host('x')).ca }, server.port)
    assert.is(there.code, 'TLS_FAILED')
    assert.match(there.message, /beta refused this host: its certificate was not signed by this cluster's CA/)
    assert.is(server.connections, 0)
  }),
)

test(
  'an expired certificate is refused, whichever end has it',
  scoped(async (scope) => {
    const past = { notBefore: new Date(Date.now() - 2 * DAY), notAfter: new Date(Date.now() - DAY) }
    const good = await scope.listen(await cluster.host('beta'))
    const client = await dial(await cluster.host('alpha', past), good.port)
    assert.is(client.code, 'TLS_FAILED')
    assert.match(client.message, /beta refused this host: its certificate has expired \(on 20/)
    const expired = await scope.listen(await cluster.host('beta', past))
    const server = await dial(await cluster.host('alpha'), expired.port)
    assert.is(server.code, 'TLS_FAILED')
    assert.match(server.message, /127\.0\.0\.1:\d+: its certificate has expired/)
    const early = { notBefore: new Date(Date.now() + DAY), notAfter: new Date(Date.now() + 2 * DAY) }
    assert.match((await dial(await cluster.host('alpha', early), good.port)).message, /is not valid yet \(before 20/)
  }),
)

test(
  'a server must have the address that was dialled, or the identity that was expected',
  scoped(async (scope) => {
    const elsewhere = await scope.listen(await cluster.host('beta', { addresses: ['beta.example'] }))
    const alpha = await cluster.host('alpha')
    const address = await dial(alpha, elsewhere.port)
    assert.is(address.code, 'TLS_FAILED')
    assert.match(address.message, /beta's certificate does not name the address 127\.0\.0\.1/)
    const identity = await dial(alpha, elsewhere.port, { expectIdentity: 'gamma' })
    assert.is(identity.code, 'TLS_FAILED')
    assert.match(identity.message, /is beta, not gamma/)
    const connection = await scope.connect(alpha, elsewhere.port, { expectIdentity: 'beta' })
    assert.is((await connection.request(ping, { text: '', number: 0n })).peer, 'alpha')
    // The subject's common name is beta; it counts for nothing.
    const named = await failure(connect({ host: 'localhost', port: elsewhere.port, credentials: alpha }))
    assert.is(named.code, 'TLS_FAILED')
  }),
)

test(
  'no client certificate, no hearing; not even a byte is read',
  scoped(async (scope) => {
    const server = await scope.listen(await cluster.host('beta'))
    const { text } = await rawTls(
      server.port,
      { minVersion: 'TLSv1.3', ALPNProtocols: ['flocker-zfs/1'] },
      Buffer.alloc(100_000, 255),
    )
    assert.match(text, /TLS_FAILED.*it showed no certificate/)
    assert.is(server.connections, 0)
  }),
)

test(
  'TLS 1.2 and other application protocols are refused',
  scoped(async (scope) => {
    const server = await scope.listen(await cluster.host('beta'))
    const { cert, key, ca } = tlsOptions(await cluster.host('alpha'))
    const old = await rawTls(server.port, { cert, key, ca, maxVersion: 'TLSv1.2' })
    assert.match(old.error?.message ?? '', /protocol version/i)
    const other = await rawTls(server.port, { cert, key, ca, ALPNProtocols: ['h2'] })
    assert.match(other.error?.message ?? '', /no application protocol/i)
    const none = await rawTls(server.port, { cert, key, ca })
    assert.match(none.text, /does not ask for flocker-zfs\/1/)
  }),
)

test(
  'AES-128-GCM is chosen',
  scoped(async (scope) => {
    const server = await scope.listen(await cluster.host('beta'))
    const socket = tlsConnect({
      ...tlsOptions(await cluster.host('alpha')),
      ciphers: 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256',
      host: '127.0.0.1',
      port: server.port,
    })
    await new Promise((resolve) => socket.once('secureConnect', resolve))
    assert.is(socket.getCipher().name, 'TLS_AES_128_GCM_SHA256')
    assert.is(socket.getProtocol(), 'TLSv1.3')
    socket.destroy()
  }),
)

test(
  'a resumed session is refused',
  scoped(async (scope) => {
    const server = await scope.listen(await cluster.host('beta'), { handlers: [] })
    const options = { ...tlsOptions(await cluster.host('alpha')), host: '127.0.0.1', port: server.port }
    const first = tlsConnect(options)
    const session = await new Promise<Buffer>((resolve) => first.once('session', resolve))
    first.destroy()
    const { text } = await rawTls(server.port, { ...options, session })
    assert.match(text, /resumed a TLS session/)
  }),
)

test(
  "another implementation's alert about our certificate is TLS_FAILED, not a lost peer",
  scoped(async (scope) => {
    const { cert, key } = tlsOptions(await cluster.host('beta'))
    const foreign = await strangers.host('x')
    const port = await tlsServer(scope, {
      cert,
      key,
      ca: foreign.ca,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['h3'],
    })
    const error = await dial(await cluster.host('alpha'), port)
    assert.is(error.code, 'TLS_FAILED')
    assert.match(error.message, /does not speak flocker-zfs\/1/)
  }),
)

test(
  'nothing there, something silent there, something without TLS there',
  scoped(async (scope) => {
    const alpha = await cluster.host('alpha')
    const gone = createPlainServer()
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve))
    const port = (gone.address() as { port: number }).port
    await new Promise((resolve) => gone.close(resolve))
    assert.is((await dial(alpha, port)).code, 'PEER_UNREACHABLE')

    for (const [answer, code] of [
      ['', 'PEER_UNREACHABLE'],
      ['SSH-2.0-OpenSSH_9.2\r\n', 'TLS_FAILED'],
    ] as const) {
      const plain = createPlainServer((socket) => {
        socket.on('error', () => socket.destroy())
        socket.resume()
        if (answer) socket.write(answer)
      })
      await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve))
      scope.defer(() => new Promise((resolve) => plain.close(resolve)))
      const target = {
        host: '127.0.0.1',
        port: (plain.address() as { port: number }).port,
        credentials: alpha,
        hello: {},
      }
      const error = await failure(connect({ ...target, timeoutMilliseconds: 300 }))
      assert.is(error.code, code)
      if (code === 'TLS_FAILED') assert.match(error.message, /does not speak TLS/)
    }
  }),
)

test(
  'an attempt can be aborted',
  scoped(async (scope) => {
    const server = await scope.listen(await cluster.host('beta'))
    const credentials = await cluster.host('alpha')
    const stop = new AbortController()
    const attempt = connect({ host: '127.0.0.1', port: server.port, credentials, signal: stop.signal })
    stop.abort()
    const error = await failure(attempt)
    assert.is(error.name, 'AbortError')
    assert.is(error.code, 'ABORTED')
  }),
)

test(
  'sockets without a hello have a deadline and a bound, and keep nobody out',
  scoped(async (scope) => {
    const limits = { handshakeMilliseconds: 400, pendingSockets: 8 }
    const server = await scope.listen(await cluster.host('beta'), { limits })
    const alpha = await cluster.host('alpha')
    let closed = 0
    for (let n = 0; n < 30; n += 1) {
      const socket = netConnect(server.port, '127.0.0.1')
      socket.on('error', () => socket.destroy())
      socket.on('close', () => {
        closed += 1
      })
      socket.resume()
    }
    await until(() => closed >= 22, 300)
    await scope.connect(alpha, server.port)
    // One with a valid certificate that never says hello fares no better.
    const mute = await rawTls(server.port, tlsOptions(alpha))
    assert.is(mute.text, '')
    await until(() => closed === 30)
  }),
)

test(
  'a server that speaks plain text to a TLS server is only dropped',
  scoped(async (scope) => {
    const server = await scope.listen(await cluster.host('beta'))
    const socket = netConnect(server.port, '127.0.0.1')
    socket.on('error', () => socket.destroy())
    socket.write('GET / HTTP/1.1\r\n\r\n')
    await new Promise((resolve) => socket.once('close', resolve))
    await scope.connect(await cluster.host('alpha'), server.port)
  }),
)

test.run()
