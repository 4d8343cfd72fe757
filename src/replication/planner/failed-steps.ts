import type { Step } from './tree-plan.js'

/**
 * Tells which steps of a plan can't be run because of those that failed, so that all the others can be. Whatever is left out is
 * added too: what needs it can't be run either. It rather leaves out one too many; the next plan has it.
 */
export class FailedSteps {
  readonly #sources = new Map<string, Step>()
  /** Names on the destination that are not what the plan made of them, nor is anything below. */
  readonly #places = new Map<string, Step>()

  /** @param because the step that failed, for one that was left out because of it */
  add(step: Step, because = step): void {
    this.#sources.set(step.source, because)
    // A replica that could not be brought further is still there, for others to be below.
    if (step.kind !== 'incremental') this.#places.set(step.destination, because)
    if (step.kind === 'rename') this.#places.set(step.to, because)
  }

  blocks(step: Step): boolean {
    return this.blocker(step) !== undefined
  }

  /** The failed step because of which this one can't be run. */
  blocker(step: Step): Step | undefined {
    const own = this.#sources.get(step.source) ?? this.#above(step.destination)
    if (own !== undefined) return own
    if (step.kind === 'rename') return this.#above(step.to)
    if (step.kind !== 'clone') return undefined
    const { after, origin } = step
    const before = after === undefined ? undefined : this.#sources.get(after)
    return before ?? this.#above(origin.slice(0, origin.indexOf('@')))
  }

  #above(name: string): Step | undefined {
    for (let at = name; at !== ''; at = at.slice(0, Math.max(at.lastIndexOf('/'), 0))) {
      const step = this.#places.get(at)
      if (step !== undefined) return step
    }
    return undefined
  }
}
