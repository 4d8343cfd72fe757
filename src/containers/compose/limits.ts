/** What a service may use, and whether it is started again: `deploy`, and the keys of a service that say the same. */
import type { RestartPolicy } from '../application.js'
import type { Fields } from './fields.js'
import { parseByteValue } from './quantities.js'

/** What `deploy` and its older forms say. */
export interface Limits {
  cpus?: number
  memory?: number
  restart: RestartPolicy
}

/** @param note is told what is read as something that is not quite the same */
export function readLimits(service: Fields, note: (text: string) => void): Limits {
  const deploy = service.fields('deploy')
  const resources = deploy?.fields('resources')
  const limits = resources?.fields('limits')
  const policy = deploy?.fields('restart_policy')
  const condition = policy?.text('condition')
  if (deploy !== undefined) readScale(deploy)
  const cpus = both(service.number('cpus'), limits, limits?.number('cpus'), 'cpus')
  const memory = both(bytes(service, 'mem_limit'), limits, limits && bytes(limits, 'memory'), 'memory')
  const fromPolicy = policy && readCondition(policy, condition ?? 'any')
  const fromService = readRestart(service, note)
  const restart = both(fromService, policy, fromPolicy, 'condition') ?? 'no'
  limits?.rest()
  resources?.rest()
  policy?.rest()
  deploy?.rest({ placement: 'say x-flocker: { host: HOST }' })
  return { ...(cpus === undefined ? {} : { cpus }), ...(memory === undefined ? {} : { memory }), restart }
}

function bytes(fields: Fields, name: string): number | undefined {
  return fields.parsed(name, parseByteValue, 'a size such as 512m or 2g')
}

function readScale(deploy: Fields): void {
  const replicas = deploy.number('replicas')
  if (replicas !== undefined && replicas !== 1) {
    deploy.problem('replicas', `not supported: ${replicas} of it; an application runs once`)
  }
  const mode = deploy.text('mode')
  if (mode !== undefined && mode !== 'replicated') {
    deploy.problem('mode', `not supported: ${mode}; an application runs once`)
  }
}

/** What two keys may say, as long as they don't contradict each other. */
function both<T>(
  ofService: T | undefined,
  deploy: Fields | undefined,
  ofDeploy: T | undefined,
  name: string,
): T | undefined {
  if (ofService !== undefined && ofDeploy !== undefined && ofService !== ofDeploy) {
    deploy?.problem(name, `says ${ofDeploy}, and the service itself ${ofService}`)
  }
  return ofService ?? ofDeploy
}

function readRestart(service: Fields, note: (text: string) => void): RestartPolicy | undefined {
  const text = service.text('restart')
  if (text === undefined || text === 'no' || text === 'always' || text === 'on-failure') return text
  if (text === 'false') return 'no'
  if (text === 'unless-stopped') {
    note(`${service.map.path}.restart: unless-stopped is taken as always`)
    return 'always'
  }
  service.problem('restart', `not supported: ${JSON.stringify(text)}; no, on-failure and always are`)
  return undefined
}

function readCondition(policy: Fields, condition: string): RestartPolicy | undefined {
  if (condition === 'any') return 'always'
  if (condition === 'none') return 'no'
  if (condition === 'on-failure') return condition
  policy.problem('condition', `not supported: ${JSON.stringify(condition)}; none, on-failure and any are`)
  return undefined
}
