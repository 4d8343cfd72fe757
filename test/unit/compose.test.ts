// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how Compose writes variables
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Application } from '../../src/containers/application.js'
import { readCompose } from '../../src/containers/compose/index.js'
import { InterpolationProblem, interpolate } from '../../src/containers/compose/interpolate.js'
import { parseByteValue, parseDuration } from '../../src/containers/compose/quantities.js'
import { splitWords } from '../../src/containers/compose/words.js'
import { ArgumentError } from '../../src/errors.js'
import { damage, generator } from './fuzzing.js'

const full = `version: "3.8"
name: shop
x-common: &common
  x-flocker: &place { host: alpha }
  restart: unless-stopped
x-ignored: { any: '\${NOT_SET_AND_NOT_USED}' }
services:
  db:
    <<: *common
    image: postgres:\${PG:-15}
    command: postgres -c 'shared_buffers=256 MB' -c fsync=on
    environment:
      POSTGRES_PASSWORD: \${PASSWORD:?needs one}
      PRICE: 5$$
      PORT: 5432
      FROM_OUTSIDE:
      x-odd: "kept"
    ports:
      - "15432:5432"
      - target: 8008
        published: "8009"
        protocol: tcp
    volumes:
      - pgdata:/var/lib/postgresql/data
      - { type: volume, source: config, target: /etc/postgres, read_only: true }
    healthcheck:
      test: ["CMD", "pg_isready", "-U", "postgres"]
      interval: 500ms
      timeout: 1m30s
    deploy:
      replicas: 1
      resources: { limits: { cpus: "1.5", memory: 512M } }
    stop_signal: SIGINT
    stop_grace_period: 2m
    user: "999:999"
    working_dir: /var/lib/postgresql
    x-other: { ignored: true }
    x-flocker:
      <<: *place
      routes:
        - tcp:5432
        - { address: 'tls:443:db.example', port: 8008 }
      beforeStop: [psql, -U, postgres, -c, CHECKPOINT]
  web:
    image: web
    entrypoint: ["/bin/sh", "-c"]
    command: ["exec web"]
    environment: ["A=1=2", FROM_OUTSIDE]
    ports: ["3000-3001"]
    network_mode: bridge
    mem_limit: 64m
    cpus: 0.5
    x-flocker:
      host: beta
      ready: { http: 3000, path: /ready, status: 204, interval: 1s }
      links: [{ alias: db, port: 5432, routePort: 15432 }, { alias: mail, port: 25 }]
      routes: [{ address: 'http:shop.example', port: 3001 }]
volumes:
  pgdata:
    name: postgres/data
    x-flocker: { quota: 20G, properties: { recordsize: 16K }, metadata: { team: shop } }
  config:
    external: true
`
const environment = { PASSWORD: 'secret', FROM_OUTSIDE: 'yes' }

test('a whole file', () => {
  const { applications, volumes, notes } = readCompose(full, { environment })
  const db: Application = {
    name: 'db',
    image: 'postgres:15',
    command: ['postgres', '-c', 'shared_buffers=256 MB', '-c', 'fsync=on'],
    environment: { POSTGRES_PASSWORD: 'secret', PRICE: '5$', PORT: '5432', FROM_OUTSIDE: 'yes', 'x-odd': 'kept' },
    user: '999:999',
    workingDirectory: '/var/lib/postgresql',
    ports: [
      { container: 5432, host: 15432 },
      { container: 8008, host: 8009 },
    ],
    volumes: [
      { volume: 'postgres/data', path: '/var/lib/postgresql/data' },
      { volume: 'config', path: '/etc/postgres', readOnly: true },
    ],
    cpus: 1.5,
    memory: 512 * 1024 * 1024,
    restart: 'always',
    health: {
      kind: 'container',
      command: ['pg_isready', '-U', 'postgres'],
      intervalMilliseconds: 500,
      timeoutMilliseconds: 90_000,
    },
    stopSignal: 'SIGINT',
    stopSeconds: 120,
    beforeStop: ['psql', '-U', 'postgres', '-c', 'CHECKPOINT'],
    routes: [
      { address: 'tcp:5432', port: 5432 },
      { address: 'tls:443:db.example', port: 8008 },
    ],
  }
  const web: Application = {
    name: 'web',
    image: 'web',
    entrypoint: ['/bin/sh', '-c'],
    command: ['exec web'],
    environment: { A: '1=2', FROM_OUTSIDE: 'yes' },
    network: 'bridge',
    ports: [
      { container: 3000, host: 3000 },
      { container: 3001, host: 3001 },
    ],
    links: [
      { alias: 'db', port: 5432, routePort: 15432 },
      { alias: 'mail', port: 25, routePort: 25 },
    ],
    cpus: 0.5,
    memory: 64 * 1024 * 1024,
    restart: 'no',
    health: { kind: 'http', port: 3000, path: '/ready', status: 204, intervalMilliseconds: 1000 },
    routes: [{ address: 'http:shop.example', port: 3001 }],
  }
  assert.equal(applications, [
    { application: db, host: 'alpha' },
    { application: web, host: 'beta' },
  ])
  assert.equal(volumes, [
    { name: 'postgres/data', quota: 20n << 30n, properties: { recordsize: '16K' }, metadata: { team: 'shop' } },
    { name: 'config', external: true },
  ])
  assert.equal(notes, ['services.db.restart: unless-stopped is taken as always'])
})

