import type { Logger } from 'pino'
import { getProperties } from '../datasets/index.js'
import { FlockerError, ZfsError } from '../errors.js'
import { destroySnapshots, type SendStream, snapshot as takeSnapshot } from '../lzc/index.js'
import { readInventory } from './local.js'
import { pendingProperty, snapshotName } from './names.js'
import { openStream } from './open-stream.js'
import type { IncrementalBase } from './plan.js'
import { sendsRaw } from './send-flags.js'
import { confirmDelivery, letGo, secure, settleEarlier } from './settle.js'
import type { OnDestination, Outgoing, Source, SourceInventory, StreamOrder, Target } from './sides.js'

/** This host as a sending side. */
export class LocalSource implements Source {
  /**
   * @param destination the receiving host's identity, which marks and cursors name
   * @param datasetOf a volume's full name on this host
   */
  constructor(
    readonly identity: string,
    private readonly destination: string,
    private readonly datasetOf: (volume: string) => string,
    private readonly logger: Logger,
  ) {}

  async inspect(volume: string, onDestination: OnDestination): Promise<SourceInventory> {
    const dataset = this.datasetOf(volume)
    const local = await readInventory(dataset)
    if (local === undefined) throw new ZfsError('NOT_FOUND', `${dataset} does not exist`, { dataset })
    await settleEarlier(local, this.destination, onDestination)
    return { ...local, raw: await sendsRaw(dataset) }
  }

  async takeSnapshot(volume: string): Promise<Target> {
    const name = snapshotName(new Date())
    const fullName = `${this.datasetOf(volume)}@${name}`
    await takeSnapshot(fullName, { [pendingProperty]: this.destination })
    const { guid, createtxg } = await getProperties(fullName)
    if (typeof guid?.value !== 'bigint' || typeof createtxg?.value !== 'bigint') {
      throw new FlockerError('INTERNAL', `${fullName} has no GUID or createtxg`, { dataset: fullName })
    }
    return { name, guid: guid.value, createtxg: createtxg.value, ours: true }
  }

  async open(order: StreamOrder, signal: AbortSignal): Promise<Outgoing<{ stream: SendStream }>> {
    const dataset = this.datasetOf(order.volume)
    const { target, base } = order
    const snapshot = `${dataset}@${target.name}`
    this.logger.debug({ snapshot, base: base?.name }, 'holding what the stream needs')
    await secure(dataset, this.destination, target, base?.kind === 'snapshot' ? shortOf(base) : undefined)
    return openStream(dataset, order, signal)
  }

  async confirm(volume: string, target: Target): Promise<void> {
    await confirmDelivery(this.datasetOf(volume), this.destination, target, target.ours)
    this.logger.info({ snapshot: target.name, guid: String(target.guid) }, 'moved the cursor')
  }

  async withdraw(volume: string, target: Target): Promise<void> {
    const dataset = this.datasetOf(volume)
    await letGo(dataset, this.destination, target)
    if (target.ours) await destroySnapshots([`${dataset}@${target.name}`])
    this.logger.info({ snapshot: target.name, destroyed: target.ours }, 'let go of what is not sent')
  }
}

/** A base by the part of its name after the `@`. */
function shortOf({ name, guid }: IncrementalBase): { name: string; guid: bigint } {
  return { name: name.slice(name.indexOf('@') + 1), guid }
}
