/** Random clusters, and what carries plans out on them: each action checks that it may be done. */
import * as assert from 'uvu/assert'
import { type Application, hostPort } from '../../src/containers/application.js'
import type { ClusterDescription } from '../../src/containers/cluster.js'
import type { DeploymentAction, HostState, KnownVolume, RunningApplication } from '../../src/containers/deployment.js'
import type { Random } from './fuzzing.js'

interface Machine {
  applications: Map<string, RunningApplication>
  volumes: Map<string, KnownVolume>
  foreign: Set<string>
  known: boolean
}

export type World = Map<string, Machine>

const pick = <T>(list: readonly T[], random: Random): T => list[random(list.length)] as T
export const shuffle = <T>(list: readonly T[], random: Random): T[] => {
  const out = [...list]
  for (let at = out.length - 1; at > 0; at--) {
    const other = random(at + 1)
    ;[out[at], out[other]] = [out[other] as T, out[at] as T]
  }
  return out
}

const hostNames = ['alpha', 'beta', 'gamma', 'delta']
const appNames = ['db', 'web', 'cache', 'mail', 'queue', 'wiki']

/** A description, whose ports and addresses come from few, so that applications get in each other's way. */
function randomApplication(name: string, volumes: readonly string[], random: Random): Application {
  const port = 1 + random(4)
  return {
    name,
    image: pick(['one', 'two'], random),
    ports: [{ container: 80, host: port }],
    ...(volumes.length > 0 ? { volumes: volumes.map((volume) => ({ volume, path: `/${volume}` })) } : {}),
    ...(random(3) === 0 ? { routes: [{ address: `tcp:${1 + random(4)}`, port: 80 }] } : {}),
  }
}

function volumesFor(name: string, random: Random): string[] {
  const kind = random(8)
  if (kind < 3) return []
  if (kind === 7) return [`${name}-data`, 'shared']
  return kind === 6 ? [`${name}-data`, `${name}-log`] : [`${name}-data`]
}

/** A world, with what was in it before anybody described it. */
export function randomWorld(random: Random): { world: World; apps: Map<string, Application> } {
  const world: World = new Map()
  const hosts = hostNames.slice(0, 1 + random(4))
  for (const host of hosts) {
    const foreign = new Set(random(10) === 0 ? [pick(appNames, random)] : [])
    world.set(host, { applications: new Map(), volumes: new Map(), foreign, known: random(8) !== 0 })
  }
  const apps = new Map<string, Application>()
  for (const name of shuffle(appNames, random).slice(0, random(appNames.length + 1))) {
    const app = randomApplication(name, volumesFor(name, random), random)
    apps.set(name, app)
    const home = pick(hosts, random)
    for (const { volume } of app.volumes ?? []) if (random(6) !== 0) putVolume(world, volume, home, random)
    if (random(4) !== 0) putApplication(world, app, home, random)
    if (random(8) === 0) putApplication(world, app, pick(hosts, random), random, 'stopped')
    if (random(20) === 0) runTwice(world, app, pick(hosts, random))
  }
  return { world, apps }
}

function putVolume(world: World, name: string, owner: string, random: Random): void {
  if ([...world.values()].some(({ volumes }) => volumes.has(name))) return
  const epoch = BigInt(1 + random(3))
  const base = { name, size: random(2) === 0 ? undefined : BigInt(10 + random(20)), used: BigInt(random(15)) }
  world.get(owner)?.volumes.set(name, { ...base, owner, epoch, served: random(20) !== 0 })
  for (const [host, machine] of world) {
    if (host === owner || random(3) !== 0) continue
    const behind = random(3) === 0
    const believed = behind
      ? pick(
          [...world.keys()].filter((each) => each !== host),
          random,
        )
      : owner
    machine.volumes.set(name, { ...base, owner: believed, epoch: behind ? epoch - 1n : epoch, served: false })
  }
  // An owner that nobody can ask is the only one: a host serves a volume only while no other may have been promoted.
  const rival = pick([...world.keys()], random)
  if (random(25) !== 0 || ![owner, rival].every((host) => world.get(host)?.known)) return
  world.get(rival)?.volumes.set(name, { ...base, owner: rival, epoch: epoch + BigInt(random(2)), served: true })
}

