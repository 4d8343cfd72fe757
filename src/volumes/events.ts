import { channel } from 'node:diagnostics_channel'
import type { Logger } from 'pino'

/** A step of what changes who owns a volume: each is either there in the pool or not. */
export type VolumeStep =
  | 'announce' // adds a peer to those that have a replica
  | 'freeze'
  | 'stop' // out of service
  | 'release' // the commit
  | 'thaw'
  | 'serve' // into service
  | 'ask'
  | 'take'
  | 'finish'
  | 'learn'
  | 'cutOff'
  | 'setAside'
  | 'promote'

/** A step of a volume's on this host, as it begins and ends. */
export interface VolumeEvent {
  /** The volume's full name here. */
  dataset: string
  step: VolumeStep
  at: 'begin' | 'end' | 'failed'
}

const events = channel('flocker-zfs:volume')

/**
 * Listens to the steps of all volumes of this process. They go through the diagnostics channel `flocker-zfs:volume` of Node.js.
 * @returns ends it
 */
export function onVolumeEvent(listener: (event: VolumeEvent) => void): () => void {
  const subscriber = (message: unknown): void => listener(message as VolumeEvent)
  events.subscribe(subscriber)
  return () => void events.unsubscribe(subscriber)
}

/** Takes a step, and tells of it. */
export async function takeStep<T>(
  logger: Logger,
  dataset: string,
  step: VolumeStep,
  run: () => Promise<T>,
): Promise<T> {
  const tell = (at: VolumeEvent['at']): void => events.publish({ dataset, step, at } satisfies VolumeEvent)
  tell('begin')
  try {
    const result = await run()
    logger.info({ volume: dataset, change: step }, sentences[step])
    tell('end')
    return result
  } catch (error) {
    logger.warn({ volume: dataset, change: step, err: error }, `could not: ${sentences[step]}`)
    tell('failed')
    throw error
  }
}

const sentences: Record<VolumeStep, string> = {
  announce: 'noted a peer that is to have a replica',
  freeze: 'began to give the volume away',
  stop: 'took the volume out of service',
  release: 'gave the volume away',
  thaw: 'kept the volume',
  serve: 'put the volume into service',
  ask: 'noted that the volume is asked for',
  take: 'became the owner',
  finish: 'the new owner knows',
  learn: 'learned who owns the volume',
  cutOff: 'made the volume a replica',
  setAside: 'kept what was not sent under another name',
  promote: 'was promoted to be the owner',
}
