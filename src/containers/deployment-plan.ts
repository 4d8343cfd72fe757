/** What is to be done so that a cluster is as it is described. Pure: it touches nothing. */
import { ArgumentError } from '../errors.js'
import { compareTexts } from './canonical.js'
import {
  type ClusterDescription,
  type PlacedApplication,
  parseCluster,
  quotaBytes,
  type VolumeDescription,
} from './cluster.js'
import { type Decision, decideApplication, type Situation } from './decide-application.js'
import type {
  ApplicationAction,
  Blocked,
  DeploymentAction,
  DeploymentPhase,
  DeploymentPlan,
  HostState,
} from './deployment.js'
import { settleClaims } from './deployment-claims.js'
import { knownHosts, mounts, standingOf, type VolumeStanding } from './volume-standing.js'

/** What a plan can be told. */
export interface DeploymentOptions {
  /** Remove applications of ours that are not described; their volumes stay. Default: they are left, and told of. */
  removeOthers?: boolean
}

/** @internal */
interface Work extends Situation {
  wanted: readonly PlacedApplication[]
  volumes: readonly VolumeDescription[]
  decisions: Map<string, Decision>
}

/**
 * Plans a deployment. What an unknown host may have is neither made nor started elsewhere; where hosts disagree, nothing is done.
 * It depends on what is given alone, and not on its order. Once a plan is carried out, the next one has no phases.
 *
 * @param hosts what is known of each host of the cluster; one that is not among them is unknown
 * @throws ArgumentError `INVALID_ARGUMENT`
 */
export function planDeployment(
  cluster: ClusterDescription,
  hosts: readonly HostState[],
  { removeOthers = false }: DeploymentOptions = {},
): DeploymentPlan {
  const { applications, volumes: described = [], notes = [] } = parseCluster(cluster)
  if (new Set(hosts.map(({ host }) => host)).size !== hosts.length) throw new ArgumentError('A host is there twice')
  const wanted = applications.toSorted((a, b) => compareTexts(a.application.name, b.application.name))
  const sorted = hosts.map(inOneOrder).toSorted((a, b) => compareTexts(a.host, b.host))
  const volumes = volumesOf(wanted, described)
  const standings = new Map(volumes.map((volume) => [volume.name, standingOf(volume, sorted)]))
  const decisions = new Map<string, Decision>()
  const work: Work = { hosts: sorted, standings, wanted, volumes, decisions }
  for (const placed of wanted) decisions.set(placed.application.name, decideApplication(placed, work))
  refuseShared(work)
  let others = findOthers(work, removeOthers)
  let settled = settle(work, others)
  // What is refused keeps its other containers, which may hold something in turn.
  while (settled.refused.size > 0) {
    for (const [name, why] of settled.refused) decisions.set(name, { kind: 'blocked', code: 'taken', why })
    others = findOthers(work, removeOthers)
    settled = settle(work, others)
  }
  const sizes = planVolumes(work)
  return {
    phases: [
      { name: 'volumes' as const, actions: sizes.actions },
      { name: 'removals' as const, actions: others.remove },
      ...inOrder(actionsOf(work), settled.after),
    ].filter(({ actions }) => actions.length > 0),
    unchanged: wanted.flatMap(({ application: { name }, host }) => {
      const decision = decisions.get(name)
      return decision?.kind === 'unchanged' ? [{ application: name, host, ready: decision.ready }] : []
    }),
    blocked: [...blockedOf(decisions), ...sizes.blocked],
    left: others.left,
    unknown: sorted.flatMap((each) => (each.known ? [] : [{ host: each.host, why: each.why }])),
    notes,
  }
}

function inOneOrder(host: HostState): HostState {
  if (!host.known) return host
  const byName = (a: { name: string }, b: { name: string }): number => compareTexts(a.name, b.name)
  return { ...host, applications: host.applications.toSorted(byName), volumes: host.volumes.toSorted(byName) }
}

/** All volumes that applications use, by name, with what is said of them. */
function volumesOf(wanted: readonly PlacedApplication[], described: readonly VolumeDescription[]): VolumeDescription[] {
  const names = new Set(wanted.flatMap(({ application }) => (application.volumes ?? []).map(({ volume }) => volume)))
  return [...names].sort(compareTexts).map((name) => described.find((each) => each.name === name) ?? { name })
}

/** A volume that several wanted applications use stays where it is: they would all have to stop before it goes. */
function refuseShared({ wanted, decisions }: Work): void {
  for (const [name, decision] of [...decisions]) {
    if (decision.kind !== 'act' || decision.action.kind !== 'move') continue
    for (const volume of decision.action.volumes) {
      const other = wanted.find(({ application }) => application.name !== name && mounts(application, volume))
      if (other === undefined) continue
      const why = `${other.application.name} uses it too, and one application moves at a time`
      decisions.set(name, { kind: 'blocked', code: 'shared', why, volume })
      break
    }
  }
}

