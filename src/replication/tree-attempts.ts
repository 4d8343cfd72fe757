import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import { FlockerError, throwIfAborted } from '../errors.js'
import type { Delivered } from './deliver.js'
import { afterFailure, isAborted } from './failure.js'
import { planTree } from './planner/plan-tree.js'
import { fullName } from './planner/tree.js'
import { type Finding, isSend, type Step, type TreePlan } from './planner/tree-plan.js'
import type { Progress } from './progress.js'
import type { Common } from './push.js'
import type { TreeReplicationOptions, TreeReplicationResult } from './replicate.js'
import { Advance, retrying } from './retry.js'
import { runSteps, type StepOutcome } from './run-steps.js'
import { settleTree } from './settle-tree.js'
import type { Target } from './sides.js'
import { type Audience, announce, codeOf, type Step as Told } from './steps.js'
import { type StepContext, takeStep, type Unfinished } from './take-step.js'
import { isTransient } from './transient.js'
import { TreeOutcomes } from './tree-outcomes.js'
import { chooseSides, type Ends, type Sides } from './tree-sides.js'
import { type Trees, takeSnapshots, withdrawUnused } from './tree-snapshots.js'

/** How long an abort may take to reach the other host again, in milliseconds. */
const reachMilliseconds = 5000

/** What one attempt has of its own. */
interface Attempt {
  transfer: string
  sides: Sides
}

/** One replication of a tree: attempt after attempt, until nothing is left that may be tried again. */
export class TreeReplication {
  readonly #outcomes = new TreeOutcomes()
  readonly #advance = new Advance()
  /** GUIDs of the snapshots whose streams were begun, and that are dealt with by whatever those came to. */
  readonly #attempted = new Set<bigint>()
  /** Streams of earlier attempts of which the destination may have a part, by their snapshots. */
  readonly #unfinished = new Map<bigint, Unfinished>()
  #attempt: Attempt
  #taken: ReadonlyMap<string, Target> | undefined
  #plan: TreePlan | undefined
  #retries = 0

  constructor(
    private readonly volume: string,
    private readonly ends: Ends,
    private readonly options: TreeReplicationOptions,
    private readonly common: Common,
  ) {
    this.#attempt = this.#newAttempt()
  }

