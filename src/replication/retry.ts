import { setTimeout as wait } from 'node:timers/promises'
import { ArgumentError, abortReason } from '../errors.js'
import type { Step } from './steps.js'
import { isTransient } from './transient.js'

/** How often and how soon to try again what failed for a reason that goes away by itself. */
export interface RetryOptions {
  /**
   * The most times in a row that it is tried again without anything having arrived in between; `Infinity` for as long as `signal`
   * allows.
   */
  attempts: number
  /** About how long to wait before the first; each further wait is twice as long. In milliseconds. Default: one second. */
  firstMilliseconds?: number
  /** The longest wait. In milliseconds. Default: one minute. */
  mostMilliseconds?: number
}

/** What comes before trying again. */
export interface Retry {
  /** 1 for the first time after something has arrived, or after the beginning. */
  attempt: number
  /** What the last one ended with. */
  error: unknown
  waitMilliseconds: number
}

/** Time and chance, for tests to have in hand. */
export interface Surroundings {
  wait(milliseconds: number, signal: AbortSignal | undefined): Promise<unknown>
  /** From 0 up to 1. */
  random(): number
}

const real: Surroundings = {
  wait: (milliseconds, signal) => wait(milliseconds, undefined, signal === undefined ? {} : { signal }),
  random: Math.random,
}

/**
 * How long to wait before trying again for the nth time in a row, in milliseconds: twice as long each time, less up to a half, so
 * that those who failed together don't come back together.
 * @param random from 0 up to 1
 */
export function backoffMilliseconds(
  { firstMilliseconds = 1000, mostMilliseconds = 60_000 }: Omit<RetryOptions, 'attempts'>,
  attempt: number,
  random: number,
): number {
  const longest = Math.min(mostMilliseconds, firstMilliseconds * 2 ** (attempt - 1))
  return Math.round(longest * (1 - random / 2))
}

/** @throws ArgumentError `INVALID_ARGUMENT` */
export function checkRetry({ attempts, firstMilliseconds = 0, mostMilliseconds = 0 }: RetryOptions): void {
  if (!(Number.isSafeInteger(attempts) || attempts === Number.POSITIVE_INFINITY) || attempts < 0) {
    throw new ArgumentError(`retry.attempts must be a whole number of at least zero, or Infinity, not ${attempts}`)
  }
  for (const milliseconds of [firstMilliseconds, mostMilliseconds]) {
    if (milliseconds >= 0 && milliseconds < 2 ** 31) continue
    throw new ArgumentError(`A wait is 0 to ${2 ** 31 - 1} milliseconds, not ${milliseconds}`)
  }
}

export interface Retrying {
  /** For messages. */
  what: string
  retry: RetryOptions | undefined
  signal: AbortSignal | undefined
  /** Called before each wait. */
  onRetry: (retry: Retry) => void
  /** Whether something has arrived since it was last asked. */
  advanced: () => boolean
  /** Whether it is tried again after this error, given those before. Default: `isTransient`. */
  judge?: (error: unknown, earlier: readonly unknown[]) => boolean
}

/**
 * Runs something until it succeeds, fails for a reason that does not go away by itself, or has been tried often enough.
 * @param run told how many times it was run before
 * @throws what the last run threw; AbortError, TimeoutError by the signal
 */
export async function retrying<T>(
  { what, retry = { attempts: 0 }, signal, onRetry, advanced, judge = isTransient }: Retrying,
  run: (before: number) => Promise<T>,
  { wait, random }: Surroundings = real,
): Promise<T> {
  const errors: unknown[] = []
  let attempt = 0
  for (;;) {
    try {
      return await run(errors.length)
    } catch (error) {
      if (advanced()) attempt = 0
      attempt += 1
      if (attempt > retry.attempts || signal?.aborted || !judge(error, errors)) throw error
      errors.push(error)
      const waitMilliseconds = backoffMilliseconds(retry, attempt, random())
      onRetry({ attempt, error, waitMilliseconds })
      await abortable(wait(waitMilliseconds, signal), signal, what)
    }
  }
}

async function abortable(waiting: Promise<unknown>, signal: AbortSignal | undefined, what: string): Promise<void> {
  try {
    await waiting
  } catch (error) {
    throw signal?.aborted ? abortReason(signal, what) : error
  }
}

/**
 * Notices that something of a replication has arrived for good: a stream was confirmed, or one goes on from further than it did
 * before.
 */
export class Advance {
  readonly #kept = new Map<bigint, bigint>()
  #advanced = false

  see(step: Step): void {
    if (step.step === 'streamDone') this.#advanced = true
    if (step.step !== 'streamBegun') return
    const before = this.#kept.get(step.guid)
    if (before !== undefined && step.kept > before) this.#advanced = true
    this.#kept.set(step.guid, step.kept)
  }

  /** Whether so since the last time this was asked. */
  take(): boolean {
    const advanced = this.#advanced
    this.#advanced = false
    return advanced
  }
}