function problemsOf(text: string, variables: Record<string, string> = {}): string[] {
  try {
    readCompose(text, { environment: variables, file: 'f' })
  } catch (error) {
    if (error instanceof ArgumentError) return error.message.split('\n')
    throw error
  }
  return []
}

/** A service with more lines; the first of them is the fifth of the file. */
const service = (...lines: string[]): string =>
  ['services:', '  a:', '    image: i', '    x-flocker: { host: h }', ...lines.map((line) => `    ${line}`)].join('\n')

test('whatever is not supported is named with its line', () => {
  const found = problemsOf(`services:
  db:
    image: postgres:\${MISSING}
    build: .
    enviroment: {}
    depends_on: [web]
    networks: [back]
    env_file: .env
    ports: ["127.0.0.1:1:2", "53:53/udp", "8000-8009:80", "0:1", 5432]
    volumes: [/host:/data, /anonymous, "pg:/x:z", "pg:/y", "other:/z", { type: tmpfs, target: /t }]
    healthcheck: { test: [CMD-SHELL, "a"], retries: 5, start_period: 1s, interval: often }
    deploy: { replicas: 2, resources: { reservations: { cpus: 1 } }, restart_policy: { condition: any, delay: 1s } }
    restart: on-failure:3
    stop_grace_period: 1500ms
    network_mode: service:web
    command: a && b
    mem_limit: lots
    shm_size: 1g
    x-flocker: { where: alpha, routes: [tcp:9, { port: 1 }] }
  Bad Name: { image: i, x-flocker: { host: h } }
networks: {}
volumes:
  pg: { driver: nfs, x-flocker: { size: 1G, quota: none } }
  idle: {}
secrets: {}
x-flocker: { host: alpha }
nonsense: 1
`)
  const expected: [number, string, RegExp][] = [
    [3, 'services.db.image', /needs the variable MISSING/],
    [4, 'services.db.build', /not supported: images are not built/],
    [5, 'services.db.enviroment', /unknown/],
    [6, 'services.db.depends_on', /not supported/],
    [7, 'services.db.networks', /not supported/],
    [8, 'services.db.env_file', /not supported/],
    [9, 'services.db.ports[0]', /127\.0\.0\.1/],
    [9, 'services.db.ports[1]', /udp/],
    [9, 'services.db.ports[2]', /10 ports of the host for 1/],
    [9, 'services.db.ports[3]', /no port/],
    [10, 'services.db.volumes[0]', /in place of \/host/],
    [10, 'services.db.volumes[1]', /without a name/],
    [10, 'services.db.volumes[2]', /option "z"/],
    [10, 'services.db.volumes[4]', /not among the volumes/],
    [10, 'services.db.volumes[5].type', /tmpfs/],
    [11, 'services.db.healthcheck.retries', /not supported/],
    [11, 'services.db.healthcheck.start_period', /not supported/],
    [11, 'services.db.healthcheck.interval', /a duration/],
    [12, 'services.db.deploy.replicas', /runs once/],
    [12, 'services.db.deploy.resources.reservations', /not supported/],
    [12, 'services.db.deploy.restart_policy.delay', /not supported/],
    [13, 'services.db.restart', /on-failure:3/],
    [14, 'services.db.stop_grace_period', /whole seconds/],
    [15, 'services.db.network_mode', /service:web/],
    [16, 'services.db.command', /"&".*list of words/],
    [17, 'services.db.mem_limit', /a size/],
    [18, 'services.db.shm_size', /not supported/],
    [19, 'services.db.x-flocker.where', /not supported/],
    [19, 'services.db.x-flocker.routes[1]', /needs an address/],
    [2, 'services.db', /needs the host/],
    [20, 'services.Bad Name', /lower-case/],
    [21, 'networks', /not supported/],
    [23, 'volumes.pg.driver', /not supported/],
    [23, 'volumes.pg.x-flocker.size', /say quota/],
    [23, 'volumes.pg.x-flocker.quota', /a size/],
    [24, 'volumes.idle', /no service uses it/],
    [25, 'secrets', /not supported/],
    [26, 'x-flocker', /belongs into a service/],
    [27, 'nonsense', /not supported/],
  ]
  for (const [line, path, message] of expected) {
    const at = found.filter((each) => each.startsWith(`f:${line}: ${path}: `))
    assert.ok(
      at.some((each) => message.test(each)),
      `${line} ${path} ${message}\n${found.join('\n')}`,
    )
  }
  const lines = found.map((each) => Number(each.split(':')[1]))
  assert.equal(
    lines,
    lines.toSorted((a, b) => a - b),
    'in the order of the file',
  )
})

