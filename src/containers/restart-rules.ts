/** Whether a container that does not run is to be started: decisions without I/O. */
import type { RestartPolicy } from './application.js'
import type { ContainerInfo } from './info.js'

/** Runs of one container that ended soon after they had begun, one after the other. */
export interface Failures {
  count: number
  /** Unix milliseconds. */
  last: number
}

/** A container that ran for so long has not failed at once, in milliseconds. */
const soundMilliseconds = 10_000
const firstPause = 1000
const longestPause = 60_000

export type Verdict = { kind: 'start' } | { kind: 'stay' } | { kind: 'wait'; milliseconds: number }

/**
 * What to do with a container that is not running.
 * @param found `undefined` where there is none: it is to be made
 * @param policy when it is started again after it has ended by itself
 * @param epoch since which its host owns the volume
 * @param now Unix milliseconds
 */
export function verdictOn(
  found: Pick<ContainerInfo, 'state' | 'epoch' | 'exitStatus'> | undefined,
  policy: RestartPolicy,
  epoch: bigint,
  failures: Failures | undefined,
  now: number,
): Verdict {
  // Under an earlier owner it was stopped for reasons of its own; one that was made only has not run yet.
  const fresh = found === undefined || found.epoch !== epoch || found.state === 'created' || found.state === 'dead'
  if (!fresh && policy === 'no') return { kind: 'stay' }
  if (!fresh && policy === 'on-failure' && found.exitStatus === 0) return { kind: 'stay' }
  const milliseconds = failures === undefined ? 0 : failures.last + pauseAfter(failures.count) - now
  return milliseconds > 0 ? { kind: 'wait', milliseconds } : { kind: 'start' }
}

/** How long to wait after so many failures, in milliseconds. */
export function pauseAfter(count: number): number {
  return count === 0 ? 0 : Math.min(longestPause, firstPause * 2 ** (count - 1))
}

/** Counts an end. */
export function countEnd(
  before: Failures | undefined,
  { startedAt, endedAt }: Pick<ContainerInfo, 'startedAt' | 'endedAt'>,
): Failures {
  const last = endedAt?.getTime() ?? Date.now()
  if (before !== undefined && before.last === last) return before
  const sound = startedAt !== undefined && last - startedAt.getTime() >= soundMilliseconds
  return { count: sound ? 0 : (before?.count ?? 0) + 1, last }
}
