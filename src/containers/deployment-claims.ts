/** Ports, addresses and volumes that one application has and another is to get: what has to be done first. */
import type { Application } from './application.js'
import { compareTexts } from './canonical.js'
import { boundPorts } from './cluster.js'
import type { ApplicationAction, HostState } from './deployment.js'
import { knownHosts } from './volume-standing.js'

/** Something that one container at a time can have, by what it is called. */
interface Holder {
  application: string
  host: string
  claims: readonly string[]
}

export interface Settled {
  /** By the application's name: the names of those whose actions come before its own. */
  after: ReadonlyMap<string, ReadonlySet<string>>
  /** By the application's name: why it can't be. */
  refused: ReadonlyMap<string, string>
}

function claimsOf(app: Application, host: string): string[] {
  const ports = boundPorts(app).map((port) => `the port ${port} of ${host}`)
  return [...ports, ...(app.routes ?? []).map(({ address }) => `the address ${address}`)]
}

function volumeClaims(names: readonly string[]): string[] {
  return names.map((name) => `the volume ${name}`)
}

/** What each container that runs holds. */
function holdersOf(hosts: readonly HostState[]): Holder[] {
  return knownHosts(hosts).flatMap(({ host, applications }) =>
    applications
      .filter(({ state }) => state === 'running')
      .map(({ name, description }) => {
        const volumes = (description.volumes ?? []).map(({ volume }) => volume)
        return { application: name, host, claims: [...claimsOf(description, host), ...volumeClaims(volumes)] }
      }),
  )
}

/** What an action needs for itself. A move needs its volumes, which nothing else may use meanwhile. */
function neededBy(action: ApplicationAction): string[] {
  if (action.kind !== 'move') return claimsOf(action.application, action.host)
  return [...claimsOf(action.application, action.to), ...volumeClaims(action.volumes)]
}

/** What a container still holds once the action is done. */
function keptBy(action: ApplicationAction, holder: Holder): string[] {
  const { application } = action
  if (action.kind === 'move') return []
  const volumes = (application.volumes ?? []).map(({ volume }) => volume)
  return [...claimsOf(application, holder.host), ...volumeClaims(volumes)]
}

/**
 * Puts actions in order: what needs something comes after what gives it up. What nobody gives up, or what two need of each other, is refused.
 * @param actions by the application's name
 * @param removed the containers that are removed before all of them, as `HOST NAME`
 */
export function settleClaims(
  actions: ReadonlyMap<string, ApplicationAction>,
  hosts: readonly HostState[],
  removed: ReadonlySet<string>,
): Settled {
  const holders = holdersOf(hosts).filter(({ application, host }) => !removed.has(`${host} ${application}`))
  const byClaim = new Map<string, Holder[]>()
  for (const holder of holders)
    for (const claim of holder.claims) byClaim.set(claim, [...(byClaim.get(claim) ?? []), holder])
  const refused = new Map<string, string>()
  const after = new Map<string, Set<string>>()
  const names = [...actions.keys()].sort(compareTexts)

  /** Refuses one, and says so. */
  const refuse = (name: string, why: string): true => {
    refused.set(name, why)
    after.delete(name)
    return true
  }
  /** Looks at one anew; true if it is refused now. */
  const look = (name: string, action: ApplicationAction): boolean => {
    const before = new Set<string>()
    for (const claim of neededBy(action)) {
      for (const holder of byClaim.get(claim) ?? []) {
        if (holder.application === name) continue
        const other = refused.has(holder.application) ? undefined : actions.get(holder.application)
        if (other === undefined || keptBy(other, holder).includes(claim)) {
          return refuse(name, `${claim} is in use by ${holder.application} on ${holder.host}`)
        }
        before.add(holder.application)
      }
    }
    after.set(name, before)
    return false
  }
  const lookAtAll = (): boolean => {
    let changed = false
    for (const name of names) {
      const action = actions.get(name)
      if (action !== undefined && !refused.has(name) && look(name, action)) changed = true
    }
    return changed
  }
  /** Refuses those that wait for each other; true if there are any. */
  const breakCircles = (): boolean => {
    const waiting = waitingForEver(after)
    for (const name of waiting)
      refuse(name, `it and ${waiting.filter((each) => each !== name).join(', ')} need of each other what they have`)
    return waiting.length > 0
  }
  while (lookAtAll() || breakCircles());
  return { after, refused }
}

/** Those that wait, directly or not, for themselves or for such. */
function waitingForEver(after: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const left = new Map(after)
  for (let found = true; found; ) {
    found = false
    for (const [name, before] of left) {
      if ([...before].some((each) => left.has(each))) continue
      left.delete(name)
      found = true
    }
  }
  return [...left.keys()].sort(compareTexts)
}
