/** Carries the plan of a deployment out. */
import { ArgumentError, ContainerError, NotSupportedError, throwIfAborted } from '../errors.js'
import type { Application } from './application.js'
import { quotaBytes } from './cluster.js'
import type { ActionOutcome, DeployOptions } from './deploy.js'
import type { DeploySide } from './deploy-sides.js'
import type { DeploymentAction, DeploymentPlan, HostState } from './deployment.js'
import { needsFirst } from './deployment-claims.js'
import { formatAction } from './format-deployment.js'
import { knownHosts } from './volume-standing.js'

interface HowTo extends Pick<DeployOptions, 'holdMilliseconds' | 'onAction'> {
  signal: AbortSignal
  image: 'stream' | 'pull' | 'require'
  readyMilliseconds: number
}

/** How many things a host is asked to do at a time. */
const atOnce = 4

/**
 * Does one phase after the other. What fails keeps back what depends on it, and nothing else.
 * @param hosts as they were when it was planned
 * @param sides those that can be reached, by identity
 * @throws AbortError: what was begun has ended, and was told to `onAction`; and what that throws
 */
export async function carryOut(
  plan: DeploymentPlan,
  hosts: readonly HostState[],
  sides: ReadonlyMap<string, DeploySide>,
  how: HowTo,
): Promise<ActionOutcome[]> {
  const outcomes: ActionOutcome[] = []
  for (const { actions } of plan.phases) {
    const before = outcomes.filter(({ state }) => state !== 'done')
    await eachByHost(actions, async (action) => {
      throwIfAborted(how.signal, 'The deployment')
      const kept = before.find((each) => needsFirst(action, each.action, hosts))
      const outcome = kept === undefined ? await attempt(action) : skipped(action, kept)
      outcomes.push(outcome)
      how.onAction?.(outcome)
    })
    throwIfAborted(how.signal, 'The deployment')
  }
  return outcomes

  async function attempt(action: DeploymentAction): Promise<ActionOutcome> {
    const began = performance.now()
    const ended = (): number => performance.now() - began
    try {
      await perform(action, hosts, sides, how)
      return { action, state: 'done', milliseconds: ended() }
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause))
      return { action, state: 'failed', milliseconds: ended(), error }
    }
  }
}

/** Some at a time on each host. Whatever one of them throws is thrown once all have ended. */
async function eachByHost(
  actions: readonly DeploymentAction[],
  run: (action: DeploymentAction) => Promise<void>,
): Promise<void> {
  const queues = new Map<string, DeploymentAction[]>()
  for (const action of actions) queues.set(action.host, [...(queues.get(action.host) ?? []), action])
  const worker = async (queue: DeploymentAction[]): Promise<void> => {
    for (let action = queue.shift(); action !== undefined; action = queue.shift()) await run(action)
  }
  const workers = [...queues.values()].flatMap((queue) => Array.from({ length: atOnce }, () => worker(queue)))
  for (const ended of await Promise.allSettled(workers)) if (ended.status === 'rejected') throw ended.reason
}

function skipped(action: DeploymentAction, { action: earlier, state }: ActionOutcome): ActionOutcome {
  const why = `It comes after what ${state === 'failed' ? 'has failed' : 'was not done'}: ${formatAction(earlier)}`
  return { action, state: 'skipped', milliseconds: 0, error: new ContainerError('NOT_DONE', why) }
}

async function perform(
  action: DeploymentAction,
  hosts: readonly HostState[],
  sides: ReadonlyMap<string, DeploySide>,
  { signal, image, readyMilliseconds, holdMilliseconds }: HowTo,
): Promise<void> {
  const side = sideOf(sides, action.host)
  const start = { signal, image, readyMilliseconds }
  switch (action.kind) {
    case 'create': {
      const { name, quota, properties, metadata } = action.volume
      const bytes = quota === undefined ? undefined : quotaBytes(quota)
      return side.create({ volume: name, quota: bytes, properties, metadata }, signal)
    }
    case 'resize':
      return side.resize(action.volume, action.to, signal)
    case 'remove':
      return side.remove(action.application, signal)
    case 'start':
    case 'routes':
      return side.start(action.application, { ...start, replace: false })
    case 'replace':
      return side.start(action.application, { ...start, replace: true })
    case 'move': {
      const { application, to, running } = action
      const { name } = application
      if (!sameVolumes(application, hosts, action.host)) {
        if (action.volumes.length > 0) throw otherVolumes(name)
        // Nothing of what it has goes along: it ends here, and begins there.
        await side.remove(name, signal)
        return sideOf(sides, to).start(application, { ...start, replace: false })
      }
      const hold = holdMilliseconds === undefined ? {} : { holdMilliseconds }
      return side.move(name, to, { signal, as: application, stopped: !running, image, readyMilliseconds, ...hold })
    }
  }
}

function sideOf(sides: ReadonlyMap<string, DeploySide>, identity: string): DeploySide {
  const side = sides.get(identity)
  if (side === undefined) throw new ArgumentError(`${identity} is not among the hosts that were asked`)
  return side
}

/** Whether it has the volumes where it is that it is to have. */
function sameVolumes(application: Application, hosts: readonly HostState[], at: string): boolean {
  const host = knownHosts(hosts).find((each) => each.host === at)
  const copy = host?.applications.find(({ name }) => name === application.name)
  const names = ({ volumes = [] }: Pick<Application, 'volumes'>): string => volumes.map((each) => each.volume).join(' ')
  return copy !== undefined && names(copy.description) === names(application)
}

function otherVolumes(name: string): NotSupportedError {
  return new NotSupportedError(`${name} is to move, and to have other volumes`, {
    next: 'Do one after the other: first deploy it where it is to be, and then with its other volumes.',
  })
}
