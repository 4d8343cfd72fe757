import { type Finding, isSend, type Step, type TreePlan } from './tree-plan.js'

/** From here on a size is one that was subtracted below zero on its way, since no pool holds so much. */
const absurd = 2n ** 63n

/**
 * Prints a plan for people, as a dry run does: a line for each step with its reason below, then what nobody will do, then totals.
 *
 * @param sizes estimated stream sizes in bytes, by step; one that can't be (negative, or near 2^64) counts as unknown
 */
export function formatPlan(plan: TreePlan, sizes: ReadonlyMap<Step, bigint> = new Map()): string {
  const lines = [`${plan.source} -> ${plan.destination}`]
  for (const step of plan.steps) lines.push(stepLine(step, sizeOf(step, sizes)), `              ${step.why}`)
  lines.push(...formatFindings(plan.findings))
  lines.push(totals(plan, sizes))
  return `${lines.join('\n')}\n`
}

/** Prints findings as {@link formatPlan} does. */
export function formatFindings(findings: readonly Finding[]): string[] {
  return findings.flatMap(findingLines)
}

/**
 * The totals of a plan.
 * @returns `bytes` of the streams whose size is known; `unknown`, how many aren't
 */
export function planTotals(
  { steps }: TreePlan,
  sizes: ReadonlyMap<Step, bigint> = new Map(),
): { streams: number; bytes: bigint; unknown: number } {
  const streams = steps.filter(isSend)
  const known = streams.map((step) => sizeOf(step, sizes)).filter((size) => size !== undefined)
  const bytes = known.reduce((sum, size) => sum + size, 0n)
  return { streams: streams.length, bytes, unknown: streams.length - known.length }
}

function sizeOf(step: Step, sizes: ReadonlyMap<Step, bigint>): bigint | undefined {
  const size = sizes.get(step)
  return size === undefined || size < 0n || size >= absurd ? undefined : size
}

function stepLine(step: Step, size: bigint | undefined): string {
  const kind = step.kind.padEnd(12)
  if (step.kind === 'rename') return `${kind}  ${step.destination} -> ${step.to}${step.temporary ? ' (for now)' : ''}`
  if (step.kind === 'create' || step.kind === 'discard') return `${kind}  ${step.destination}`
  const from = 'from' in step && step.from !== undefined ? `${step.from.name} .. ` : ''
  const bytes = size === undefined ? '' : `  ${formatBytes(size)}`
  return `${kind}  ${from}${step.source}@${step.to.name} -> ${step.snapshot}${step.raw ? ' (raw)' : ''}${bytes}`
}

/** How many snapshots of a history are named. */
const namedPoints = 5

function findingLines(finding: Finding): string[] {
  const subject = finding.kind === 'orphan' ? finding.destination : `${finding.source} -> ${finding.destination}`
  const lines = [`! ${finding.kind.padEnd(12)}${subject}`, `              ${finding.why}`]
  if (finding.kind === 'blocked' && finding.wanted !== finding.destination) lines.push(detail('wanted', finding.wanted))
  if (finding.kind !== 'diverged') return lines
  const { common, onlyOnDestination, onlyOnSource } = finding
  lines.push(detail('last common', common === undefined ? 'none' : pointText(common)))
  lines.push(detail('only there', pointsText(onlyOnDestination)), detail('only here', pointsText(onlyOnSource)))
  return lines
}

function detail(label: string, text: string): string {
  return `              ${label}: ${text}`
}

function pointsText(points: readonly { name: string; guid: bigint }[]): string {
  if (points.length === 0) return 'nothing'
  const rest = points.length > namedPoints ? ` and ${points.length - namedPoints} more` : ''
  return `${points.slice(0, namedPoints).map(pointText).join(', ')}${rest}`
}

function pointText({ name, guid }: { name: string; guid: bigint }): string {
  return `@${name} guid ${guid}`
}

function totals(plan: TreePlan, sizes: ReadonlyMap<Step, bigint>): string {
  const { streams, bytes, unknown } = planTotals(plan, sizes)
  const others = plan.steps.length - streams
  if (plan.steps.length + plan.findings.length === 0) return 'Nothing to do: all is current.'
  const parts = [count(streams, 'stream'), ...(others > 0 ? [count(others, 'other step')] : [])]
  if (streams > unknown) parts.push(`${unknown > 0 ? 'at least ' : 'about '}${formatBytes(bytes)}`)
  if (streams > unknown && unknown > 0) parts.push(`${unknown} of unknown size`)
  if (plan.findings.length > 0) parts.push(count(plan.findings.length, 'finding'))
  return parts.join(', ')
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB']

/** A size in binary units with one decimal, such as `1.5 GiB`. */
export function formatBytes(bytes: bigint): string {
  let value = Number(bytes)
  let unit = 0
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024
  return unit === 0 ? `${bytes} B` : `${value.toFixed(1)} ${units[unit]}`
}