function putApplication(world: World, description: Application, host: string, random: Random, only?: 'stopped'): void {
  const machine = world.get(host)
  if (machine === undefined || machine.foreign.has(description.name) || machine.applications.has(description.name))
    return
  const state = only ?? (random(10) === 0 ? 'exited' : random(10) === 0 ? 'stopped' : 'running')
  const running = state === 'running'
  // What runs does not get in the way of what runs.
  if (running && (!isFree(world, host, description) || !ownsAll(machine, host, description))) return
  machine.applications.set(description.name, {
    name: description.name,
    description,
    state,
    ready: running && random(5) !== 0,
  })
}

/** Lets it run on another host too. Of what is unknown nobody can know it. */
function runTwice(world: World, app: Application, host: string): void {
  const machine = world.get(host)
  const running = [...world.values()].find(({ applications }) => applications.get(app.name)?.state === 'running')
  if (!machine?.known || running?.known !== true || machine.foreign.has(app.name) || !isFree(world, host, app)) return
  machine.applications.set(app.name, { name: app.name, description: app, state: 'running', ready: true })
}

/** What is wanted: most of what is there, changed here and there, and new ones. */
export function randomCluster(
  world: World,
  apps: ReadonlyMap<string, Application>,
  random: Random,
): ClusterDescription {
  const hosts = [...world.keys(), ...(random(20) === 0 ? ['elsewhere'] : [])]
  const cluster: { applications: { application: Application; host: string }[] } = { applications: [] }
  for (const name of appNames) {
    if (random(5) === 0) continue
    const at = [...world].find(([, { applications }]) => applications.get(name)?.state === 'running')?.[0]
    const host = at !== undefined && random(3) !== 0 ? at : pick(hosts, random)
    const before = apps.get(name)
    const mounted =
      before === undefined || random(8) === 0
        ? volumesFor(name, random)
        : (before.volumes ?? []).map(({ volume }) => volume)
    const changed = before === undefined || random(3) === 0
    const fresh = randomApplication(name, mounted, random)
    const application = changed ? fresh : { ...before, ...(fresh.volumes ? { volumes: fresh.volumes } : {}) }
    const placed = cluster.applications
    if (placed.some((other) => clash(other, { application, host }))) continue
    placed.push({ application, host })
  }
  const volumes = [
    ...new Set(
      cluster.applications.flatMap(({ application }) => (application.volumes ?? []).map((each) => each.volume)),
    ),
  ]
  return {
    ...cluster,
    volumes: volumes
      .filter(() => random(2) === 0)
      .map((name) => (random(10) === 0 ? { name, external: true } : { name, quota: 5 + random(20) })),
  }
}

interface Placed {
  application: Application
  host: string
}

function clash(a: Placed, b: Placed): boolean {
  const volumes = new Set((a.application.volumes ?? []).map(({ volume }) => volume))
  const shares = (b.application.volumes ?? []).some(({ volume }) => volumes.has(volume))
  const addresses = new Set((a.application.routes ?? []).map(({ address }) => address))
  const sameAddress = (b.application.routes ?? []).some(({ address }) => addresses.has(address))
  const ports = new Set((a.application.ports ?? []).map(hostPort))
  const samePort = a.host === b.host && (b.application.ports ?? []).some((port) => ports.has(hostPort(port)))
  return samePort || sameAddress || (shares && a.host !== b.host)
}

/** What is known of it. */
export function statesOf(world: World, random: Random): HostState[] {
  const states = [...world].map(([host, { known, applications, volumes, foreign }]): HostState => {
    if (!known) return { host, known, why: 'its cable is out' }
    const [a, v] = [shuffle([...applications.values()], random), shuffle([...volumes.values()], random)]
    return { host, known, applications: a, volumes: v, foreign: shuffle([...foreign], random) }
  })
  return shuffle(states, random)
}

