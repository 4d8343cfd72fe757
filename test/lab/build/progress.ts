/** How far a build is and how long it will still take: pure, so that it can be tested without building. */

/** A part of the build. */
export interface Phase {
  name: string
  /** Seconds it takes on two free processors; only the proportions between phases matter once some work is done. */
  seconds: number
}

/** Where a build is. */
export interface BuildProgress {
  profile: string
  phase: string
  /** Of the whole build, 0 to 1. */
  fraction: number
  elapsedSeconds: number
  remainingSeconds: number
}

/** Below this share of the work, the machine's own speed is not yet known and the plan's seconds are believed. */
const TRUSTED_FRACTION = 0.15

/**
 * Estimates from the work done so far.
 * @param index the phase that is running
 * @param within how much of that phase is done, 0 to 1
 * @param elapsed seconds since the first phase began
 */
export function estimate(phases: readonly Phase[], index: number, within: number, elapsed: number) {
  const total = phases.reduce((sum, phase) => sum + phase.seconds, 0)
  const before = phases.slice(0, index).reduce((sum, phase) => sum + phase.seconds, 0)
  const share = Math.min(Math.max(within, 0), 1)
  const done = before + share * (phases[index]?.seconds ?? 0)
  const fraction = total === 0 ? 1 : Math.min(done / total, 1)
  const planned = total - done
  const measured = done === 0 ? planned : (elapsed * planned) / done
  const trust = Math.min(fraction / TRUSTED_FRACTION, 1)
  return { fraction, remainingSeconds: planned * (1 - trust) + measured * trust }
}

/** Such as `newest: kernel 34 %, 2:05 elapsed, about 4:10 left`. */
export function describeProgress(progress: BuildProgress): string {
  const percent = Math.floor(progress.fraction * 100)
  const times = `${clock(progress.elapsedSeconds)} elapsed, about ${clock(progress.remainingSeconds)} left`
  return `${progress.profile}: ${progress.phase} ${percent} %, ${times}`
}

/** Minutes and seconds, such as `4:07`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`
}