test('what applications have to do with each other is told at its place', () => {
  const text = `services:
  a: { image: i, ports: ["80"], volumes: ["v:/v"], x-flocker: { host: h, routes: ["tcp:80"] } }
  b:
    image: i
    ports: ["80:81"]
    x-flocker: { host: h, routes: ["tcp:80"] }
  c:
    image: i
    volumes: ["v:/v"]
    x-flocker: { host: other }
volumes: { v: }
`
  assert.equal(problemsOf(text), [
    'f:5: services.b.ports: the port 80 of h is that of a too',
    'f:6: services.b.x-flocker: the address tcp:80 is that of a too',
    'f:9: services.c.volumes: v is used on h by a, and has one owner',
  ])
})

test('YAML: anchors, merges, and what is none', () => {
  assert.match(problemsOf('services: &a\n  x: *a\n').join(), /an alias of what it is in/)
  assert.match(problemsOf('a: [').join(), /f:1: not the YAML/)
  assert.match(problemsOf('a: 1\n---\nb: 1').join(), /f:2: a second document/)
  assert.match(problemsOf(service('image: j')).join(), /f:5: services.a.image: is there twice/)
  assert.match(problemsOf(service('command: !reset null')).join(), /f:5: not the YAML.*!reset/)
  assert.match(problemsOf(service('command: *nowhere')).join(), /f:5: /)
  for (const form of ['{ __proto__: x }', '[__proto__=x]']) {
    assert.match(problemsOf(service(`environment: ${form}`)).join(), /f:5: .*__proto__: not supported as a name/)
  }
  assert.match(problemsOf('').join(), /has no services/)
  assert.match(problemsOf('[]').join(), /f:1: must be a map/)
  assert.match(
    problemsOf(service('environment: { A: 1.10 }')).join(),
    /f:5: services.a.environment.A: 1.10 is read in more/,
  )
  assert.match(problemsOf(service('environment: { A: }')).join(), /A has no value here/)
})

test('input is bounded', () => {
  assert.match(problemsOf(`a: "${'x'.repeat(300_000)}"`).join(), /larger than/)
  for (const open of ['[', '{', '- ', '? ', '[a: '])
    assert.match(problemsOf(`a:\n ${open.repeat(20_000)}`).join(), /f:2: nested too deep/)
  const bomb = ['x-0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]']
  for (let n = 1; n < 10; n++)
    bomb.push(
      `x-${n}: &a${n} [${Array(10)
        .fill(`*a${n - 1}`)
        .join(', ')}]`,
    )
  assert.match(problemsOf(`${bomb.join('\n')}\nservices: *a9\n`).join(), /too many values/)
  const long = `x-long: &long "${'x'.repeat(200_000)}"\nservices: [${Array(100).fill('*long').join(', ')}]`
  assert.match(problemsOf(long).join(), /too much text/)
})

