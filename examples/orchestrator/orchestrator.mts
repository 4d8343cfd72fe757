/**
 * An orchestrator of one's own, one process on each host: it keeps replicas of each application's volume on all other hosts, moves
 * applications to the least loaded host, and away from a drained one, and takes over what a dead host had.
 */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs, promisify } from 'node:util'
import {
  type ContainerInfo,
  follow,
  loadCredentials,
  moveContainer,
  openBuiltInRouter,
  openHost,
  type Peer,
  parseRules,
} from 'flocker-zfs'
import { ask, serveControl } from './control.js'
import { chooseTarget, type HostView, isHeir } from './decide.js'

const { values } = parseArgs({
  options: {
    pool: { type: 'string', default: 'tank' },
    credentials: { type: 'string', default: '/etc/flocker-zfs' },
    authorize: { type: 'string', default: '/etc/flocker-zfs/rules.json' },
    engine: { type: 'string', default: '/var/run/docker.sock' },
    peer: { type: 'string', multiple: true, default: [] }, // the other hosts' addresses, for clients of applications too
    runner: { type: 'string', multiple: true, default: [] }, // those of them that run this orchestrator
    fence: { type: 'string' }, // a program: given a host's identity it ends with 0 once that host is off
    dead: { type: 'string', default: '30' }, // after so many seconds of silence
  },
})

const credentials = await loadCredentials(values.credentials)
const { pool, engine, peer: peers } = values
await using host = await openHost({ pool, credentials, engine, peers, router: await openBuiltInRouter() })
await host.listen({ authorize: parseRules(JSON.parse(await readFile(values.authorize, 'utf8'))) })

let self: HostView = { identity: host.identity, drained: false, applications: 0 }
const control = serveControl(
  credentials,
  () => self,
  (drained) => {
    self = { ...self, drained }
  },
)

/** Another host, by what it said last. One that was never heard of is unknown, and not dead. */
interface Watched {
  address: string
  heard?: { view: HostView; peer: Peer }
  /** Since when it has not answered. */
  silent: number | undefined
}
const watched: Watched[] = values.runner.map((address) => ({ address, silent: undefined }))
const isDead = ({ silent = Infinity }: Watched): boolean => performance.now() - silent > Number(values.dead) * 1000

const stopping = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stopping.abort())

async function look(): Promise<void> {
  const answering = (await Promise.all(watched.map(hear))).filter((heard) => heard !== undefined)
  const others = answering.map(({ view }) => view)
  const running = (await host.listContainers()).filter(({ state }) => state === 'running')
  self = { ...self, applications: running.length }
  for (const { heard } of watched.filter(isDead)) {
    if (heard !== undefined && isHeir(self, others)) await takeOver(heard.view.identity)
  }
  const target = answering.find(({ view }) => view === chooseTarget(self, others))
  const [first] = running
  if (target !== undefined && first !== undefined) await move(first, target.peer)
  else for (const container of running) for (const { peer } of answering) keepReplica(container, peer)
}

/** @returns what it says, if it answers */
async function hear(each: Watched): Promise<Watched['heard']> {
  try {
    const view = await ask(credentials, each.address)
    const peer = each.heard?.peer ?? (await host.connect(each.address))
    await peer.reconnect()
    each.heard = { view, peer }
    each.silent = undefined
    return each.heard
  } catch (error) {
    each.silent ??= performance.now()
    console.error(`${each.address} does not answer: ${(error as Error).message}`)
    return undefined
  }
}

async function move({ name }: ContainerInfo, peer: Peer): Promise<void> {
  await stopFollowing() // one stream of a volume to a host at a time
  const { pauseMilliseconds } = await moveContainer(name, peer, { signal: stopping.signal })
  console.log(`moved ${name} to ${peer.identity}; its clients waited ${Math.round(pauseMilliseconds)} ms`)
}

/** The volumes that a dead host owned, and with them its applications, which are kept in the volumes' records. */
async function takeOver(dead: string): Promise<void> {
  for (const { name, owner } of await host.listVolumes()) {
    if (owner.host !== dead || values.fence === undefined) continue
    const { lossMilliseconds, newest } = await host.describePromotion(name)
    console.log(`${dead} is silent; taking ${name} over as of ${newest.name}, ${Math.round(lossMilliseconds)} ms ago`)
    await host.promoteVolume(name, { fence: () => fence(dead) })
    console.log(`took ${name} over from ${dead}`)
  }
}

async function fence(identity: string): Promise<boolean> {
  await promisify(execFile)(values.fence as string, [identity]) // throws unless it ends with 0
  return true
}

/** By volume and peer. */
const following = new Map<string, { stop: AbortController; ended: Promise<void> }>()

function keepReplica({ application }: ContainerInfo, peer: Peer): void {
  for (const { volume } of application.volumes ?? []) {
    const key = `${volume} to ${peer.identity}`
    if (following.has(key)) continue
    const stop = new AbortController()
    const run = async (): Promise<void> => {
      try {
        await follow(await host.getVolume(volume), [peer], { lagMilliseconds: 10_000, signal: stop.signal })
      } catch (error) {
        console.error(`${key}: ${(error as Error).message}`)
      } finally {
        following.delete(key)
      }
    }
    following.set(key, { stop, ended: run() })
  }
}

async function stopFollowing(): Promise<void> {
  const all = [...following.values()]
  for (const { stop } of all) stop.abort()
  await Promise.all(all.map(({ ended }) => ended))
}

console.log(`${host.identity} orchestrates`)
while (!stopping.signal.aborted) {
  try {
    await look()
  } catch (error) {
    console.error(error)
  }
  await wait(1000, undefined, { signal: stopping.signal }).catch(() => undefined)
}
await stopFollowing()
control.close()
control.closeAllConnections()
