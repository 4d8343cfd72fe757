/** What the built-in proxy reads of a connection: real ClientHellos, cut and damaged. FLOCKER_ZFS_FUZZ is how many damaged ones. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { connect } from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readClientHello } from '../../src/routing/builtin/client-hello.js'
import { readRequestHead } from '../../src/routing/builtin/request-head.js'
import { damage, generator } from './fuzzing.js'

const inputs = Number(process.env.FLOCKER_ZFS_FUZZ ?? 20_000)
const firstSeed = Number(process.env.FLOCKER_ZFS_FUZZ_SEED ?? 1)
let hello: Buffer
let nameless: Buffer

/** What Node.js's TLS says first. */
async function capture(options: { servername?: string }): Promise<Buffer> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const client = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options }).on(
    'error',
    () => undefined,
  )
  const [socket] = await once(server, 'connection')
  const [bytes] = await once(socket, 'data')
  client.destroy()
  socket.destroy()
  server.close()
  return bytes
}

/** The same handshake message in records of so many bytes. */
function rerecord(bytes: Buffer, size: number): Buffer {
  const message = bytes.subarray(5)
  const parts: Buffer[] = []
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size)
    const header = Buffer.from([22, 3, 1, 0, 0])
    header.writeUInt16BE(part.length, 3)
    parts.push(header, part)
  }
  return Buffer.concat(parts)
}

test.before(async () => {
  hello = await capture({ servername: 'Db.Example' })
  nameless = await capture({})
})

test('the server name is found, whole, in pieces and in several records', () => {
  for (const bytes of [
    hello,
    rerecord(hello, 7),
    rerecord(hello, 100),
    Buffer.concat([hello, Buffer.from([20, 3, 3, 0, 1, 1])]),
  ]) {
    assert.equal(readClientHello(bytes), { kind: 'named', name: 'db.example' })
  }
  for (const bytes of [hello, rerecord(hello, 50)]) {
    for (let end = 0; end < bytes.length; end++) assert.equal(readClientHello(bytes.subarray(0, end)), { kind: 'more' })
  }
  assert.equal(readClientHello(nameless), { kind: 'unnamed' })
})

test('what is no ClientHello is seen at once', () => {
  for (const text of [
    'GET / HTTP/1.1\r\n',
    'SSH-2.0-x\r\n',
    '\x16\x02',
    '\x16\x03\x01\x00\x00',
    '\x16\x03\x01\x40\x01',
    '\x16\x03\x01\x00\x05\x02',
  ]) {
    assert.is(readClientHello(Buffer.from(text, 'latin1')).kind, 'invalid', JSON.stringify(text))
  }
})

test('the host of a request is found', () => {
  const head = (text: string) => readRequestHead(Buffer.from(text, 'latin1'))
  const named = (name: string) => ({ kind: 'named', name })
  assert.equal(head('GET / HTTP/1.1\r\nA: b\r\nHost:  Www.Example:8080 \r\n\r\nbody'), named('www.example'))
  assert.equal(head('GET http://Other.Example/x HTTP/1.1\r\nHost: www.example\r\n\r\n'), named('other.example'))
  assert.equal(head('POST /x HTTP/1.0\r\nhost: a.example.\r\n\r\n'), named('a.example'))
  assert.equal(head('GET / HTTP/1.0\r\n\r\n'), { kind: 'unnamed' })
  assert.equal(head(''), { kind: 'more' })
  assert.equal(head('GET / HTTP/1.1\r\nHost: a\r\n'), { kind: 'more' })
  for (const bad of [
    '\x16\x03\x01',
    'PRI * HTTP/2.0\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n',
    'GET / HTTP/1.1\r\nHost : a\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n',
    'GET  / HTTP/1.1\r\nHost: a\r\n\r\n',
  ]) {
    assert.is(head(bad).kind, 'invalid', JSON.stringify(bad))
  }
})

test(`damaged openings are read without harm: ${inputs} inputs`, () => {
  const request = Buffer.from('GET / HTTP/1.1\r\nHost: www.example\r\nA: b\r\n\r\n')
  const kinds = new Set<string>()
  for (let seed = firstSeed; seed < firstSeed + inputs; seed++) {
    const random = generator(seed)
    const records = random(2) === 0 ? hello : rerecord(hello, 1 + random(300))
    try {
      kinds.add(readClientHello(damage(records, random)).kind)
      kinds.add(readRequestHead(damage(request, random)).kind)
    } catch (cause) {
      throw new Error(`run it again with FLOCKER_ZFS_FUZZ=1 FLOCKER_ZFS_FUZZ_SEED=${seed}`, { cause })
    }
  }
  if (inputs >= 1000) assert.equal([...kinds].sort(), ['invalid', 'more', 'named', 'unnamed'])
})

test.run()
