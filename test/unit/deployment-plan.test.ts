import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Application } from '../../src/containers/application.js'
import { canonicalApplication, describeHash, differences, sameApplication } from '../../src/containers/canonical.js'
import { type ClusterDescription, parseCluster } from '../../src/containers/cluster.js'
import type {
  DeploymentAction,
  HostState,
  KnownHost,
  KnownVolume,
  RunningApplication,
} from '../../src/containers/deployment.js'
import { needsFirst } from '../../src/containers/deployment-claims.js'
import { type DeploymentOptions, planDeployment } from '../../src/containers/deployment-plan.js'
import { formatDeployment } from '../../src/containers/format-deployment.js'
import { ArgumentError } from '../../src/errors.js'
import { carryOut, randomCluster, randomWorld, shuffle, statesOf } from './deployment-worlds.js'
import { generator } from './fuzzing.js'

const db: Application = {
  name: 'db',
  image: 'postgres:15',
  ports: [{ container: 5432 }],
  volumes: [{ volume: 'data', path: '/data' }],
  routes: [{ address: 'tcp:15432', port: 5432 }],
}
const web: Application = { name: 'web', image: 'web', ports: [{ container: 80 }] }

const host = (name: string, rest: Partial<KnownHost> = {}): HostState => ({
  host: name,
  known: true,
  applications: [],
  volumes: [],
  foreign: [],
  ...rest,
})
const unknown = (name: string): HostState => ({ host: name, known: false, why: 'no answer' })
const runs = (description: Application, state: RunningApplication['state'] = 'running'): RunningApplication => ({
  name: description.name,
  description,
  state,
  ready: state === 'running',
})
const volume = (owner: string, rest: Partial<KnownVolume> = {}): KnownVolume => ({
  name: 'data',
  owner,
  epoch: 1n,
  size: undefined,
  served: true,
  ...rest,
})
const at = (place: string, ...applications: Application[]): ClusterDescription => ({
  applications: applications.map((application) => ({ application, host: place })),
})

/** What is to be done, as `phase kind what`, and what is blocked, as `code what`. */
function outline(cluster: ClusterDescription, hosts: HostState[], options?: DeploymentOptions): string[] {
  const plan = planDeployment(cluster, hosts, options)
  const actions = plan.phases.flatMap(({ name, actions }) =>
    actions.map((action) => {
      if (action.kind === 'create') return `${name}: create ${action.volume.name} on ${action.host}`
      if (action.kind === 'resize')
        return `${name}: resize ${action.volume} on ${action.host} ${action.from} -> ${action.to}`
      if (action.kind === 'remove') return `${name}: remove ${action.application} on ${action.host}`
      const to = action.kind === 'move' ? ` -> ${action.to} with ${action.volumes.join()}` : ''
      return `${name}: ${action.kind} ${action.application.name} on ${action.host}${to}`
    }),
  )
  return [
    ...actions,
    ...plan.blocked.map((each) => `blocked: ${each.code} ${each.application ?? each.volume}`),
    ...plan.left.map((each) => `left: ${each.application} on ${each.host}`),
    ...plan.unchanged.map((each) => `unchanged: ${each.application}`),
  ]
}

test('a new cluster', () => {
  assert.equal(outline(at('alpha', web, db), [host('alpha'), host('beta')]), [
    'volumes: create data on alpha',
    'starts: start db on alpha',
    'starts: start web on alpha',
  ])
})

test('what is right is left alone, ready or not', () => {
  const alpha = host('alpha', { applications: [runs(db), { ...runs(web), ready: false }], volumes: [volume('alpha')] })
  assert.equal(outline(at('alpha', db, web), [alpha]), ['unchanged: db', 'unchanged: web'])
  assert.equal(outline(at('alpha', db, web), [alpha, unknown('beta')]), ['unchanged: db', 'unchanged: web'])
})

test('an application moves, with its volume, replica or none', () => {
  const alpha = host('alpha', { applications: [runs(db), runs(web)], volumes: [volume('alpha')] })
  const moves = ['moves: move db on alpha -> beta with data', 'moves: move web on alpha -> beta with ']
  assert.equal(outline(at('beta', db, web), [alpha, host('beta')]), moves)
  assert.equal(
    outline(at('beta', db, web), [alpha, host('beta', { volumes: [volume('alpha', { served: false })] })]),
    moves,
  )
  assert.equal(
    outline(at('beta', db), [
      host('alpha', { applications: [runs(db, 'exited')], volumes: [volume('alpha')] }),
      host('beta'),
    ]),
    ['moves: move db on alpha -> beta with data'],
  )
})

