import { OwnershipError } from '../errors.js'
import { alone, handoffKey, type VolumesHost } from './context.js'
import { keepServing } from './custody.js'

/** What is out of service for peers that fetch it. It stays so no longer than the connection over which they have asked. */
export class Frozen {
  readonly #handoffs = new Map<string, { handoff: string; release: () => void }>()

  constructor(private readonly host: VolumesHost) {}

  /**
   * Takes a volume out of service by `stop`, until {@link end}.
   * @param connection its signal
   * @throws OwnershipError `HANDOFF_UNDER_WAY`, and whatever `stop` throws
   */
  async freeze(dataset: string, handoff: string, connection: AbortSignal, stop: () => Promise<void>): Promise<void> {
    if (this.#handoffs.get(dataset)?.handoff !== handoff) this.#begin(dataset, handoff)
    try {
      await alone(this.host, dataset, stop)
    } catch (error) {
      this.end(dataset, handoff)
      throw error
    }
    const lost = (): void => void this.#keep(dataset, handoff)
    if (connection.aborted) lost()
    else connection.addEventListener('abort', lost, { once: true })
  }

  /** It is released, or served again. */
  end(dataset: string, handoff: string): void {
    const held = this.#handoffs.get(dataset)
    if (held?.handoff !== handoff) return
    this.#handoffs.delete(dataset)
    held.release()
  }

  #begin(dataset: string, handoff: string): void {
    const release = this.host.claims.take(handoffKey(dataset))
    if (release === undefined) {
      throw new OwnershipError('HANDOFF_UNDER_WAY', `${dataset} is changing hands in this process`, { dataset })
    }
    this.#handoffs.set(dataset, { handoff, release })
  }

  async #keep(dataset: string, handoff: string): Promise<void> {
    const { logger } = this.host
    if (this.#handoffs.get(dataset)?.handoff !== handoff) return
    try {
      await alone(this.host, dataset, () => keepServing(this.host, dataset, handoff))
    } catch (error) {
      logger.error(
        { err: error, dataset, handoff },
        'could not go on serving: it is tried again with the next recovery',
      )
    } finally {
      this.end(dataset, handoff)
    }
  }
}
