import type { Probe } from './application.js'

/** Of who waits for an application: milliseconds between two tries, where it says nothing. */
export const waitingInterval = 100

/** A probe's times in milliseconds, with the documented ones where it says nothing; without a probe, those of who waits. */
export function probeTimes(probe: Probe | undefined): { intervalMilliseconds: number; timeoutMilliseconds: number } {
  const usual = probe?.kind === 'container' ? 30_000 : waitingInterval
  return {
    intervalMilliseconds: probe?.intervalMilliseconds ?? usual,
    timeoutMilliseconds: probe?.timeoutMilliseconds ?? 5000,
  }
}