function actionsOf({ decisions }: Work): Map<string, ApplicationAction> {
  const acting = [...decisions].flatMap(([name, decision]) =>
    decision.kind === 'act' ? [[name, decision.action] as const] : [],
  )
  return new Map(acting)
}

interface Others {
  remove: Extract<DeploymentAction, { kind: 'remove' }>[]
  left: { application: string; host: string; why: string }[]
}

function settle(work: Work, { remove }: Others): ReturnType<typeof settleClaims> {
  const removed = new Set(remove.map(({ host, application }) => `${host} ${application}`))
  return settleClaims(actionsOf(work), work.hosts, removed)
}

/** Containers of ours that are not wanted where they are. */
function findOthers({ hosts, wanted, decisions, standings }: Work, removeOthers: boolean): Others {
  const others: Others = { remove: [], left: [] }
  for (const { host, applications } of knownHosts(hosts)) {
    for (const { name, description } of applications) {
      const placed = wanted.find(({ application }) => application.name === name)
      const decision = decisions.get(name)
      const moves = decision?.kind === 'act' && decision.action.kind === 'move' && decision.action.host === host
      if (placed?.host === host || decision?.kind === 'blocked' || moves) continue
      const lost = (description.volumes ?? []).find(({ volume }) => isLost(standings.get(volume)))
      const why = placed === undefined ? 'it is not described' : `it is wanted on ${placed.host}`
      if (lost !== undefined)
        others.left.push({ application: name, host, why: `${why}; it tells of ${lost.volume}, which is lost` })
      else if (removeOthers) others.remove.push({ kind: 'remove', host, application: name, why })
      else others.left.push({ application: name, host, why })
    }
  }
  return others
}

function isLost(standing: VolumeStanding | undefined): boolean {
  return standing?.kind === 'blocked' && standing.code === 'lost'
}

/** Volumes that are made, and those that may hold more or less from now on. */
function planVolumes({ volumes, standings, wanted, decisions }: Work): {
  actions: DeploymentAction[]
  blocked: Blocked[]
} {
  const actions: DeploymentAction[] = []
  const blocked: Blocked[] = []
  for (const volume of volumes) {
    const { name } = volume
    const standing = standings.get(name)
    const to = volume.quota === undefined ? undefined : quotaBytes(volume.quota)
    if (standing?.kind === 'absent') {
      const user = wanted.find(
        ({ application }) => mounts(application, name) && decisions.get(application.name)?.kind !== 'blocked',
      )
      if (user === undefined) continue
      const quota = to === undefined ? {} : { quota: to }
      actions.push({ kind: 'create', host: user.host, volume: { ...volume, ...quota }, why: 'no host has it' })
    } else if (standing?.kind === 'owned' && to !== undefined && standing.volume.size !== to) {
      const { host } = standing
      const { size: from, used, served } = standing.volume
      if (served === false)
        blocked.push({ code: 'not-served', volume: name, why: `${host} does not have it in service` })
      else if (used !== undefined && used > to) {
        blocked.push({ code: 'shrink', volume: name, why: `it holds ${used} bytes, and was to hold at most ${to}` })
      } else actions.push({ kind: 'resize', host, volume: name, from, to, why: 'its quota changed' })
    }
  }
  return { actions, blocked }
}

function blockedOf(decisions: ReadonlyMap<string, Decision>): Blocked[] {
  return [...decisions].flatMap(([application, decision]) => {
    if (decision.kind !== 'blocked') return []
    const { code, why, volume } = decision
    return [{ code, application, ...(volume === undefined ? {} : { volume }), why }]
  })
}

/** Moves first, then the rest, and each after what it waits for. */
function inOrder(
  actions: ReadonlyMap<string, ApplicationAction>,
  after: ReadonlyMap<string, ReadonlySet<string>>,
): DeploymentPhase[] {
  const ranks = new Map<string, number>()
  const rankOf = (name: string): number => {
    const known = ranks.get(name)
    if (known !== undefined) return known
    const before = [...(after.get(name) ?? [])].map((each) => rankOf(each) + 1)
    const rank = Math.max(actions.get(name)?.kind === 'move' ? 0 : 1, ...before)
    ranks.set(name, rank)
    return rank
  }
  const phases: DeploymentPhase[] = []
  const last = Math.max(-1, ...[...actions.keys()].map(rankOf))
  for (let rank = 0; rank <= last; rank++) {
    const name = rank === 0 ? 'moves' : rank === 1 ? 'starts' : 'later'
    phases.push({
      name,
      actions: [...actions].filter(([each]) => ranks.get(each) === rank).map(([, action]) => action),
    })
  }
  return phases
}