test('a changed description replaces, and addresses alone are led elsewhere', () => {
  const alpha = host('alpha', { applications: [runs(db), runs(web)], volumes: [volume('alpha')] })
  const routes = [{ address: 'tls:db.example', port: 5432 }]
  const kindsOf = (...wanted: Application[]): string[][] =>
    planDeployment(at('alpha', ...wanted), [alpha]).phases.flatMap(({ actions }) =>
      actions.map(({ kind, why }) => [kind, why]),
    )
  assert.equal(kindsOf({ ...db, image: 'postgres:16', environment: { A: '1' } }, web), [
    ['replace', 'environment, image changed'],
  ])
  assert.equal(kindsOf({ ...db, routes }, web), [['routes', 'its addresses changed']])
  const without = { ...web, routes: [{ address: 'tcp:81', port: 80 }] }
  assert.equal(kindsOf(db, without), [['replace', 'routes changed']], 'only its container keeps what it is')
})

test('sizes', () => {
  const sized = (quota: string): ClusterDescription => ({ ...at('alpha', db), volumes: [{ name: 'data', quota }] })
  const alpha = (rest: Partial<KnownVolume>): HostState =>
    host('alpha', { applications: [runs(db)], volumes: [volume('alpha', rest)] })
  assert.equal(outline(sized('2K'), [alpha({})]), ['volumes: resize data on alpha undefined -> 2048', 'unchanged: db'])
  assert.equal(outline(sized('2K'), [alpha({ size: 2048n })]), ['unchanged: db'])
  assert.equal(outline(sized('2K'), [alpha({ size: 4096n, used: 2048n })]), [
    'volumes: resize data on alpha 4096 -> 2048',
    'unchanged: db',
  ])
  assert.equal(outline(sized('2K'), [alpha({ size: 4096n, used: 2049n })]), ['blocked: shrink data', 'unchanged: db'])
})

test('unknown hosts are unknown, never empty', () => {
  assert.equal(outline(at('alpha', db, web), [host('alpha'), unknown('beta')]), [
    'blocked: unknown-host db',
    'blocked: unknown-host web',
  ])
  assert.equal(outline(at('beta', web), [host('alpha'), unknown('beta')]), ['blocked: unknown-host web'])
  assert.equal(outline(at('gamma', web), [host('alpha')]), ['blocked: unknown-host web'], 'nobody has asked it')
  const replica = host('alpha', { volumes: [volume('beta')] })
  assert.equal(outline(at('alpha', db), [replica, unknown('beta')]), ['blocked: unknown-host db'])
  const exited = (rest: Partial<KnownVolume>): HostState =>
    host('alpha', { applications: [runs(db, 'exited')], volumes: [volume('alpha', rest)] })
  assert.equal(
    outline(at('alpha', db), [exited({}), unknown('beta')]),
    ['starts: start db on alpha'],
    'it is served here',
  )
  assert.equal(outline(at('alpha', db), [exited({ served: undefined }), unknown('beta')]), ['blocked: unknown-host db'])
})

test('where hosts disagree nothing is done', () => {
  const [two, later] = [volume('beta'), volume('beta', { epoch: 2n })]
  const alpha = host('alpha', { applications: [runs(db)], volumes: [volume('alpha')] })
  assert.equal(outline(at('alpha', db), [alpha, host('beta', { volumes: [two] })]), ['blocked: two-owners db'])
  assert.equal(outline(at('alpha', db), [alpha, host('beta', { volumes: [later] })]), ['blocked: two-owners db'])
  assert.equal(outline(at('alpha', db), [alpha, host('beta'), host('gamma', { volumes: [later] })]), [
    'blocked: unclear-owner db',
  ])
  const behind = host('beta', { volumes: [volume('gamma', { epoch: 0n })] })
  assert.equal(
    outline(at('alpha', db), [alpha, behind, host('gamma')]),
    ['unchanged: db'],
    'an earlier epoch is behind',
  )
  assert.equal(
    outline(at('beta', web), [
      host('alpha', { applications: [runs(web)] }),
      host('beta', { applications: [runs(web)] }),
    ]),
    ['blocked: runs-twice web'],
  )
})

