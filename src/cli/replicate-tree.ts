/** `flocker-zfs push --recursive`, `pull --recursive` and `plan`: replication of a volume and all below it. */
import { Command, InvalidArgumentError } from 'commander'
import { FlockerError } from '../errors.js'
import type { Host } from '../host.js'
import {
  formatBytes,
  formatFindings,
  formatPlan,
  type Peer,
  planReplication,
  type ReplicationPlan,
  replicate,
  type StepOutcome,
  type TreeProgress,
  type TreeReplicationOptions,
  type TreeReplicationResult,
} from '../replication/index.js'
import { type ProgressView, progressView } from './bar.js'
import { bigintAsText } from './json.js'
import { type HostFlags, withHostFlags } from './options.js'
import { withPeer } from './session.js'
import { describeLeftOut, type StreamFlags, streamOptions } from './stream-flags.js'

/** Whether the volume goes to the peer, or comes from there. */
export type Direction = 'to' | 'from'

export interface TreeFlags {
  recursive?: boolean
  dryRun?: boolean
  existing?: boolean
  concurrency?: number
  initial?: 'most-recent' | 'all' | 'fail'
  intermediate?: boolean
  discardPartial?: boolean
  json?: boolean
}

/** Gives a command the options of a replication of whole trees. */
export function addTreeFlags(command: Command): Command {
  return command
    .option('--existing', 'of trees: send what snapshots there are, and take none')
    .option('--concurrency <number>', 'of trees: how many streams may flow at once', parseCount)
    .option('--initial <which>', 'of trees, what to send first of a dataset: most-recent, all or fail', parseInitial)
    .option('--no-intermediate', 'of trees: leave out the snapshots in between')
    .option('--discard-partial', 'discard what an interrupted run has left there, in place of going on with it')
    .option('--json', 'print the result as JSON')
}

/** `flocker-zfs plan VOLUME HOST`: what a recursive push would do, or a pull. */
export function planCommand(): Command {
  const command = withHostFlags(new Command('plan'))
    .description('Say what push --recursive would do, or pull --recursive, without doing any of it')
    .argument('<volume>', 'name of the volume, below the root')
    .argument('<host>', 'the peer: HOST or HOST:PORT')
    .option('--pull', 'from the peer to here')
  const run = (volume: string, address: string, flags: TreeFlags & HostFlags & { pull?: boolean }) =>
    planOnly(flags.pull ? 'from' : 'to', volume, address, { ...flags, recursive: true })
  return addTreeFlags(command).action(run)
}

export async function planOnly(
  direction: Direction,
  volume: string,
  address: string,
  flags: TreeFlags & HostFlags,
): Promise<void> {
  await withPeer(flags, address, async (host, peer, signal) => {
    const plan = await planReplication(volume, ends(direction, host, peer), { ...treeOptions(flags), signal })
    if (flags.json) console.log(planAsJson(plan))
    else process.stdout.write(formatPlan(plan, plan.sizes))
  })
}

export async function replicateWhole(
  direction: Direction,
  volume: string,
  address: string,
  flags: TreeFlags & StreamFlags & HostFlags,
  retry: Pick<TreeReplicationOptions, 'retry' | 'onRetry'>,
): Promise<void> {
  await withPeer(flags, address, async (host, peer, signal) => {
    const views = new Views()
    try {
      const told = { ...treeOptions(flags), ...streamOptions(flags), ...retry }
      const options = { ...told, signal, onAbort: 'keep', onProgress: views.update } as const
      const result = await replicate(volume, ends(direction, host, peer), options)
      views.end()
      if (flags.json) console.log(JSON.stringify(result, errorsToo))
      else process.stdout.write(describe(result))
      if (!isWhole(result)) process.exitCode = 1
    } finally {
      views.end()
    }
  })
}

/** A line for each stream in turn; of several at once, for the one that began last. */
class Views {
  #step: TreeProgress['step'] | undefined
  #view: ProgressView | undefined

  readonly update = (progress: TreeProgress): void => {
    if (progress.step !== this.#step) {
      this.end()
      this.#step = progress.step
      this.#view = progressView(progress.step.source)
    }
    this.#view?.update(progress)
  }

  end(): void {
    this.#view?.end()
    this.#view = undefined
  }
}

function ends(direction: Direction, host: Host, peer: Peer) {
  return direction === 'to' ? { from: host, to: peer } : { from: peer, to: host }
}

function treeOptions(flags: TreeFlags): TreeReplicationOptions {
  return {
    recursive: flags.recursive ?? false,
    snapshot: flags.existing ? 'existing' : 'now',
    partial: flags.discardPartial ? 'discard' : 'resume',
    intermediate: flags.intermediate === false ? 'none' : 'all',
    ...(flags.concurrency === undefined ? {} : { concurrency: flags.concurrency }),
    ...(flags.initial === undefined ? {} : { initial: flags.initial }),
  }
}

/** Each step with its size, where that is known. */
function planAsJson({ sizes, steps, ...plan }: ReplicationPlan): string {
  return JSON.stringify({ ...plan, steps: steps.map((step) => ({ ...step, bytes: sizes.get(step) })) }, bigintAsText)
}

function describe(result: TreeReplicationResult): string {
  const { outcomes, findings, done, failed, leftOut, bytes, milliseconds, retries } = result
  const lines = outcomes.flatMap(describeOutcome)
  lines.push(...formatFindings(findings))
  const others = [failed > 0 ? `${failed} failed` : '', leftOut > 0 ? `${leftOut} left out` : ''].filter(Boolean)
  const counts = [`${done} ${done === 1 ? 'step' : 'steps'} done`, ...others].join(', ')
  const again = retries > 0 ? `, tried again ${retries === 1 ? 'once' : `${retries} times`}` : ''
  lines.push(`${counts}; ${formatBytes(bytes)} in ${(milliseconds / 1000).toFixed(1)} s${again}`)
  return `${lines.join('\n')}\n`
}

function describeOutcome(outcome: StepOutcome): string[] {
  const { kind, step } = outcome
  const what = `${step.kind.padEnd(12)}  ${'snapshot' in step ? step.snapshot : step.destination}`
  if (kind === 'done')
    return [what, ...describeLeftOut(outcome.propertiesLeftOut).map((line) => `              ${line}`)]
  if (kind === 'left-out') return [`! left out    ${what}`, `              for ${outcome.because.destination} failed`]
  const { error } = outcome
  const code = error instanceof FlockerError ? ` [${error.code}]` : ''
  return [
    `! failed      ${what}`,
    `              ${error.name}${code} ${error.message.replaceAll('\n', '\n              ')}`,
  ]
}

/** Nothing was left undone but what the source has no snapshot of, and what it does not have. */
function isWhole({ failed, leftOut, findings }: TreeReplicationResult): boolean {
  return failed + leftOut === 0 && findings.every(({ kind }) => kind === 'orphan' || kind === 'no-snapshot')
}

function errorsToo(key: string, value: unknown): unknown {
  if (!(value instanceof Error)) return bigintAsText(key, value)
  const { name, message } = value
  return { ...value, name, message }
}

function parseCount(text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError('a number from 1 on')
  return count
}

function parseInitial(text: string): NonNullable<TreeFlags['initial']> {
  if (text === 'most-recent' || text === 'all' || text === 'fail') return text
  throw new InvalidArgumentError('most-recent, all or fail')
}
