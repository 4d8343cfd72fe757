import { type BuildProgress, estimate, type Phase } from './progress.js'

/** Follows a build through its phases and tells the listener, once a second and at every change of phase. */
export class Tracker implements Disposable {
  #index = 0
  #expected = 0
  #counted = 0
  #began = performance.now()
  readonly #started = performance.now()
  readonly #timer: NodeJS.Timeout

  constructor(
    readonly profile: string,
    readonly phases: readonly Phase[],
    readonly listener: (progress: BuildProgress) => void,
  ) {
    this.#timer = setInterval(() => this.#tell(), 1000)
  }

  /**
   * Begins a phase.
   * @param expected how many steps will be counted in it; 0 lets time stand for progress
   */
  begin(name: string, expected = 0): void {
    this.#index = this.phases.findIndex((phase) => phase.name === name)
    this.#expected = expected
    this.#counted = 0
    this.#began = performance.now()
    this.#tell()
  }

  /** Counts one step of the phase. */
  readonly count = (): void => {
    this.#counted += 1
  };

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #tell(): void {
    const phase = this.phases[this.#index]
    if (phase === undefined) return
    const now = performance.now()
    const byTime = (now - this.#began) / 1000 / phase.seconds
    const within = Math.min(this.#expected > 0 ? this.#counted / this.#expected : byTime, 0.99)
    const elapsedSeconds = (now - this.#started) / 1000
    const { fraction, remainingSeconds } = estimate(this.phases, this.#index, within, elapsedSeconds)
    this.listener({ profile: this.profile, phase: phase.name, fraction, elapsedSeconds, remainingSeconds })
  }
}