  async run(): Promise<TreeReplicationResult> {
    const started = performance.now()
    try {
      const error = await this.#tryAll()
      const result = this.#result(this.#outcomes.all(error), performance.now() - started)
      this.#tellEnd(result)
      return result
    } catch (error) {
      await this.#takeBack(error)
      this.#tell({ step: 'failed', error })
      throw error
    } finally {
      const { source } = this.#attempt.sides
      await withdrawUnused(source, this.volume, this.#taken ?? new Map(), this.#attempted, this.#logger())
    }
  }

  /** Attempt after attempt. Returns why something was not tried again that might have been. */
  async #tryAll(): Promise<FlockerError | undefined> {
    const { retry, signal } = this.options
    const { what, peer } = this.common
    let again: unknown
    let refused: unknown
    try {
      await retrying(
        {
          ...{ what, retry, signal },
          onRetry: (retried) => {
            this.#tell({ step: 'retrying', ...retried })
            try {
              this.options.onRetry?.(retried)
            } catch (error) {
              refused = error
              throw error
            }
          },
          advanced: () => this.#advance.take(),
          judge: (error, earlier) => error === again || isTransient(error, earlier),
        },
        async (before) => {
          this.#retries = before
          again = undefined
          if (before > 0) {
            this.#attempt = this.#newAttempt()
            await peer.reconnect(signal === undefined ? {} : { signal })
          }
          again = await this.#once()
          if (again !== undefined) throw again
        },
      )
    } catch (error) {
      throwIfAborted(signal, what)
      if (error === again) return undefined
      if (this.#plan === undefined || error === refused || !(error instanceof FlockerError)) throw error
      return error
    }
    return undefined
  }

  /** One attempt. Returns the error of a step that may be tried again. */
  async #once(): Promise<Error | undefined> {
    const { options } = this
    const { sides } = this.#attempt
    await this.#announce(this.volume)
    const trees = await readTrees(sides, options)
    const settling = { ...sides, sparing: this.#taken !== undefined }
    trees.source = await settleTree(settling, trees.source, trees.destination, this.#logger(), options.signal)
    this.#taken ??= await this.#takeSnapshots(sides, trees)
    const { findings, ...planned } = planTree(trees.source, trees.destination, options, (guid) =>
      this.#attempted.has(guid),
    )
    const isNews = (finding: Finding): boolean => !('source' in finding && this.#outcomes.isRefused(finding.source))
    const plan = { ...planned, findings: findings.filter(isNews) }
    this.#plan = plan
    this.#tellPlan(plan)
    const steps = this.#outcomes.begin(plan.steps, trees.destination)
    const outcomes = await this.#runSteps(steps, plan, trees)
    throwIfAborted(options.signal, this.common.what)
    return this.#outcomes.end(outcomes)
  }

  async #takeSnapshots(sides: Sides, trees: Trees): Promise<ReadonlyMap<string, Target>> {
    const taken = await takeSnapshots(sides, trees, this.options)
    for (const [name, { name: snapshot, guid }] of taken) this.#tell({ step: 'snapshotTaken', snapshot, guid }, name)
    return taken
  }

  async #runSteps(steps: readonly Step[], plan: TreePlan, trees: Trees): Promise<StepOutcome[]> {
    const { concurrency = 1, signal } = this.options
    let lost = false
    void this.common.peer.closed.then(() => {
      lost = true
    })
    const context = this.#context(plan, trees)
    const outcomes = await runSteps(steps, {
      concurrency,
      signal,
      refused: this.#outcomes.refused,
      isLost: () => lost,
      run: (step) => this.#runStep(context, step),
    })
    for (const outcome of outcomes) {
      if (outcome.kind !== 'left-out') continue
      this.#tellStep({ step: 'stepLeftOut', ...factsOf(outcome.step), because: outcome.because.destination })
    }
    return outcomes
  }

  async #runStep(context: Omit<StepContext, 'options'>, step: Step): Promise<Delivered> {
    const { onProgress, snapshot: _, retry: _retry, onRetry: _onRetry, ...others } = this.options
    const options = { ...others, onStep: (told: Told) => this.#onStep(told) }
    const reporting =
      onProgress === undefined || !isSend(step)
        ? {}
        : { onProgress: (progress: Progress) => onProgress({ ...progress, step }) }
    const started = performance.now()
    this.#tellStep({ step: 'stepBegun', ...factsOf(step), why: step.why })
    try {
      const delivered = await takeStep({ ...context, options: { ...options, ...reporting } }, step)
      const { bytes } = delivered
      this.#tellStep({ step: 'stepDone', ...factsOf(step), bytes, milliseconds: performance.now() - started })
      return delivered
    } catch (error) {
      this.#tellStep({ step: 'stepFailed', ...factsOf(step), error })
      throw error
    }
  }

  #context(plan: TreePlan, { source: tree, destination: there }: Trees): Omit<StepContext, 'options'> {
    const { self, limiter } = this.common
    const { sides, transfer } = this.#attempt
    const pending = new Set<bigint>()
    for (const { snapshots } of tree.datasets) for (const point of snapshots) if (point.pending) pending.add(point.guid)
    return {
      ...{ self, limiter, plan, pending, tokens: there.tokens, tree: transfer },
      ...{ source: sides.source, destination: sides.destination, volume: this.volume, claim: sides.claim },
      announce: (volume) => this.#announce(volume),
      loggerOf: (about) => this.#bind(about),
      keepsTarget: (target, failure) => this.#keeps(target, failure),
      onStream: (guid) => {
        this.#attempted.add(guid)
        this.#unfinished.delete(guid)
      },
      onUnfinished: (unfinished) => {
        // After an abort there is nothing left of it, or as much as is to stay.
        if (!this.options.signal?.aborted) this.#unfinished.set(unfinished.order.target.guid, unfinished)
      },
    }
  }

  /** Tells the peer who owns a volume, or hears it. */
  async #announce(volume: string): Promise<void> {
    const { peer } = this.common
    const { guard, root } = peer.host
    const dataset = fullName(root, volume)
    if (this.#attempt.sides.direction === 'to') await guard?.pushing(dataset, volume, peer, this.options.signal)
    else await guard?.pulling(dataset, volume, peer, this.options.signal)
  }