test('what else is in the way', () => {
  const owned = host('alpha', { volumes: [volume('alpha')] })
  assert.equal(outline(at('beta', db), [owned, host('beta')]), ['blocked: unexpected-owner db'])
  assert.equal(outline(at('beta', db), [owned, host('beta', { applications: [runs(db)] })]), [
    'blocked: unexpected-owner db',
  ])
  assert.equal(outline(at('alpha', web), [host('alpha', { foreign: ['web'] })]), ['blocked: foreign web'])
  const frozen = host('alpha', { applications: [runs(db)], volumes: [volume('alpha', { served: false })] })
  assert.equal(outline(at('alpha', db), [frozen]), ['blocked: not-served db'])
  assert.equal(outline(at('alpha', db), [host('alpha', { applications: [runs(db, 'exited')] })]), ['blocked: lost db'])
  const external = { ...at('alpha', db), volumes: [{ name: 'data', external: true }] }
  assert.equal(outline(external, [host('alpha')]), ['blocked: missing db'])
  const both = host('alpha', {
    applications: [runs(db), runs({ ...web, volumes: db.volumes })],
    volumes: [volume('alpha')],
  })
  assert.equal(outline(at('beta', db, { ...web, volumes: db.volumes }), [both, host('beta')]), [
    'blocked: shared db',
    'blocked: shared web',
  ])
})

test('others are removed only if that is asked for', () => {
  const alpha = host('alpha', { applications: [runs({ ...web, name: 'old' }), runs(web, 'stopped')] })
  const beta = host('beta', { applications: [runs(web)] })
  assert.equal(outline(at('beta', web), [alpha, beta]), ['left: old on alpha', 'left: web on alpha', 'unchanged: web'])
  assert.equal(outline(at('beta', web), [alpha, beta], { removeOthers: true }), [
    'removals: remove old on alpha',
    'removals: remove web on alpha',
    'unchanged: web',
  ])
})

test('ports and addresses are given up before they are taken', () => {
  const old = { ...web, name: 'old' }
  const alpha = host('alpha', { applications: [runs(old)] })
  assert.equal(outline(at('alpha', web), [alpha]), ['blocked: taken web', 'left: old on alpha'])
  assert.equal(outline(at('alpha', web), [alpha], { removeOthers: true }), [
    'removals: remove old on alpha',
    'starts: start web on alpha',
  ])
  const elsewhere = {
    applications: [
      { application: old, host: 'beta' },
      { application: web, host: 'alpha' },
    ],
  }
  assert.equal(outline(elsewhere, [alpha, host('beta')]), [
    'moves: move old on alpha -> beta with ',
    'starts: start web on alpha',
  ])
  const changed = { ...old, ports: [{ container: 80, host: 81 }] }
  assert.equal(outline(at('alpha', changed, web), [alpha]), [
    'starts: replace old on alpha',
    'later: start web on alpha',
  ])
  const swapped = {
    applications: [
      { application: old, host: 'beta' },
      { application: web, host: 'alpha' },
    ],
  }
  assert.equal(outline(swapped, [alpha, host('beta', { applications: [runs(web)] })]), [
    'blocked: taken old',
    'blocked: taken web',
  ])
})

const worlds = Number(process.env.FLOCKER_ZFS_WORLDS ?? 4000)
const firstSeed = Number(process.env.FLOCKER_ZFS_SEED ?? 1)

