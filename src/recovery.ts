import { setTimeout as wait } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Unsettled } from './volumes/index.js'

/** What brings volumes to where they belong, in the background. */
export interface Recovery {
  stop(): Promise<void>
}

const firstMilliseconds = 1000
const mostMilliseconds = 30_000

/**
 * Tries again until nothing is left, and then looks now and then: a handoff of another process of this host may have been cut short.
 * @param now whether there is something to do already
 */
export function startRecovery(
  recover: (signal: AbortSignal) => Promise<Unsettled[]>,
  logger: Logger,
  now: boolean,
): Recovery {
  const stop = new AbortController()
  const run = async (): Promise<void> => {
    let pause = now ? 0 : mostMilliseconds
    for (;;) {
      await wait(pause, undefined, { signal: stop.signal, ref: false })
      const left = await attempt(recover, logger, stop.signal)
      pause = left === 0 ? mostMilliseconds : Math.min(mostMilliseconds, Math.max(firstMilliseconds, pause * 2))
    }
  }
  const running = run().catch((error) => {
    if (!stop.signal.aborted) logger.error({ err: error }, 'the recovery of volumes has ended')
  })
  return {
    stop: async () => {
      stop.abort()
      await running
    },
  }
}

async function attempt(
  recover: (signal: AbortSignal) => Promise<Unsettled[]>,
  logger: Logger,
  signal: AbortSignal,
): Promise<number> {
  try {
    const left = await recover(signal)
    for (const { volume, why } of left) logger.warn({ volume, err: why }, 'not settled yet: it is tried again')
    return left.length
  } catch (error) {
    if (signal.aborted) throw error
    logger.error({ err: error }, 'could not look after the volumes: it is tried again')
    return 1
  }
}