test('interpolation', () => {
  const variables = { SET: 'v', EMPTY: '', OTHER: 'o' }
  const cases: [string, string | RegExp][] = [
    ['$SET/${SET}', 'v/v'],
    ['$$SET $${SET}', '$SET ${SET}'],
    ['${EMPTY}', ''],
    ['${EMPTY:-d}${EMPTY-d}', 'd'],
    ['${NONE:-d}${NONE-e}${NONE:-}', 'de'],
    ['${NONE:-${OTHER}}${NONE-${NONE:-x}}', 'ox'],
    ['${SET:-${NONE}}', 'v'],
    ['${SET:+yes}${NONE:+no}${EMPTY:+no}${EMPTY+yes}', 'yesyes'],
    ['${SET:?m}${EMPTY?m}', 'v'],
    ['a$', /no variable's name/],
    ['${}', /no variable's name/],
    ['${SET', /without its/],
    ['${SET/a/b}', /not supported/],
    ['$NONE', /NONE, which is not set/],
    ['${NONE}', /NONE, which is not set/],
    ['${NONE:-$NONE}', /NONE, which is not set/],
    ['${EMPTY:?it is empty}', /EMPTY: it is empty/],
    ['${NONE?$OTHER}', /NONE: o/],
    ['$toString', /not set/],
    ['${NONE:-'.repeat(50), /too deep/],
  ]
  for (const [text, expected] of cases) {
    try {
      assert.is(interpolate(text, variables), expected, text)
    } catch (error) {
      if (!(error instanceof InterpolationProblem) || typeof expected === 'string') throw error
      assert.match(error.message, expected, text)
    }
  }
})

test('words', () => {
  const cases: [string, string[] | RegExp][] = [
    ['a  b\tc', ['a', 'b', 'c']],
    [`sh -c 'echo "$X"; y'`, ['sh', '-c', 'echo "$X"; y']],
    [`a"b c"'d'e\\ f ""`, ['ab cde f', '']],
    ['"a\\"b\\\\"', ['a"b\\']],
    ['"a\\n"', /two ways/],
    ['a "b', /not closed/],
    ['a \\', /backslash/],
    ['a > b', /no shell/],
    ['a *', /no shell/],
  ]
  for (const [text, expected] of cases) {
    const words = splitWords(text)
    if (Array.isArray(words)) assert.equal(words, expected, text)
    else assert.match(words.problem, expected as RegExp, text)
  }
})

test('durations and sizes', () => {
  assert.is(parseDuration('1h1m1.5s250ms'), 3_661_750)
  for (const wrong of ['', '5', '1d', '-1s', '1 s', 's']) assert.is(parseDuration(wrong), undefined, wrong)
  assert.is(parseByteValue('1.5k'), 1536)
  assert.is(parseByteValue('2GB'), 2 * 1024 ** 3)
  assert.is(parseByteValue('10b'), 10)
  for (const wrong of ['', '1t', '-1', '1 m', 'b', '99999999g']) assert.is(parseByteValue(wrong), undefined, wrong)
})

test('health of other forms', () => {
  const health = (text: string): unknown =>
    readCompose(service(`healthcheck: ${text}`), { environment: {} }).applications[0]?.application.health
  assert.equal(health('{ test: "a | b" }'), { kind: 'container', command: ['/bin/sh', '-c', 'a | b'] })
  assert.equal(health('{ test: [CMD-SHELL, "a | b"] }'), { kind: 'container', command: ['/bin/sh', '-c', 'a | b'] })
  assert.equal(health('{}'), { kind: 'container' }, "the image's own")
  assert.is(health('{ test: [NONE] }'), undefined)
  assert.is(health('{ disable: true }'), undefined)
  assert.match(problemsOf(service('healthcheck: { test: [CMD] }')).join(), /healthcheck.test: must be/)
})

test('the example of the documentation', () => {
  const page = readFileSync(join(__dirname, '../../../docs/deploy.md'), 'utf8')
  const example = /```yaml\n(.*?)```/s.exec(page)?.[1] ?? ''
  const { applications, notes } = readCompose(example, { environment: { POSTGRES_PASSWORD: 'secret' } })
  assert.equal(
    applications.map(({ application, host }) => [application.name, host, application.routes]),
    [
      ['db', 'alpha', [{ address: 'tcp:15432', port: 5432 }]],
      ['web', 'beta', [{ address: 'http:shop.example', port: 8080 }]],
    ],
  )
  assert.equal(notes, ['services.web.restart: unless-stopped is taken as always'])
})

test('limits are said in two ways', () => {
  const limited = (...lines: string[]): string[] => problemsOf(service(...lines))
  assert.equal(limited('mem_limit: 64m', 'deploy: { resources: { limits: { memory: 65536k } } }'), [])
  assert.match(limited('cpus: 1', 'deploy: { resources: { limits: { cpus: 2 } } }').join(), /limits.cpus: says 2, and/)
  assert.equal(limited('mem_limit: 1m'), ['f:5: services.a.mem_limit: at least 6 MiB'])
  assert.equal(limited('deploy: { resources: { limits: { memory: 1m } } }'), [
    'f:2: services.a: memory: at least 6 MiB',
  ])
})

test('restart is said in two ways', () => {
  const restart = (...lines: string[]): unknown =>
    readCompose(service(...lines), { environment: {} }).applications[0]?.application.restart
  assert.is(restart(), 'no', 'as the specification has it')
  assert.is(restart('deploy: { restart_policy: {} }'), 'always')
  assert.is(restart('deploy: { restart_policy: { condition: on-failure } }', 'restart: on-failure'), 'on-failure')
  assert.match(
    problemsOf(service('deploy: { restart_policy: { condition: none } }', 'restart: always')).join(),
    /f:5: services.a.deploy.restart_policy.condition: says no, and the service itself always/,
  )
})

/** Whatever the text, it is read or refused with an ArgumentError. */
test('damaged files are refused', () => {
  const inputs = Number(process.env.FLOCKER_ZFS_FUZZ ?? 200)
  for (let seed = 1; seed <= inputs; seed++) {
    const text = damage(Buffer.from(full), generator(seed)).toString()
    for (const each of problemsOf(text, environment))
      assert.match(each, /^(f:\d+: |and \d+ more$)/, `FLOCKER_ZFS_FUZZ seed ${seed}: ${each}`)
  }
})

test.run()
