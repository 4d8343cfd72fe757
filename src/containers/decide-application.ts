/** What is to become of one application, by what is known of all hosts. */
import { type Application, primaryVolume } from './application.js'
import { differences } from './canonical.js'
import type { PlacedApplication } from './cluster.js'
import type { ApplicationAction, BlockCode, HostState, KnownHost, RunningApplication } from './deployment.js'
import { knownHosts, mounts, type VolumeStanding } from './volume-standing.js'

export type Decision =
  | { kind: 'unchanged'; ready: boolean }
  | { kind: 'act'; action: ApplicationAction }
  | { kind: 'blocked'; code: BlockCode; why: string; volume?: string }

type Owned = Extract<VolumeStanding, { kind: 'owned' }>

/** What is decided on. */
export interface Situation {
  hosts: readonly HostState[]
  /** Of each wanted volume. */
  standings: ReadonlyMap<string, VolumeStanding>
}

/** Decides on it as if the other applications were not there; see `settleClaims` for those. */
export function decideApplication({ application, host }: PlacedApplication, situation: Situation): Decision {
  const target = situation.hosts.find((each) => each.host === host)
  if (target?.known !== true) {
    const why = target === undefined ? 'nobody has asked it' : target.why
    return blocked('unknown-host', `nothing is known of ${host}, which is to run it: ${why}`)
  }
  if (target.foreign.includes(application.name)) {
    return blocked('foreign', `${host} has a container of that name that is not ours`)
  }
  const copies = knownHosts(situation.hosts).filter((each) => copyOn(each, application) !== undefined)
  const running = copies.filter((each) => copyOn(each, application)?.state === 'running')
  if (running.length > 1) return blocked('runs-twice', `it runs on ${namesOf(running).join(' and ')}`)
  const place = placeOf(application, running[0], situation)
  if (place.kind === 'blocked') return place
  const lost = lostVolume(copies, application, situation)
  if (lost !== undefined) return lost
  const unseen = unseenCopy(application, running, situation)
  if (unseen !== undefined) return unseen
  if (place.at === undefined || place.at === host) return decideHere(application, target)
  return move(application, host, place.at, copies, place.volumes)
}

function blocked(code: BlockCode, why: string, volume?: string): Extract<Decision, { kind: 'blocked' }> {
  return { kind: 'blocked', code, why, ...(volume === undefined ? {} : { volume }) }
}

function namesOf(hosts: readonly { host: string }[]): string[] {
  return hosts.map(({ host }) => host).sort()
}

function copyOn({ applications }: KnownHost, { name }: Application): RunningApplication | undefined {
  return applications.find((each) => each.name === name)
}

type Place = { kind: 'at'; at: string | undefined; volumes: string[] } | Extract<Decision, { kind: 'blocked' }>

/** Which host has it now: the owner of its volumes, or the one where it runs. */
function placeOf(app: Application, running: KnownHost | undefined, { standings }: Situation): Place {
  const owned: (Owned & { name: string })[] = []
  for (const { volume: name } of app.volumes ?? []) {
    const standing = standings.get(name)
    if (standing?.kind === 'blocked') return blocked(standing.code, standing.why, name)
    if (standing?.kind !== 'owned') continue
    const { host, volume } = standing
    if (volume.served === false) return blocked('not-served', `${host} owns it, and does not have it in service`, name)
    owned.push({ ...standing, name })
  }
  const [first, ...others] = owned
  if (first === undefined) return { kind: 'at', at: running?.host, volumes: [] }
  const apart = others.find(({ host }) => host !== first.host)
  if (apart !== undefined) {
    return blocked('unexpected-owner', `${first.host} owns ${first.name}, and ${apart.host} owns it`, apart.name)
  }
  if (running !== undefined && running.host !== first.host) {
    return blocked('unexpected-owner', `it runs on ${running.host}, and ${first.host} owns ${first.name}`, first.name)
  }
  return place(first.host)

  function place(at: string): Place {
    return { kind: 'at', at, volumes: owned.map(({ name }) => name).sort() }
  }
}

/** What tells that a volume is lost stays, though it needs it no longer: without it, an empty one would be made in its place. */
function lostVolume(copies: readonly KnownHost[], app: Application, { standings }: Situation): Decision | undefined {
  for (const { volume } of copies.flatMap((host) => copyOn(host, app)?.description.volumes ?? [])) {
    const standing = standings.get(volume)
    if (standing?.kind === 'blocked' && standing.code === 'lost') return blocked('lost', standing.why, volume)
  }
  return undefined
}

/**
 * It may run on a host of which nothing is known, unless it runs on one that is, or its container is on one that has the volume in service
 * which it writes to: then it can run nowhere else.
 */
function unseenCopy(
  app: Application,
  running: readonly KnownHost[],
  { hosts, standings }: Situation,
): Decision | undefined {
  const unknown = hosts.filter(({ known }) => !known)
  if (running.length > 0 || unknown.length === 0) return undefined
  const primary = primaryVolume(app) ?? ''
  const standing = standings.get(primary)
  if (standing?.kind === 'owned' && standing.volume.served === true) {
    const owner = knownHosts(hosts).find(({ host }) => host === standing.host)
    const copy = owner && copyOn(owner, app)
    if (copy !== undefined && mounts(copy.description, primary)) return undefined
  }
  return blocked('unknown-host', `it may run on ${namesOf(unknown).join(', ')}, of which nothing is known`)
}

/** Nothing has to move. */
function decideHere(application: Application, target: KnownHost): Decision {
  const { host } = target
  const copy = copyOn(target, application)
  if (copy === undefined) return act({ kind: 'start', host, application, why: 'it runs nowhere' })
  const changes = differences(copy.description, application)
  if (copy.state !== 'running') {
    const also = changes.length === 0 ? '' : `, and ${changes.join(', ')} changed`
    return act({ kind: 'start', host, application, why: `it has ${copy.state}${also}` })
  }
  if (changes.length === 0) return { kind: 'unchanged', ready: copy.ready }
  // One without volumes has its description with its container alone, which is made anew for another.
  if (changes.every((change) => change === 'routes') && primaryVolume(application) !== undefined) {
    return act({ kind: 'routes', host, application, before: copy.description, why: 'its addresses changed' })
  }
  return act({ kind: 'replace', host, application, changes, why: `${changes.join(', ')} changed` })
}

function act(action: ApplicationAction): Decision {
  return { kind: 'act', action }
}

function move(
  application: Application,
  to: string,
  host: string,
  copies: readonly KnownHost[],
  volumes: string[],
): Decision {
  const source = copies.find((each) => each.host === host)
  const copy = source && copyOn(source, application)
  if (copy === undefined) {
    const [volume] = volumes
    return blocked(
      'unexpected-owner',
      `${host} owns it, and does not have ${application.name}: hand it to ${to} first`,
      volume,
    )
  }
  const running = copy.state === 'running'
  const changes = differences(copy.description, application)
  const also = changes.length === 0 ? '' : `; ${changes.join(', ')} changed`
  const why = `it ${running ? 'runs' : 'was'} on ${host}, and is wanted on ${to}${also}`
  return act({ kind: 'move', host, to, application, volumes, running, why })
}
