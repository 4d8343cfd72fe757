/** Has a cluster be as it is described: asks all hosts, plans, and carries the plan out. */
import { throwIfAborted } from '../errors.js'
import { askHosts } from './ask-hosts.js'
import { carryOut } from './carry-out.js'
import { type ClusterDescription, parseCluster } from './cluster.js'
import type { ContainersHost } from './context.js'
import type { DeploymentAction, DeploymentPlan, HostState } from './deployment.js'
import { type DeploymentOptions, planDeployment } from './deployment-plan.js'

/** What `host.deploy()` can be told. */
export interface DeployOptions extends DeploymentOptions {
  /** What runs by then is ended where it can be: an application that is moved stays where it is, or goes on where it has come. */
  signal?: AbortSignal | undefined
  /** Only plan. */
  dryRun?: boolean | undefined
  /**
   * Where a host lacks an image: `stream`, the default: send it from the host that runs the application, or from this one. `pull`: have it
   * fetched from its registry. `require`: that is an error.
   */
  image?: 'stream' | 'pull' | 'require' | undefined
  /** How long an application may take to be ready, in milliseconds. Default: one minute. */
  readyMilliseconds?: number | undefined
  /** For how long clients of an application that moves may wait, in milliseconds. Default: one minute. */
  holdMilliseconds?: number | undefined
  /** How long a host may take to say what it has, in milliseconds; later it is unknown. Default: 30 seconds. */
  answerMilliseconds?: number | undefined
  /** Called before anything is done. What it throws ends the deployment: nothing was touched. */
  onPlan?: ((plan: DeploymentPlan, hosts: readonly HostState[]) => void | Promise<void>) | undefined
  /** Called as each action has ended. */
  onAction?: ((outcome: ActionOutcome) => void) | undefined
}

/** What became of one action. */
export interface ActionOutcome {
  action: DeploymentAction
  /** `skipped`: something that it needs was not done. */
  state: 'done' | 'failed' | 'skipped'
  milliseconds: number
  /** Why it is not done. */
  error?: Error
}

/** What a deployment has found and done. */
export interface DeployResult {
  plan: DeploymentPlan
  /** What was known of each host, on which the plan depends. */
  hosts: readonly HostState[]
  /** In the order in which they ended; none of a dry run. */
  actions: readonly ActionOutcome[]
  /** Whether all is as described now: nothing failed, nothing is blocked, and all that was left alone is ready. */
  converged: boolean
}

const defaultAnswer = 30_000
const defaultReady = 60_000

/** As `host.deploy()`. */
export async function deploy(
  context: ContainersHost,
  cluster: ClusterDescription,
  options: DeployOptions = {},
): Promise<DeployResult> {
  const { signal = new AbortController().signal, dryRun = false, removeOthers = false } = options
  const { answerMilliseconds = defaultAnswer, readyMilliseconds = defaultReady, holdMilliseconds } = options
  const described = parseCluster(cluster)
  throwIfAborted(signal, 'The deployment')
  const named = [...new Set(described.applications.map(({ host }) => host))]
  const { hosts, sides } = await askHosts(context, named, { signal, answerMilliseconds })
  const plan = planDeployment(described, hosts, { removeOthers })
  await options.onPlan?.(plan, hosts)
  if (dryRun) return { plan, hosts, actions: [], converged: isConverged(plan, []) }
  const { image = 'stream', onAction } = options
  const how = { signal, image, readyMilliseconds, holdMilliseconds, onAction }
  const actions = await carryOut(plan, hosts, sides, how)
  return { plan, hosts, actions, converged: isConverged(plan, actions) }
}

function isConverged({ phases, blocked, unchanged }: DeploymentPlan, outcomes: readonly ActionOutcome[]): boolean {
  const planned = phases.reduce((sum, { actions }) => sum + actions.length, 0)
  const done = outcomes.filter(({ state }) => state === 'done').length
  return done === planned && blocked.length === 0 && unchanged.every(({ ready }) => ready)
}
