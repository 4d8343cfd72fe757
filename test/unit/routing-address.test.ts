import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ArgumentError, RoutingError } from '../../src/errors.js'
import { parseSessions } from '../../src/routing/haproxy/answers.js'
import { formatConfig } from '../../src/routing/haproxy/config.js'
import { parseWorkers } from '../../src/routing/haproxy/master.js'
import { addSlots, findSlot, freeSlots, pointTo } from '../../src/routing/haproxy/slots.js'
import { formatTable, parseTable, type Slot } from '../../src/routing/haproxy/table.js'
import { checkConflict, normaliseAddress, parseRouteKey, type RouteAddress, routeKey } from '../../src/routing/index.js'
import { routerSettings } from '../../src/routing/settings.js'

const isRefused = (body: () => unknown) => assert.throws(body, (error: unknown) => error instanceof ArgumentError)

test('an address has one text', () => {
  const texts: Array<[RouteAddress, string]> = [
    [{ kind: 'tcp', port: 5432 }, 'tcp:5432'],
    [{ kind: 'tcp', port: 5432, address: '127.0.0.1' }, 'tcp:127.0.0.1:5432'],
    [{ kind: 'tcp', port: 5432, address: '0:0:0::1' }, 'tcp:[::1]:5432'],
    [{ kind: 'tls', serverName: 'DB.Example.' }, 'tls:443:db.example'],
    [{ kind: 'http', host: 'www.example', port: 8080 }, 'http:8080:www.example'],
  ]
  for (const [address, text] of texts) {
    assert.is(routeKey(address), text)
    assert.equal(parseRouteKey(text), normaliseAddress(address))
  }
  assert.is(routeKey(parseRouteKey('tls:db.example')), 'tls:443:db.example')
})

test('what is no address is refused', () => {
  for (const text of [
    '',
    'tcp',
    'tcp:',
    'tcp:0',
    'tcp:65536',
    'tcp:a:1',
    'tls:443:',
    'tls:*.example',
    'http:a b',
    'udp:5',
    'tcp:[::1%eth0]:5',
    'tls:443:a..b',
    `tls:${'a'.repeat(64)}`,
  ]) {
    isRefused(() => parseRouteKey(text))
  }
  for (const name of ['a\nb', 'a;b', 'a b', 'a"', "a'", 'a#b', 'a/b', 'a\\b', ''])
    isRefused(() => routeKey({ kind: 'http', host: name }))
})

test('a port is of one kind', () => {
  const others = ['tcp:5432', 'tcp:127.0.0.1:6000', 'tls:443:a.example', 'http:80:a.example'].map(parseRouteKey)
  for (const fine of ['tcp:5432', 'tls:443:b.example', 'http:80:b.example', 'tcp:127.0.0.2:6000', 'tcp:1']) {
    checkConflict(parseRouteKey(fine), others)
  }
  for (const bad of ['tls:5432:a', 'tcp:443', 'http:443:a', 'tcp:6000', 'tcp:0.0.0.0:6000', 'tcp:127.0.0.1:5432']) {
    isRefused(() => checkConflict(parseRouteKey(bad), others))
  }
})

const slot = (port: number, host = 'db'): Slot => ({ target: { host, port }, ip: '10.0.0.1' })

test('a target has a slot of its own, and only unused ones are given to another', () => {
  const bare = addSlots({ address: parseRouteKey('tcp:1'), slots: [], current: undefined, heldUntil: 5 })
  let route = bare
  for (const port of [1, 2, 3, 4]) route = pointTo(route, findSlot(route, slot(port)) as number, slot(port))
  assert.is(route.current, 3)
  assert.is(route.heldUntil, undefined)
  assert.is(findSlot(route, slot(2)), 1)
  assert.is(findSlot(route, slot(5)), undefined)
  assert.is(
    findSlot(
      freeSlots(route, (i) => i !== 2),
      slot(5),
    ),
    2,
  )
  assert.is(
    findSlot(
      freeSlots(route, () => true),
      slot(5),
    ),
    undefined,
  )
  assert.is(
    findSlot(
      freeSlots(pointTo(route, 0, slot(1)), () => false),
      slot(5),
    ),
    1,
  )
})

test('a table is read as it was written', () => {
  const route = pointTo(
    addSlots({ address: parseRouteKey('tls:443:a.example'), slots: [], current: undefined, heldUntil: 1 }),
    2,
    slot(5),
  )
  const bare = addSlots({
    address: parseRouteKey('tcp:[::1]:5432'),
    slots: [],
    current: undefined,
    heldUntil: 1_700_000_000_000,
  })
  const table = new Map([route, bare].map((each) => [routeKey(each.address), each]))
  assert.equal(parseTable(formatTable(table)), table)
  for (const damaged of [
    'x',
    'route tcp:1 4 1 -',
    'slot tcp:1 1 1.1.1.1 5 a',
    'route tcp:1 4 - -\nslot tcp:1 5 1.1.1.1 5 a',
    'route tcp:1 4 - -\nslot tcp:1 1 one 5 a',
  ]) {
    assert.throws(
      () => parseTable(damaged),
      (error: unknown) => error instanceof RoutingError || error instanceof ArgumentError,
    )
  }
  const config = formatConfig(table, { ...routerSettings({}), directory: '/run/it', own: true })
  assert.match(config, 'use_backend flocker:tls:443:a.example if { req.ssl_sni -i a.example }')
  assert.match(config, 'bind [::1]:5432')
  isRefused(() => formatConfig(table, { ...routerSettings({}), directory: "/run/'it", own: true }))
})

test('what HAProxy says is understood', () => {
  const text = `#<PID>          <type>          <reloads>       <uptime>        <version>
28064           master          2 [failed: 1]   0d00h00m00s     2.6.12-1+deb12u4
# workers
28110           worker          0               0d00h00m00s     2.6.12-1+deb12u4
# old workers
28100           worker          1               0d00h00m00s     2.6.12-1+deb12u4
# programs
`
  assert.equal(parseWorkers(text), { master: 28064, current: 28110, old: [28100], failed: 1 })
  assert.throws(
    () => parseWorkers('Unknown command'),
    (error: unknown) => error instanceof RoutingError,
  )
  const line =
    '0x5613990c4250: proto=tcpv4 src=127.0.0.1:34856 fe=flocker:tcp:1:front be=flocker:tcp:1 srv=s2 ts=00 epoch=0'
  assert.equal(parseSessions(`${line}\nother`), [{ id: '0x5613990c4250', backend: 'flocker:tcp:1', server: 's2' }])
})

test.run()
