/** A cluster as a Compose file describes it: on two hosts with Docker, and their agents. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Host } from '../lab/index.js'
import { agentPort, root } from '../lab/pair.js'
import { Stage } from './stage.js'

interface Shape {
  dbHost?: string
  webHost?: string
  quota?: string
  greeting?: string
  dbRoute?: string
  /** More services. */
  more?: string
}

const compose = ({
  dbHost = 'alpha',
  webHost = 'beta',
  quota = '1G',
  greeting = 'hello',
  dbRoute = 'tcp:15432',
  more = '',
}: Shape): string => `
services:
  db:
    image: localhost/lab/postgres:15
    environment: { POSTGRES_HOST_AUTH_METHOD: "\${AUTH:?how clients are known}" }
    ports: ["5432:5432"]
    volumes: ["pgdata:/var/lib/postgresql/data"]
    healthcheck: { test: [CMD, pg_isready, -q, -h, 127.0.0.1, -U, postgres] }
    restart: always
    stop_signal: SIGINT
    x-flocker: { host: ${dbHost}, routes: [{ address: "${dbRoute}", port: 5432 }] }
  web:
    image: localhost/lab/busybox:1
    command: [sh, -c, 'mkdir /www && echo "$$GREETING" >/www/index.html && exec httpd -f -p 80 -h /www']
    environment: { GREETING: ${greeting} }
    ports: ["8080:80"]
    restart: always
    stop_grace_period: 1s
    x-flocker: { host: ${webHost}, routes: ["tcp:18080"], ready: { http: 80, path: /index.html } }
${more}
volumes:
  pgdata: { x-flocker: { quota: ${quota}, properties: { recordsize: 8K } } }
`

interface Deployed {
  status: number | null
  converged: boolean
  blocked: string[]
  unknown: string[]
  /** `STATE KIND WHAT`. */
  did: string[]
  errors: string[]
}

class Operator {
  constructor(readonly stage: Stage) {}

  /** Deploys from alpha, through the agents. */
  async deploy(shape: Shape, ...flags: string[]): Promise<Deployed> {
    const alpha = this.stage.host('alpha')
    await alpha.writeFile('/etc/compose.yaml', compose(shape))
    const peers = this.stage.lab.hosts.flatMap(({ name }) => ['--peer', `${name}:${agentPort}`])
    const options = { check: false, env: { AUTH: 'trust' } }
    const done = await this.stage.attempt(alpha, options, 'deploy', '/etc/compose.yaml', '--json', ...peers, ...flags)
    const said = done.stdout.trim()
    assert.ok(said.startsWith('{'), `${said}\n${done.stderr}`)
    return { status: done.status, ...outline(JSON.parse(said)) }
  }

  /** Ids of containers by name and host. */
  async containers(): Promise<Record<string, string>> {
    const found: Record<string, string> = {}
    for (const [name, engine] of this.stage.engines) {
      const { stdout } = await engine.docker(['ps', '--format', '{{.Names}} {{.ID}}'])
      for (const line of stdout.split('\n').filter((each) => each !== '')) {
        const [container = '', id = ''] = line.split(' ')
        found[`${container} on ${name}`] = id
      }
    }
    return found
  }

  async sql(text: string): Promise<string> {
    const name = Object.keys(await this.containers()).find((each) => each.startsWith('db '))
    const engine = this.stage.engines.get(name?.split(' ').at(-1) ?? '')
    const psql = ['exec', 'db', 'psql', '-h', '127.0.0.1', '-U', 'postgres', '-At', '-c', text]
    return (await engine?.docker(psql))?.stdout.trim() ?? ''
  }
}

interface Action {
  kind: string
  volume?: string | { name: string }
  application?: string | { name: string }
}

function outline(said: {
  converged: boolean
  plan: { blocked: { code: string; application?: string }[]; unknown: { host: string; why: string }[] }
  actions: { state: string; action: Action; error?: { message: string } }[]
}): Omit<Deployed, 'status'> {
  const nameOf = (what: string | { name: string } = ''): string => (typeof what === 'string' ? what : what.name)
  return {
    converged: said.converged,
    blocked: said.plan.blocked.map(({ code, application }) => `${code} ${application}`),
    unknown: said.plan.unknown.map(({ host }) => host),
    did: said.actions.map(
      ({ state, action }) => `${state} ${action.kind} ${nameOf(action.application ?? action.volume)}`,
    ),
    errors: [
      ...said.plan.unknown.map(({ why }) => why),
      ...said.actions.flatMap(({ error }) => (error === undefined ? [] : [error.message])),
    ],
  }
}

const get = async (host: Host, port: number): Promise<string> => {
  const script = 'const r = await fetch(process.argv[1]).catch(() => undefined); console.log(r ? await r.text() : "")'
  const argv = ['node', '--input-type=module', '-e', script, `http://127.0.0.1:${port}/index.html`]
  return (await host.run(argv)).stdout.trim()
}

async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000; ; ) {
    if (await holds()) return
    if (Date.now() > deadline) throw new Error(`not within a minute: ${what}`)
  }
}

const good = (deployed: Deployed, did: string[]): void => {
  assert.equal(deployed, { status: 0, converged: true, blocked: [], unknown: [], did, errors: [] })
}

test('a cluster becomes what its file says, and what is right is left alone', async () => {
  await using stage = await Stage.open()
  try {
    await story(stage)
  } catch (error) {
    console.log(stage.lastWords())
    throw error
  }
})

