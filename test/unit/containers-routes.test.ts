/** What owners of applications say about routes, carried out by a real proxy. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { pino } from 'pino'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Routes } from '../../src/containers/routes.js'
import { openBuiltInRouter, type RouteTarget } from '../../src/routing/index.js'
import { eventually, failure } from '../zfs/pool.js'

async function serve(word: string): Promise<{ server: Server; target: RouteTarget }> {
  const server = createServer((socket) => void socket.on('error', () => socket.destroy()).write(word))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, target: { host: '127.0.0.1', port: (server.address() as AddressInfo).port } }
}

async function freePort(): Promise<number> {
  const { server, target } = await serve('')
  server.close()
  return target.port
}

async function client(port: number): Promise<{ socket: Socket; word: string }> {
  const socket = connect({ host: '127.0.0.1', port })
  socket.on('error', () => undefined)
  const [chunk] = (await once(socket, 'data')) as [Buffer]
  return { socket, word: chunk.toString() }
}

test('connections to a run that has ended are ended, those to the present one are not', async () => {
  await using router = await openBuiltInRouter({ address: '127.0.0.1' })
  const routes = new Routes(router, pino({ enabled: false }))
  const [one, two, port] = [await serve('one'), await serve('two'), await freePort()]
  const lead = (epoch: bigint, { target }: { target: RouteTarget }, run: string): Promise<void> =>
    routes.change('db', epoch, { kind: 'set', routes: [{ address: `tcp:${port}`, target }], run })
  await lead(1n, one, 'a')
  const first = await client(port)
  assert.is(first.word, 'one')
  await lead(1n, one, 'a')
  assert.not(first.socket.destroyed, 'said again')
  await lead(1n, one, 'b')
  await eventually(() => first.socket.closed)
  const second = await client(port)
  await lead(2n, two, 'c')
  await eventually(() => second.socket.closed)
  const third = await client(port)
  assert.is(third.word, 'two')
  await lead(2n, two, 'c')
  assert.not(third.socket.destroyed)

  assert.is((await failure(lead(1n, one, 'b'))).code, 'ROUTE_STALE')
  const other = { kind: 'set' as const, routes: [{ address: `tcp:${port}`, target: one.target }], run: 'x' }
  assert.is((await failure(routes.change('web', 9n, other))).code, 'ROUTE_CONFLICT')
  await routes.change('web', 1n, { kind: 'hold', addresses: [`tcp:${await freePort()}`], milliseconds: 1000 })
  assert.not(third.socket.destroyed)
  third.socket.destroy()
  for (const { server } of [one, two]) server.close()
})

test.run()
