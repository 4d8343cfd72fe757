import type { LeftOutProperty } from './admit-properties.js'
import type { Delivered } from './deliver.js'
import { FailedSteps } from './planner/failed-steps.js'
import { isSend, type Step } from './planner/tree-plan.js'

/** What became of a step of a plan. */
export type StepOutcome =
  | {
      kind: 'done'
      step: Step
      /** Stream bytes sent. */
      bytes: bigint
      milliseconds: number
      /** Properties that were to go with the stream, and that the receiving host left out. */
      propertiesLeftOut: readonly LeftOutProperty[]
    }
  | { kind: 'failed'; step: Step; error: Error }
  /** It was not begun, for it needs what another step did not bring, or that one lost the connection. */
  | { kind: 'left-out'; step: Step; because: Step }

export interface RunOptions {
  /** How many streams flow at once. */
  concurrency: number
  /** Runs a step; what came of its stream. */
  run: (step: Step) => Promise<Delivered>
  /** Asked after a failure: whether nothing more can be done. */
  isLost: () => boolean
  /** No step begins once it has fired. */
  signal: AbortSignal | undefined
  /** Steps that have failed before: what needs them is left out. */
  refused?: readonly Step[]
}

/**
 * Runs the steps of a plan, each when those that it needs are done. Steps that send may overlap; any other waits for all before it, and
 * all after it wait. What fails is told, and does not stop what can do without it.
 *
 * @returns outcomes in the plan's order; where `signal` has fired, only of what had begun
 */
export async function runSteps(steps: readonly Step[], options: RunOptions): Promise<StepOutcome[]> {
  const outcomes = await new StepRunner(steps, options).run()
  return steps.flatMap((step) => outcomes.get(step) ?? [])
}

class StepRunner {
  readonly #waiting: Set<Step>
  readonly #running = new Map<Step, Promise<void>>()
  readonly #failed = new FailedSteps()
  readonly #outcomes = new Map<Step, StepOutcome>()

  constructor(
    steps: readonly Step[],
    private readonly options: RunOptions,
  ) {
    this.#waiting = new Set(steps)
    for (const step of options.refused ?? []) this.#failed.add(step)
    this.#leaveOut(undefined)
  }

  async run(): Promise<ReadonlyMap<Step, StepOutcome>> {
    for (;;) {
      this.#begin()
      if (this.#running.size === 0) return this.#outcomes
      await Promise.race(this.#running.values())
    }
  }

  #begin(): void {
    while (this.#running.size < this.options.concurrency && !this.options.signal?.aborted) {
      const step = this.#next()
      if (step === undefined) return
      this.#waiting.delete(step)
      this.#running.set(
        step,
        this.#attempt(step).then(() => void this.#running.delete(step)),
      )
    }
  }

  async #attempt(step: Step): Promise<void> {
    const started = performance.now()
    try {
      const delivered = await this.options.run(step)
      this.#outcomes.set(step, { kind: 'done', step, ...delivered, milliseconds: performance.now() - started })
    } catch (error) {
      this.#outcomes.set(step, {
        kind: 'failed',
        step,
        error: error instanceof Error ? error : new Error(String(error)),
      })
      this.#failed.add(step)
      this.#leaveOut(this.options.isLost() ? step : undefined)
    }
  }

  /** Gives up what needs a step that has failed; or, because of one that lost the connection, everything. */
  #leaveOut(lost: Step | undefined): void {
    for (const step of this.#waiting) {
      const because = this.#failed.blocker(step) ?? lost
      if (because === undefined) continue
      this.#waiting.delete(step)
      this.#failed.add(step, because)
      this.#outcomes.set(step, { kind: 'left-out', step, because })
    }
  }

  /** The first step that needs none of those that are at work or wait before it. */
  #next(): Step | undefined {
    const ahead = new FailedSteps()
    for (const step of this.#running.keys()) {
      if (!isSend(step)) return undefined
      ahead.add(step)
    }
    for (const step of this.#waiting) {
      // What renames and makes datasets changes the names of many others.
      if (!isSend(step)) return this.#running.size === 0 && step === firstOf(this.#waiting) ? step : undefined
      if (!ahead.blocks(step)) return step
      ahead.add(step)
    }
    return undefined
  }
}

function firstOf<T>(items: Iterable<T>): T | undefined {
  for (const item of items) return item
  return undefined
}
