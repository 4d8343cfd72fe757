import type { Tree } from './planner/tree.js'
import { isSend, type Step } from './planner/tree-plan.js'
import type { StepOutcome } from './run-steps.js'
import { isTransient } from './transient.js'

type Failed = Extract<StepOutcome, { kind: 'failed' }>

/** What became of the steps of a tree, attempt after attempt. */
export class TreeOutcomes {
  /** Done, or failed for good. */
  readonly #settled: StepOutcome[] = []
  /** Of the last attempt: what may be tried again. */
  #open: StepOutcome[] = []
  /** By the dataset on the source. */
  readonly #errors = new Map<string, unknown[]>()

  /** What failed for good: no attempt does anything with their datasets again, nor what needs them. */
  get refused(): Step[] {
    return this.#settled.filter(({ kind }) => kind === 'failed').map(({ step }) => step)
  }

  /** Whether something of a dataset of the source failed for good. */
  isRefused(source: string): boolean {
    return this.#settled.some(({ kind, step }) => kind === 'failed' && step.source === source)
  }

  /**
   * Begins an attempt with a new plan.
   * @param destination what was there when it was made
   * @returns what is to be run of it
   */
  begin(steps: readonly Step[], destination: Tree): Step[] {
    const planned = new Set(steps.map(identityOf))
    const there = new Set(destination.datasets.flatMap(({ snapshots }) => snapshots.map(({ guid }) => guid)))
    const refused = new Set(this.refused.map(({ source }) => source))
    for (const outcome of this.#open) {
      const { kind, step } = outcome
      if (refused.has(step.source)) this.#settled.push(outcome)
      if (kind !== 'failed' || planned.has(identityOf(step)) || (isSend(step) && !there.has(step.to.guid))) continue
      // Only the word that it was done did not come through.
      this.#settled.push({ kind: 'done', step, bytes: 0n, milliseconds: 0, propertiesLeftOut: [] })
    }
    this.#open = []
    return steps.filter(({ source }) => !refused.has(source))
  }

  /**
   * Ends an attempt.
   * @returns the first error of a step that may be tried again; `undefined` where there is none
   */
  end(outcomes: readonly StepOutcome[]): Error | undefined {
    for (const outcome of outcomes) {
      const settled = outcome.kind === 'done' || (outcome.kind === 'failed' && !this.#mayTryAgain(outcome))
      if (settled) this.#settled.push(outcome)
      else this.#open.push(outcome)
    }
    return this.#open.find((outcome): outcome is Failed => outcome.kind === 'failed')?.error
  }

  /** @param error why what was left could not be tried again */
  all(error?: Error): StepOutcome[] {
    const left = this.#open.map((outcome) =>
      error !== undefined && outcome.kind === 'failed' ? { ...outcome, error } : outcome,
    )
    return [...this.#settled, ...left]
  }

  #mayTryAgain({ step, error }: Failed): boolean {
    const earlier = this.#errors.get(step.source) ?? []
    const transient = isTransient(error, earlier)
    this.#errors.set(step.source, [...earlier, error])
    return transient
  }
}

/** A stream is that of its snapshot, whatever it starts from; another step is what it does to its dataset. */
function identityOf(step: Step): string {
  return isSend(step) ? `${step.source}@${step.to.guid}` : `${step.kind} ${step.source} ${step.destination}`
}
