/** Ports, addresses and volumes that one application has and another is to get: what has to be done first. */
import type { Application } from './application.js'
import { addressKey, compareTexts } from './canonical.js'
import { boundPorts } from './cluster.js'
import type { ApplicationAction, DeploymentAction, HostState } from './deployment.js'
import { knownHosts, mounts } from './volume-standing.js'

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
  return [...ports, ...(app.routes ?? []).map(({ address }) => `the address ${addressKey(address)}`)]
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
 * @param actions by the application's name, in the order of those
 * @param removed the containers that are removed before all of them, as `HOST NAME`
 */
export function settleClaims(
  actions: ReadonlyMap<string, ApplicationAction>,
  hosts: readonly HostState[],
  removed: ReadonlySet<string>,
): Settled {
  const holders = holdersOf(hosts).filter(({ application, host }) => !removed.has(`${host} ${application}`))
  const settlement = new Settlement(actions, holders)
  // Whoever is refused keeps what it has, which others may have been waiting for.
  while (settlement.refuseHopeless() || settlement.refuseCircles());
  return settlement
}

/**
 * Whether an action can't be done, or not safely, where an earlier one was not: it needs the volume that was to be made, what the other
 * application holds still, or is about the same application.
 * @param hosts as they were when it was planned
 */
export function needsFirst(action: DeploymentAction, earlier: DeploymentAction, hosts: readonly HostState[]): boolean {
  if (!('application' in action) || action.kind === 'remove') return false
  const { application } = action
  if (earlier.kind === 'create') return mounts(application, earlier.volume.name)
  if (earlier.kind === 'resize') return false
  const other = nameOf(earlier)
  if (other === application.name) return true
  const needed = new Set(neededBy(action))
  return holdersOf(hosts).some(
    (holder) => holder.application === other && holder.claims.some((claim) => needed.has(claim)),
  )
}

function nameOf(action: Exclude<DeploymentAction, { kind: 'create' | 'resize' }>): string {
  return action.kind === 'remove' ? action.application : action.application.name
}

class Settlement implements Settled {
  readonly after = new Map<string, Set<string>>()
  readonly refused = new Map<string, string>()
  readonly #actions: ReadonlyMap<string, ApplicationAction>
  readonly #holders = new Map<string, Holder[]>()

  constructor(actions: ReadonlyMap<string, ApplicationAction>, holders: readonly Holder[]) {
    this.#actions = actions
    for (const holder of holders) {
      for (const claim of holder.claims) this.#holders.set(claim, [...(this.#holders.get(claim) ?? []), holder])
    }
  }

  /** Refuses what needs something that nobody gives up; true if there was any. */
  refuseHopeless(): boolean {
    const before = this.refused.size
    for (const [name, action] of this.#actions) if (!this.refused.has(name)) this.#look(name, action)
    return this.refused.size > before
  }

  /** Refuses those that wait for each other; true if there were any. */
  refuseCircles(): boolean {
    const waiting = waitingForEver(this.after)
    for (const name of waiting) {
      const others = waiting.filter((each) => each !== name).join(', ')
      this.#refuse(name, `it and ${others} need of each other what they have`)
    }
    return waiting.length > 0
  }

  #look(name: string, action: ApplicationAction): void {
    const before = new Set<string>()
    for (const claim of neededBy(action)) {
      for (const holder of this.#holders.get(claim) ?? []) {
        if (holder.application === name) continue
        const other = this.refused.has(holder.application) ? undefined : this.#actions.get(holder.application)
        if (other === undefined || keptBy(other, holder).includes(claim)) {
          this.#refuse(name, `${claim} is in use by ${holder.application} on ${holder.host}`)
          return
        }
        before.add(holder.application)
      }
    }
    this.after.set(name, before)
  }

  #refuse(name: string, why: string): void {
    this.refused.set(name, why)
    this.after.delete(name)
  }
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
