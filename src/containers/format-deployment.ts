/** Prints a deployment's plan for people. */
import { formatBytes } from '../replication/planner/format-plan.js'
import type { Blocked, DeploymentAction, DeploymentPlan } from './deployment.js'

/**
 * Prints a plan as a dry run does: a line for each action with its reason below, by phase; then what is not done and why, what is left as it
 * is, and totals.
 */
export function formatDeployment(plan: DeploymentPlan): string {
  const lines: string[] = []
  for (const [index, { name, actions }] of plan.phases.entries()) {
    lines.push(`${index + 1}. ${name}`)
    for (const action of actions) lines.push(`   ${actionLine(action)}`, `             ${action.why}`)
  }
  for (const each of plan.blocked) lines.push(`! blocked    ${subjectOf(each)}`, `             ${each.why}`)
  for (const { host, why } of plan.unknown) lines.push(`! unknown    ${host}`, `             ${why}`)
  for (const { application, host, why } of plan.left)
    lines.push(`- left       ${application} on ${host}`, `             ${why}`)
  for (const { application, host, ready } of plan.unchanged) {
    lines.push(`= unchanged  ${application} on ${host}${ready ? '' : ', not ready yet'}`)
  }
  for (const note of plan.notes) lines.push(`note: ${note}`)
  lines.push(totals(plan))
  return `${lines.join('\n')}\n`
}

/** Says in one line what an action does. */
export function formatAction(action: DeploymentAction): string {
  return actionLine(action).replace(/ {2,}/g, ' ')
}

function actionLine(action: DeploymentAction): string {
  const kind = action.kind.padEnd(9)
  const { host } = action
  if (action.kind === 'create') {
    const { name, quota } = action.volume
    return `${kind} ${name} on ${host}${quota === undefined ? '' : `, ${formatBytes(BigInt(quota))}`}`
  }
  if (action.kind === 'resize') {
    const from = action.from === undefined ? 'no limit' : formatBytes(action.from)
    return `${kind} ${action.volume} on ${host}: ${from} -> ${formatBytes(action.to)}`
  }
  if (action.kind === 'remove') return `${kind} ${action.application} on ${host}`
  const { name } = action.application
  if (action.kind !== 'move') return `${kind} ${name} on ${host}`
  const volumes = action.volumes.length === 0 ? '' : `, with ${action.volumes.join(', ')}`
  return `${kind} ${name}: ${host} -> ${action.to}${volumes}`
}

function subjectOf({ application, volume }: Blocked): string {
  if (application === undefined) return `the volume ${volume}`
  return volume === undefined ? application : `${application}, for its volume ${volume}`
}

function totals({ phases, blocked, unchanged }: DeploymentPlan): string {
  const actions = phases.reduce((sum, phase) => sum + phase.actions.length, 0)
  if (actions === 0 && blocked.length === 0) return 'Nothing to do: all is as described.'
  return `${actions} to do, ${unchanged.length} unchanged, ${blocked.length} blocked`
}