  /** All attempts send the snapshots of one moment. */
  #keeps({ guid }: Target, failure: unknown): boolean {
    const { retry, signal } = this.options
    const isOurs = [...(this.#taken?.values() ?? [])].some((target) => target.guid === guid)
    if (!isOurs || (retry?.attempts ?? 0) === 0 || signal?.aborted || !isTransient(failure)) return false
    this.#attempted.delete(guid)
    return true
  }

  /** For an abort between two attempts: removes what the one before has left for the next. */
  async #takeBack(failure: unknown): Promise<void> {
    const left = [...this.#unfinished.values()].filter(({ replication }) => isAborted(replication))
    if (left.length === 0) return
    try {
      await this.common.peer.reconnect({ signal: AbortSignal.timeout(reachMilliseconds) })
    } catch (error) {
      this.#logger().warn({ err: error }, 'what has arrived stays; the next replication settles it')
      return
    }
    for (const { replication, order } of left) {
      await afterFailure(replication, order, { welcomed: true, confirmed: false }, failure)
    }
  }

  #result(outcomes: StepOutcome[], milliseconds: number): TreeReplicationResult {
    const plan = this.#plan as TreePlan
    const count = (kind: StepOutcome['kind']): number => outcomes.filter((outcome) => outcome.kind === kind).length
    return {
      source: plan.source,
      destination: plan.destination,
      outcomes,
      findings: plan.findings,
      done: count('done'),
      failed: count('failed'),
      leftOut: count('left-out'),
      bytes: outcomes.reduce((sum, outcome) => sum + (outcome.kind === 'done' ? outcome.bytes : 0n), 0n),
      milliseconds,
      retries: this.#retries,
    }
  }

  // What it tells

  #newAttempt(): Attempt {
    const transfer = randomUUID()
    return { transfer, sides: chooseSides(this.volume, this.ends, transfer) }
  }

  #bind(about: { transferId: string; tree?: string; dataset: string }): Logger {
    const { host, identity } = this.common.peer
    return host.logger.child({ ...about, peer: identity })
  }

  #logger(): Logger {
    return this.#bind({ transferId: this.#attempt.transfer, dataset: this.common.dataset })
  }

  /** @param name of the dataset below the root */
  #audience(name = ''): Audience {
    const { peer } = this.common
    const { transfer: transferId, sides } = this.#attempt
    const side = sides.direction === 'to' ? 'send' : 'receive'
    return {
      about: { transferId, volume: fullName(this.volume, name), peer: peer.identity, side },
      logger: this.#bind({ transferId, dataset: fullName(this.common.dataset, name) }),
      onStep: (step) => this.#onStep(step),
    }
  }

  #onStep(step: Told): void {
    this.#advance.see(step)
    this.options.onStep?.(step)
  }

  #tell(step: Told, name?: string): void {
    announce(this.#audience(name), step)
  }

  #tellStep(step: Extract<Told, { source: string }>): void {
    const { source, destination } = this.#plan as TreePlan
    const [dataset, root] =
      this.#attempt.sides.direction === 'to' ? [step.source, source] : [step.destination, destination]
    this.#tell(step, dataset.slice(root.length + 1))
  }

  #tellPlan({ steps, findings, destination: root }: TreePlan): void {
    this.#tell({ step: 'treePlanned', steps: steps.length, findings: findings.length })
    for (const { kind: finding, destination, why } of findings) {
      this.#tell({ step: 'found', finding, destination, why }, destination.slice(root.length + 1))
    }
  }

  #tellEnd({ outcomes, done, failed, leftOut, bytes, milliseconds }: TreeReplicationResult): void {
    const failure = outcomes.find((outcome) => outcome.kind === 'failed')
    const code = failure?.kind === 'failed' ? codeOf(failure.error) : 'OK'
    this.#tell({ step: 'treeDone', ...{ code, done, failed, leftOut, bytes, milliseconds } })
  }
}

/** Asks either side what it has. */
export async function readTrees(
  { source, destination, volume }: Sides,
  { recursive = true, signal }: TreeReplicationOptions,
): Promise<Trees> {
  const there = await destination.readTree(volume, recursive, signal)
  return { source: await source.readTree(volume, recursive, signal), destination: there }
}

function factsOf({ kind, source, destination }: Step): Pick<Step, 'kind' | 'source' | 'destination'> {
  return { kind, source, destination }
}
