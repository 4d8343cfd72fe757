/** Second sessions, each end of them: with whom they come about, and with whom they don't. */
import { randomBytes } from 'node:crypto'
import { createServer as createTcpServer, type Socket, connect as tcpConnect } from 'node:net'
import { constants } from 'node:os'
import { createServer, type TLSSocket, connect as tlsConnect } from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type SessionNews, sessionAddon } from '../../src/lzc/native.js'
import type { Credentials } from '../../src/transport/index.js'
import { Cluster } from './transport-fixtures.js'

const { addon, problem } = sessionAddon()
const tls13 = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const
const keyBytes = 1n << 36n
let cluster: Cluster
let beta: Credentials

test.before(async () => {
  cluster = await Cluster.create()
  beta = await cluster.host('beta')
})

test.after(() => cluster.destroy())

/** Two ends of a TCP connection. */
async function connection(): Promise<[Socket, Socket]> {
  const server = createTcpServer({ pauseOnConnect: true })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve))
  const near = tcpConnect((server.address() as { port: number }).port, '127.0.0.1')
  await new Promise((resolve) => near.once('connect', resolve))
  const far = await accepted
  server.close()
  for (const end of [near, far]) end.on('error', () => undefined)
  return [near, far]
}

/** A native end over a socket, which it takes. */
function nativeEnd(socket: Socket, server: boolean, key: Buffer, milliseconds = 10_000) {
  const { fd } = (socket as unknown as { _handle: { fd: number; readStop(): void } })._handle
  const session = addon.openSession(fd, server, key, keyBytes, milliseconds, false)
  socket.destroy()
  return session
}

/** What a native end comes to: the bytes that it was told, or how it failed. */
async function outcome(session: ReturnType<typeof nativeEnd>): Promise<string> {
  for (;;) {
    const news: SessionNews = await addon.sessionNews(session, true)
    if (news.bytes !== undefined) return `told ${news.bytes}`
    if (news.closed) return news.text ?? `errno ${news.errno}`
  }
}

test('this Node.js carries what a native end needs', () => {
  assert.is(problem, undefined)
})

for (const role of ['client', 'server'] as const) {
  test(`a native ${role} and a native peer: the same key, and another`, async () => {
    for (const same of [true, false]) {
      const [near, far] = await connection()
      const key = randomBytes(32)
      const own = nativeEnd(near, role === 'server', key)
      const peer = nativeEnd(far, role !== 'server', same ? key : randomBytes(32))
      void addon.sessionSay(peer, [Buffer.from('hello')])
      const came = await outcome(own)
      assert.is(came.startsWith('told'), same, came)
      if (!same) assert.match(came, /ERR_SSL_|errno/)
      addon.sessionDestroy(own)
      addon.sessionDestroy(peer)
    }
  })
}

test('what is thrown in consequence of an answer reaches the process', async () => {
  const [near, far] = await connection()
  const session = nativeEnd(near, false, randomBytes(32))
  far.destroy()
  await outcome(session)
  const listeners = process.rawListeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  const thrown = new Promise<Error>((resolve) => process.once('uncaughtException', resolve))
  process.nextTick(() => {
    throw new Error('by a listener')
  })
  assert.is((await thrown).message, 'by a listener')
  for (const listener of listeners) process.on('uncaughtException', listener as NodeJS.UncaughtExceptionListener)
})

test('a native client refuses a server that has a certificate in place of the key', async () => {
  const [near, far] = await connection()
  const server = createServer({ ...tls13, cert: beta.certificate, key: beta.key }, (socket: TLSSocket) => {
    socket.on('error', () => undefined)
    socket.write('hello')
  })
  server.on('tlsClientError', () => undefined)
  const session = nativeEnd(near, false, randomBytes(32))
  server.emit('connection', far)
  far.resume()
  assert.is(await outcome(session), 'ERR_SSL_NO_COMMON_KEY')
})

test('a native server refuses a client that knows no key, whatever certificate it has', async () => {
  const [near, far] = await connection()
  const session = nativeEnd(far, true, randomBytes(32))
  const { certificate: cert, key } = beta
  const client = tlsConnect({ ...tls13, socket: near, cert, key, rejectUnauthorized: false })
  const failed = new Promise<Error>((resolve) => client.once('error', resolve))
  assert.match(await outcome(session), /^ERR_SSL_/)
  assert.match(((await failed) as NodeJS.ErrnoException).code ?? '', /ERR_SSL|ECONNRESET/)
})

for (const role of ['client', 'server'] as const) {
  test(`a native ${role} does not wait for ever for a peer that says nothing`, async () => {
    const [near, far] = await connection()
    const started = performance.now()
    const session = nativeEnd(near, role === 'server', randomBytes(32), 300)
    assert.is(await outcome(session), `errno ${constants.errno.ETIMEDOUT}`)
    const milliseconds = performance.now() - started
    assert.ok(milliseconds >= 299 && milliseconds < 5000, `${milliseconds} ms`)
    far.destroy()
  })
}

test('what is no TLS at all is a failure with a name', async () => {
  const [near, far] = await connection()
  const session = nativeEnd(near, false, randomBytes(32))
  far.resume()
  far.write('HTTP/1.1 400 Bad Request\r\n\r\n')
  assert.match(await outcome(session), /^ERR_SSL_/)
  far.destroy()
})

test.run()
