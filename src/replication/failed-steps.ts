import type { Step } from './tree-plan.js'

/**
 * Tells which steps of a plan can't be run because of those that failed, so that all the others can be. Whatever is left out is
 * added too: what needs it can't be run either. It rather leaves out one too many; the next plan has it.
 */
export class FailedSteps {
  readonly #sources = new Set<string>()
  /** Names on the destination that are not what the plan made of them, nor is anything below. */
  readonly #places = new Set<string>()

  add(step: Step): void {
    this.#sources.add(step.source)
    // A replica that could not be brought further is still there, for others to be below.
    if (step.kind !== 'incremental') this.#places.add(step.destination)
    if (step.kind === 'rename') this.#places.add(step.to)
  }

  blocks(step: Step): boolean {
    if (this.#sources.has(step.source) || this.#isAffected(step.destination)) return true
    if (step.kind === 'rename') return this.#isAffected(step.to)
    if (step.kind !== 'clone') return false
    const { after, origin } = step
    return (after !== undefined && this.#sources.has(after)) || this.#isAffected(origin.slice(0, origin.indexOf('@')))
  }

  #isAffected(name: string): boolean {
    for (let at = name; at !== ''; at = at.slice(0, Math.max(at.lastIndexOf('/'), 0))) {
      if (this.#places.has(at)) return true
    }
    return false
  }
}