test('in any world: nothing runs twice, nothing is lost, and the next plan is empty', () => {
  const counts = new Map<string, number>()
  for (let seed = firstSeed; seed < firstSeed + worlds; seed++) {
    const random = generator(seed)
    const { world, apps } = randomWorld(random)
    const cluster = randomCluster(world, apps, random)
    const options = { removeOthers: random(2) === 0 }
    const next = () =>
      planDeployment(
        { ...cluster, applications: shuffle(cluster.applications, random) },
        statesOf(world, random),
        options,
      )
    try {
      let plan = next()
      assert.equal(next(), plan, 'whatever the order')
      if (random(3) === 0) {
        const actions = plan.phases.flatMap(({ actions }) => actions)
        for (const action of actions.slice(0, random(actions.length + 1))) carryOut(world, action)
        plan = next()
      }
      for (const { actions } of plan.phases) {
        for (const action of shuffle(actions, random)) {
          carryOut(world, action)
          counts.set(action.kind, (counts.get(action.kind) ?? 0) + 1)
        }
      }
      for (const { code } of plan.blocked) counts.set(code, (counts.get(code) ?? 0) + 1)
      assert.equal(next().phases, [], 'there is nothing left to do')
      formatDeployment(plan)
    } catch (error) {
      console.error(`again: FLOCKER_ZFS_WORLDS=1 FLOCKER_ZFS_SEED=${seed}`)
      throw error
    }
  }
  if (worlds < 1000) return
  const kinds =
    'create resize remove move start replace routes unknown-host foreign runs-twice two-owners unclear-owner'
  for (const kind of `${kinds} unexpected-owner not-served missing lost shrink shared taken`.split(' ')) {
    assert.ok(counts.has(kind), `${kind} came up: ${JSON.stringify(Object.fromEntries(counts))}`)
  }
})

test('printed', () => {
  const alpha = host('alpha', { applications: [runs(db), runs({ ...web, name: 'old' })], volumes: [volume('alpha')] })
  const cluster: ClusterDescription = {
    applications: [
      { application: db, host: 'beta' },
      { application: web, host: 'alpha' },
      { application: { ...web, name: 'lone', volumes: [{ volume: 'more', path: '/m' }] }, host: 'beta' },
    ],
    volumes: [{ name: 'data', quota: '1G' }],
    notes: ['a note'],
  }
  assert.is(
    formatDeployment(planDeployment(cluster, [alpha, host('beta'), unknown('gamma')])),
    `1. volumes
   resize    data on alpha: no limit -> 1.0 GiB
             its quota changed
2. moves
   move      db: alpha -> beta, with data
             it runs on alpha, and is wanted on beta
! blocked    lone, for its volume more
             no known host has it, and gamma may: nothing is known of it
! blocked    web
             it may run on gamma, of which nothing is known
! unknown    gamma
             no answer
- left       old on alpha
             it is not described
note: a note
2 to do, 0 unchanged, 2 blocked
`,
  )
  assert.is(
    formatDeployment(planDeployment({ applications: [] }, [host('alpha')])),
    'Nothing to do: all is as described.\n',
  )
})

test('descriptions that mean the same', () => {
  const full: Application = {
    ...db,
    network: 'bridge',
    restart: 'always',
    stopSeconds: 30,
    environment: {},
    links: [],
    user: undefined,
    ports: [{ container: 5432, host: 5432 }],
    volumes: [{ readOnly: false, path: '/data', volume: 'data' }],
  }
  assert.ok(sameApplication(db, full))
  assert.is(describeHash(db), describeHash(full))
  assert.match(describeHash(db), /^[0-9a-f]{16}$/)
  assert.equal(canonicalApplication(canonicalApplication(db)), canonicalApplication(db))
  assert.equal(differences({ ...db, stopSignal: 'TERM' }, { ...db, stopSignal: 'SIGTERM' }), [])
  assert.equal(differences({ ...db, command: [] }, db), ['command'], "which takes the image's away")
  assert.equal(differences({ ...db, user: 'a', image: 'b' }, db), ['image', 'user'])
  const two = [
    { volume: 'b', path: '/b' },
    { volume: 'a', path: '/a' },
  ]
  assert.equal(
    differences({ ...db, volumes: two }, { ...db, volumes: two.toReversed() }),
    ['volumes'],
    'another is primary',
  )
  const three = [{ volume: 'z', path: '/z' }, ...two]
  assert.ok(
    sameApplication({ ...db, volumes: three }, { ...db, volumes: [{ volume: 'z', path: '/z' }, ...two.toReversed()] }),
  )
  const probe = { kind: 'tcp', port: 5432 } as const
  assert.ok(sameApplication({ ...db, health: probe }, { ...db, health: { ...probe, intervalMilliseconds: 100 } }))
  assert.not(sameApplication({ ...db, health: probe }, { ...db, health: { ...probe, intervalMilliseconds: 101 } }))
})