/** Whether nothing that runs has one of its ports or, on a known host, its addresses. */
function isFree(world: World, host: string, app: Application): boolean {
  const [ports, addresses] = [(app.ports ?? []).map(hostPort), (app.routes ?? []).map(({ address }) => address)]
  return [...world].every(([name, { applications, known }]) =>
    [...applications.values()].every(({ description, state }) => {
      if (state !== 'running' || description.name === app.name) return true
      const port = name === host && (description.ports ?? []).some((each) => ports.includes(hostPort(each)))
      return !port && !(known && (description.routes ?? []).some(({ address }) => addresses.includes(address)))
    }),
  )
}

function ownsAll({ volumes }: Machine, host: string, app: Application): boolean {
  return (app.volumes ?? []).every(
    ({ volume }) => volumes.get(volume)?.owner === host && volumes.get(volume)?.served === true,
  )
}

/** Does what an action says, if nothing is lost and nothing runs twice by it. */
export function carryOut(world: World, action: DeploymentAction): void {
  const { kind, host } = action
  const machine = world.get(host) as Machine
  const text = JSON.stringify(action, (_, value) => (typeof value === 'bigint' ? String(value) : value))
  assert.ok(machine?.known, `on a known host: ${text}`)
  const runsElsewhere = (name: string): boolean =>
    [...world].some(([other, { applications }]) => other !== host && applications.get(name)?.state === 'running')
  const put = (at: Machine, application: Application): void => {
    at.applications.set(application.name, {
      name: application.name,
      description: application,
      state: 'running',
      ready: true,
    })
  }
  if (kind === 'create') {
    const { name, quota } = action.volume
    assert.not(
      [...world.values()].some(({ volumes }) => volumes.has(name)),
      `nobody has it: ${text}`,
    )
    const size = quota === undefined ? undefined : BigInt(quota)
    machine.volumes.set(name, { name, owner: host, epoch: 1n, size, used: 0n, served: true })
  } else if (kind === 'resize') {
    const volume = machine.volumes.get(action.volume) as KnownVolume
    assert.ok(volume.owner === host && (volume.used ?? 0n) <= action.to, text)
    machine.volumes.set(action.volume, { ...volume, size: action.to })
  } else if (kind === 'remove') {
    assert.ok(machine.applications.delete(action.application), text)
  } else if (kind === 'move') {
    const { application, to, volumes } = action
    const target = world.get(to) as Machine
    assert.ok(target.known && !target.foreign.has(application.name), text)
    assert.ok(machine.applications.has(application.name) && !runsElsewhere(application.name), text)
    assert.ok(isFree(world, to, application), `its ports and addresses are free: ${text}`)
    for (const name of volumes) {
      const volume = machine.volumes.get(name) as KnownVolume
      assert.ok(volume.owner === host && volume.served, text)
      const users = [...machine.applications.values()].filter(({ state, description }) => {
        return state === 'running' && (description.volumes ?? []).some((each) => each.volume === name)
      })
      assert.ok(
        users.every((user) => user.name === application.name),
        `nothing else uses it: ${text}`,
      )
      const epoch = volume.epoch + 1n
      target.volumes.set(name, { ...volume, owner: to, epoch })
      machine.volumes.set(name, { ...volume, owner: to, epoch, served: false })
    }
    assert.ok(ownsAll(target, to, application), `it has all its volumes: ${text}`)
    machine.applications.delete(application.name)
    put(target, application)
  } else {
    const { application } = action
    const running = machine.applications.get(application.name)?.state === 'running'
    assert.is(running, kind !== 'start', text)
    assert.not(runsElsewhere(application.name), `it runs nowhere else: ${text}`)
    assert.ok(!machine.foreign.has(application.name) && isFree(world, host, application), text)
    assert.ok(ownsAll(machine, host, application), `it has all its volumes: ${text}`)
    put(machine, application)
  }
}
