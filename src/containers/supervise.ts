/** Looks after applications in the background: at once when something has changed, and now and then. */
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import type { ContainersHost } from './context.js'
import { ask } from './engine.js'
import { keepApplications } from './keep.js'
import { labelNames } from './labels.js'

const idleMilliseconds = 30_000
const busyMilliseconds = 1000

/** What looks after the applications of one host. */
export class Supervisor {
  readonly #stop = new AbortController()
  #nudge = new AbortController()
  readonly #running: Promise<unknown>

  constructor(private readonly context: ContainersHost) {
    const { logger } = context.host
    const log = (error: unknown): void => {
      if (!this.#stop.signal.aborted) logger.error({ err: error }, 'nobody looks after the applications any more')
    }
    this.#running = Promise.all([this.#look().catch(log), this.#listen().catch(log)])
  }

  /** Something has changed: look at once. */
  nudge(): void {
    this.#nudge.abort()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #look(): Promise<void> {
    const { signal } = this.#stop
    let pause = busyMilliseconds
    for (;;) {
      this.#nudge = new AbortController()
      const nudged = this.#nudge.signal
      const left = await this.#turn(signal)
      pause = left === 0 ? idleMilliseconds : Math.min(idleMilliseconds, Math.max(busyMilliseconds, pause * 2))
      await wait(pause, undefined, { signal: AbortSignal.any([signal, nudged]), ref: false }).catch((error) => {
        if (signal.aborted || error.name !== 'AbortError') throw error
      })
      if (left === 0 || nudged.aborted) pause = 0
    }
  }

  async #turn(signal: AbortSignal): Promise<number> {
    const { logger } = this.context.host
    try {
      const left = await keepApplications(this.context, signal)
      for (const { application, why } of left) {
        logger.warn({ application, err: why }, 'the application is not where it belongs yet: it is tried again')
      }
      return left.length
    } catch (error) {
      if (signal.aborted) throw error
      logger.error({ err: error }, 'could not look after the applications: it is tried again')
      return 1
    }
  }

  /** Hears from the engine when one of ours ends, or is started by another process. */
  async #listen(): Promise<void> {
    const { signal } = this.#stop
    for (;;) {
      try {
        const { docker } = await this.context.engine(signal)
        const label = [`${labelNames.host}=${this.context.identity}`]
        const filters = { type: ['container' as const], event: ['die', 'start'], label }
        const events = (await ask('tell of its events', { signal }, (abortSignal) =>
          docker.getEvents({ filters, abortSignal }),
        )) as Readable
        await this.#hear(events, signal)
      } catch (error) {
        if (signal.aborted) throw error
        this.context.host.logger.debug({ err: error }, 'the engine does not tell of its events')
      }
      await wait(busyMilliseconds, undefined, { signal, ref: false })
    }
  }

  async #hear(events: Readable, signal: AbortSignal): Promise<void> {
    const stop = (): void => void events.destroy()
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    const lines = createInterface({ input: events })
    lines.on('line', () => this.nudge())
    // The end of the stream says the same.
    lines.on('error', () => undefined)
    try {
      await once(events, 'close')
    } finally {
      lines.close()
      signal.removeEventListener('abort', stop)
    }
  }
}