async function story(stage: Stage): Promise<void> {
  const operator = new Operator(stage)
  const [alpha, beta, front] = ['alpha', 'beta', 'front'].map((name) => stage.host(name)) as [Host, Host, Host]

  // Of a host that can't be asked nothing is known: an empty volume in place of the one that it may have would be the end of that one.
  await stage.stopAgent('beta')
  const early = await operator.deploy({})
  assert.is(early.status, 1)
  assert.equal(early.blocked.sort(), ['unknown-host db', 'unknown-host web'])
  assert.equal([early.unknown, early.did], [['beta'], []])
  assert.is((await alpha.run(['zfs', 'list', `${root(alpha)}/pgdata`], { check: false })).status, 1)
  await stage.startAgent('beta')

  const shown = await operator.deploy({}, '--dry-run')
  assert.equal([shown.status, shown.did], [0, []])
  assert.equal(await operator.containers(), {})
  const first = await operator.deploy({})
  good({ ...first, did: first.did.sort() }, ['done create pgdata', 'done start db', 'done start web'])
  const containers = await operator.containers()
  assert.equal(Object.keys(containers).sort(), ['db on alpha', 'web on beta'])
  await eventually('the front leads to web', async () => (await get(front, 18_080)) === 'hello')
  const properties = ['get', '-Hpo', 'value', 'recordsize,refquota', `${root(alpha)}/pgdata`]
  assert.is((await alpha.run(['zfs', ...properties])).stdout, '8192\n1073741824\n')
  await operator.sql('create table kept (n int); insert into kept select generate_series(1, 1000)')

  good(await operator.deploy({}), [])
  good(await operator.deploy({ quota: '2G' }), ['done resize pgdata'])
  assert.is((await alpha.run(['zfs', ...properties])).stdout, '8192\n2147483648\n')
  good(await operator.deploy({ quota: '2G', dbRoute: 'tcp:15433' }), ['done routes db'])
  good(await operator.deploy({ quota: '2G', dbRoute: 'tcp:15433' }), [])
  assert.equal(await operator.containers(), containers, 'nothing of that has touched a container')
  const listens = async (port: number): Promise<boolean> =>
    (await front.run(['pg_isready', '-q', '-h', '127.0.0.1', '-p', `${port}`], { check: false })).status === 0
  await eventually('the front leads to db by its new address', () => listens(15_433))
  assert.not(await listens(15_432), 'and by the old one no more')

  const state = { quota: '2G', dbRoute: 'tcp:15433', greeting: 'hi' }
  good(await operator.deploy(state), ['done replace web'])
  assert.is((await operator.containers())['db on alpha'], containers['db on alpha'])
  await eventually('web is the new one', async () => (await get(front, 18_080)) === 'hi')

  // Its description changes in the same step.
  const moved = { ...state, dbHost: 'beta', dbRoute: 'tcp:15432' }
  good(await operator.deploy(moved), ['done move db'])
  assert.equal(Object.keys(await operator.containers()).sort(), ['db on beta', 'web on beta'])
  assert.is(await operator.sql('select count(*) from kept'), '1000')
  await eventually('the front leads to db where it is now', () => listens(15_432))
  good(await operator.deploy(moved), [])

  // The owner of the volume is away: neither the volume nor the application is made anywhere else.
  await stage.stopAgent('beta')
  const away = await operator.deploy({ ...moved, dbHost: 'alpha', webHost: 'alpha' })
  assert.is(away.status, 1)
  assert.equal(away.blocked.sort(), ['unknown-host db', 'unknown-host web'])
  assert.equal(
    [away.unknown, away.did],
    [[`beta:${agentPort}`], []],
    'not in the file any more, and missed all the same',
  )
  assert.equal(Object.keys(await operator.containers()).sort(), ['db on beta', 'web on beta'])
  assert.is((await alpha.run(['zfs', 'get', '-Ho', 'value', 'readonly', `${root(alpha)}/pgdata`])).stdout, 'on\n')
  await stage.startAgent('beta')

  // One that does not run is moved by its volume alone.
  await stage.flocker(beta, 'containers', 'stop', 'db', '--engine', '/run/docker.sock')
  const back = { ...moved, dbHost: 'alpha' }
  good(await operator.deploy(back), ['done move db'])
  assert.is(await operator.sql('select count(*) from kept'), '1000')

  const more = '  late:\n    image: localhost/lab/none:1\n    x-flocker: { host: beta }\n'
  const failed = await operator.deploy({ ...back, webHost: 'alpha', more })
  assert.equal([failed.status, failed.converged], [1, false])
  assert.equal(failed.did.sort(), ['done move web', 'failed start late'], 'what has failed keeps nothing else back')
  assert.match(failed.errors[0] ?? '', /no image|has the image/)

  // What is not in the file stays, unless the others are to go.
  await alpha.writeFile(
    '/etc/other.json',
    JSON.stringify({ name: 'other', image: 'localhost/lab/busybox:1', command: ['sleep', '9999'], stopSeconds: 1 }),
  )
  await stage.flocker(alpha, 'containers', 'start', '/etc/other.json', '--engine', '/run/docker.sock')
  good(await operator.deploy({ ...back, webHost: 'alpha' }), [])
  good(await operator.deploy({ ...back, webHost: 'alpha' }, '--remove-others'), ['done remove other'])
  assert.equal(Object.keys(await operator.containers()).sort(), ['db on alpha', 'web on alpha'])
}

test.run()
