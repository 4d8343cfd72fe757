/** What is decided about containers without an engine. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Application, parseApplication, primaryVolume } from '../../src/containers/application.js'
import { createOptions } from '../../src/containers/create-options.js'
import { decodeDesired, encodeDesired } from '../../src/containers/desired.js'
import { applicationOf, epochOf, labelsFor } from '../../src/containers/labels.js'
import { countEnd, pauseAfter, verdictOn } from '../../src/containers/restart-rules.js'
import { FlockerError } from '../../src/errors.js'

const app: Application = { name: 'db', image: 'postgres:15' }

function refused(value: unknown): string {
  try {
    parseApplication(value)
    return 'taken'
  } catch (error) {
    assert.instance(error, FlockerError)
    assert.is((error as FlockerError).code, 'INVALID_ARGUMENT')
    return (error as Error).message
  }
}

test('a description says what is wrong with it', () => {
  assert.equal(parseApplication(app), app)
  const ports = [{ container: 5432 }]
  for (const [wrong, about] of [
    [{ image: 'x' }, 'name'],
    [{ ...app, name: 'Db' }, 'lower-case'],
    [{ ...app, name: '-db' }, 'lower-case'],
    [{ ...app, image: 'a b' }, 'image'],
    [{ ...app, memory: 1024 }, '6 MiB'],
    [{ ...app, environment: { 'A=B': 'c' } }, 'environment'],
    [{ ...app, what: 1 }, 'what'],
    [{ ...app, routes: [{ address: 'tcp:1', port: 5432 }] }, '5432 is not one of its ports'],
    [{ ...app, health: { kind: 'tcp', port: 80 }, ports }, '80 is not one of its ports'],
    [{ ...app, ports: [...ports, { container: 1, host: 5432 }] }, 'same port of the host'],
    [{ ...app, network: 'host', ports: [{ container: 1, host: 2 }] }, 'network "host"'],
    [{ ...app, volumes: [{ volume: 'a', path: 'b' }] }, 'volumes'],
    [
      {
        ...app,
        volumes: [
          { volume: 'a', path: '/b' },
          { volume: 'c', path: '/b' },
        ],
      },
      'same path',
    ],
    [
      {
        ...app,
        volumes: [
          { volume: 'a', path: '/b' },
          { volume: 'a', path: '/c' },
        ],
      },
      'named twice',
    ],
    [{ ...app, stopSignal: 'rm -rf' }, 'stopSignal'],
    [undefined, 'it'],
  ] as const) {
    assert.match(refused(wrong), about, JSON.stringify(wrong))
  }
})

test('the volume whose owner runs it is the first that is written to', () => {
  assert.is(primaryVolume(app), undefined)
  const config = { volume: 'config', path: '/etc/db', readOnly: true }
  assert.is(primaryVolume({ ...app, volumes: [config] }), 'config')
  assert.is(primaryVolume({ ...app, volumes: [config, { volume: 'data', path: '/data' }] }), 'data')
})

test('the engine never starts by itself what has a volume', () => {
  const place = { host: 'alpha', epoch: 7n, paths: new Map([['data', '/flocker/data']]) }
  const policy = (more: Partial<Application>): string | undefined =>
    createOptions({ ...app, ...more }, place).HostConfig?.RestartPolicy?.Name
  const volumes = [{ volume: 'data', path: '/data' }]
  assert.equal(
    [policy({ volumes }), policy({ volumes, restart: 'always' }), policy({}), policy({ restart: 'on-failure' })],
    ['no', 'no', 'unless-stopped', 'on-failure'],
  )
  const { HostConfig, Labels } = createOptions({ ...app, volumes }, place)
  assert.equal(HostConfig?.Mounts, [{ Type: 'bind', Source: '/flocker/data', Target: '/data', ReadOnly: false }])
  assert.equal(applicationOf(Labels, 'alpha'), { ...app, volumes })
  assert.is(applicationOf(Labels, 'beta'), undefined, 'it is that of another host on the same engine')
  assert.is(epochOf(Labels), 7n)
  assert.is(applicationOf({ ...labelsFor(app, 'alpha', 0n), 'flocker-zfs.application': '{' }, 'alpha'), undefined)
})

test('when a container that has ended is started again', () => {
  const ended = { state: 'exited', epoch: 3n, exitStatus: 0 } as const
  const kind = (...given: Parameters<typeof verdictOn>): string => verdictOn(...given).kind
  assert.is(kind(undefined, 'no', 3n, undefined, 0), 'start', 'it has never run')
  assert.is(kind({ ...ended, state: 'created' }, 'no', 3n, undefined, 0), 'start')
  assert.is(kind(ended, 'no', 3n, undefined, 0), 'stay')
  assert.is(kind(ended, 'on-failure', 3n, undefined, 0), 'stay')
  assert.is(kind({ ...ended, exitStatus: 1 }, 'on-failure', 3n, undefined, 0), 'start')
  assert.is(kind(ended, 'always', 3n, undefined, 0), 'start')
  assert.is(kind(ended, 'no', 4n, undefined, 0), 'start', 'it ended under an earlier ownership')
  assert.equal(verdictOn(ended, 'always', 3n, { count: 3, last: 1000 }, 1500), { kind: 'wait', milliseconds: 3500 })
  assert.equal([0, 1, 2, 7, 100].map(pauseAfter), [0, 1000, 2000, 60_000, 60_000])
})

test('ends soon after a start are counted once each, and forgotten after a sound run', () => {
  const at = (seconds: number): Date => new Date(seconds * 1000)
  const first = countEnd(undefined, { startedAt: at(0), endedAt: at(1) })
  assert.equal(first, { count: 1, last: 1000 })
  assert.equal(countEnd(first, { startedAt: at(0), endedAt: at(1) }), first)
  const second = countEnd(first, { startedAt: at(2), endedAt: at(3) })
  assert.is(second.count, 2)
  assert.is(countEnd(second, { startedAt: at(4), endedAt: at(20) }).count, 0)
})

test('what is kept in a volume is read back, and nothing else is believed', () => {
  const desired = { application: app, running: true, held: { host: 'alpha', process: 'boot 1 2' } }
  assert.equal(decodeDesired(encodeDesired(desired), 'tank/db'), desired)
  assert.throws(() => decodeDesired('{"running":true}', 'tank/db'), /not described/)
  assert.throws(() => decodeDesired('no JSON', 'tank/db'), /not described/)
  const long = { application: { ...app, environment: { A: 'x'.repeat(9000) } }, running: true }
  assert.throws(() => encodeDesired(long), /can hold 8191/)
})

test.run()