const refused = (cluster: unknown): string => {
  try {
    parseCluster(cluster)
  } catch (error) {
    if (error instanceof ArgumentError) return error.message
    throw error
  }
  return 'accepted'
}

test('what was not done keeps back what needs it, and nothing else', () => {
  const why = ''
  const start = (application: Application): DeploymentAction => ({ kind: 'start', host: 'beta', application, why })
  const lone: Application = { name: 'lone', image: 'i', ports: [{ container: 5432 }] }
  const running = [host('alpha', { applications: [runs(db)], volumes: [volume('alpha')] }), host('beta')]
  const create: DeploymentAction = { kind: 'create', host: 'beta', volume: { name: 'data' }, why }
  assert.ok(needsFirst(start(db), create, []))
  assert.not(needsFirst(start(lone), create, []))
  const resize: DeploymentAction = { kind: 'resize', host: 'beta', volume: 'data', from: undefined, to: 1n, why }
  assert.not(needsFirst(start(db), resize, []), 'it runs with its old size')
  const remove: DeploymentAction = { kind: 'remove', host: 'alpha', application: 'db', why }
  assert.ok(needsFirst(start(db), remove, running), 'it would run twice')
  assert.not(needsFirst(start(lone), remove, running), 'the port of another host')
  assert.ok(needsFirst({ ...start(lone), host: 'alpha' }, remove, running), 'the port is still in use')
  const routed = { ...lone, routes: [{ address: 'tcp:15432', port: 5432 }] }
  assert.ok(needsFirst(start(routed), remove, running), 'the address still leads to it')
})

test('a dataset of the name of a volume keeps it from being made', () => {
  const hosts = [host('alpha'), host('beta', { others: ['data'] })]
  assert.equal(outline(at('alpha', db), hosts), ['blocked: unclear-owner db'])
})

test('an address is the same however it is written', () => {
  const spelled = (address: string): Application => ({ ...db, routes: [{ address, port: 5432 }] })
  const alpha = host('alpha', { applications: [runs(spelled('tls:443:db.example'))], volumes: [volume('alpha')] })
  assert.equal(outline(at('alpha', spelled('tls:DB.example')), [alpha]), ['unchanged: db'])
  const lone = { name: 'lone', image: 'i', ports: [{ container: 1 }] }
  const beside = (address: string): ClusterDescription =>
    at('alpha', spelled('tls:db.example'), { ...lone, routes: [{ address, port: 1 }] })
  assert.match(refused(beside('tls:443:DB.example')), /lone\.routes: the address tls:443:db\.example is that of db too/)
  assert.match(refused(beside('tcp:443')), /lone\.routes: tcp:443 and tls:443:db\.example can't both be at port 443/)
  assert.match(refused(beside('db.example')), /lone\.routes: "db\.example" is no address of a route/)
})

test("clusters that can't be", () => {
  assert.is(refused(at('alpha', db, web)), 'accepted')
  assert.match(refused(at('alpha', web, web)), /web\.name/)
  assert.match(
    refused(at('alpha', web, { ...web, name: 'other' })),
    /other\.ports: the port 80 of alpha is that of web/,
  )
  const lone = { name: 'lone', image: 'i' }
  assert.match(
    refused(at('alpha', db, { ...lone, ports: [{ container: 1 }], routes: [{ address: 'tcp:15432', port: 1 }] })),
    /lone\.routes/,
  )
  const elsewhere = { application: { ...lone, volumes: db.volumes }, host: 'beta' }
  assert.match(
    refused({ applications: [...at('alpha', db).applications, elsewhere] }),
    /lone\.volumes: data is used on alpha by db/,
  )
  assert.match(refused({ applications: [{ application: lone }] }), /applications\.0\.host/)
  assert.match(refused({ ...at('alpha', db), volumes: [{ name: 'idle' }] }), /idle: no application uses it/)
  assert.match(refused({ ...at('alpha', db), volumes: [{ name: 'data', quota: 'big' }] }), /a size above 0/)
  assert.match(refused({ ...at('alpha', db), more: 1 }), /more/)
  assert.match(refused(at('alpha', { ...lone, volumes: [{ volume: '../up', path: '/p' }] })), /can't name a volume/)
})

test.run()
