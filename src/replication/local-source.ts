import type { Logger } from 'pino'
import { getOwnProperties, getProperties } from '../datasets/index.js'
import { FlockerError, ZfsError } from '../errors.js'
import { destroySnapshots, type SendStream, sendSpace, snapshot as takeSnapshot } from '../lzc/index.js'
import { type Setting, tellable } from './choose-properties.js'
import { type HoldTags, releaseHeld } from './keep.js'
import { readInventory } from './local.js'
import { pendingProperty, sendingTag, snapshotName } from './names.js'
import { openStream } from './open-stream.js'
import type { IncrementalBase } from './planner/plan.js'
import { fullName, type Tree } from './planner/tree.js'
import { readTree } from './read-tree.js'
import { sendFlags, sendsRaw } from './send-flags.js'
import { confirmDelivery, secure, settleEarlier } from './settle.js'
import type { OnDestination, Outgoing, Source, SourceInventory, StreamOrder, Target } from './sides.js'

/** This host as a sending side. */
export class LocalSource implements Source {
  readonly #logger: Logger
  /** What {@link open} holds: it stays until the cursor has moved, so that nobody takes the snapshot for a stray. */
  #forStream: HoldTags = {}

  /**
   * @param destination the receiving host's identity, which marks and cursors name
   * @param datasetOf a volume's full name on this host
   * @param transfer whose log lines these are
   */
  constructor(
    readonly identity: string,
    private readonly destination: string,
    private readonly datasetOf: (volume: string) => string,
    transfer: string,
    private readonly logger: Logger,
  ) {
    this.#logger = logger.child({ transferId: transfer, peer: destination })
  }

  of(transfer: string): LocalSource {
    return new LocalSource(this.identity, this.destination, this.datasetOf, transfer, this.logger)
  }

  async inspect(volume: string, onDestination: OnDestination): Promise<SourceInventory> {
    const dataset = this.datasetOf(volume)
    const local = await readInventory(dataset)
    if (local === undefined) throw new ZfsError('NOT_FOUND', `${dataset} does not exist`, { dataset })
    await settleEarlier(local, this.destination, onDestination)
    return { ...local, raw: await sendsRaw(dataset) }
  }

  async takeSnapshot(volume: string): Promise<Target> {
    const taken = await this.takeSnapshots(volume, [''])
    return taken.get('') as Target
  }

  async readTree(volume: string, recursive: boolean, signal?: AbortSignal): Promise<Tree> {
    const dataset = this.datasetOf(volume)
    const tree = await readTree(dataset, recursive, this.destination, signal)
    if (tree.datasets.length > 0) return tree
    throw new ZfsError('NOT_FOUND', `${dataset} does not exist`, { dataset })
  }

  async takeSnapshots(volume: string, names: readonly string[]): Promise<Map<string, Target>> {
    const name = snapshotName(new Date())
    const root = this.datasetOf(volume)
    const snapshots = names.map((below) => `${fullName(root, below)}@${name}`)
    await takeSnapshot(snapshots, { [pendingProperty]: this.destination })
    const targets = new Map<string, Target>()
    for (const [i, snapshot] of snapshots.entries()) {
      const { guid, createtxg } = await getProperties(snapshot, ['guid', 'createtxg'])
      if (typeof guid?.value !== 'bigint' || typeof createtxg?.value !== 'bigint') {
        throw new FlockerError('INTERNAL', `${snapshot} has no GUID or createtxg`, { dataset: snapshot })
      }
      targets.set(names[i] as string, { name, guid: guid.value, createtxg: createtxg.value, ours: true })
    }
    return targets
  }

  checkTakes(): void {
    // One transaction, of any size.
  }

  async estimate({ volume, target, base }: Pick<StreamOrder, 'volume' | 'target' | 'base'>): Promise<bigint> {
    const dataset = this.datasetOf(volume)
    const from = base === undefined ? {} : { from: base.name }
    return sendSpace(`${dataset}@${target.name}`, { ...from, flags: await sendFlags(dataset) })
  }

  async open(order: StreamOrder, signal: AbortSignal): Promise<Outgoing<{ stream: SendStream }>> {
    const dataset = this.datasetOf(order.volume)
    const { target, base } = order
    const snapshot = `${dataset}@${target.name}`
    // What a clone comes from can't be destroyed before the clone is.
    const own = base?.kind === 'snapshot' && base.name.startsWith(`${dataset}@`) ? shortOf(base) : undefined
    this.#logger.debug({ dataset, snapshot, base: base?.name }, 'holding what the stream needs')
    await secure(dataset, this.destination, target, own)
    const properties = order.properties ? await this.#properties(dataset) : undefined
    const { forStream, ...outgoing } = await openStream(dataset, order, signal)
    this.#forStream = forStream
    return { ...outgoing, properties }
  }

  async #properties(dataset: string): Promise<Setting[]> {
    const { settings, cut } = tellable(await getOwnProperties(dataset))
    if (cut.length > 0) this.logger.warn({ dataset, cut }, 'there are more properties than can go with a stream')
    return settings
  }

  async confirm(volume: string, target: Target): Promise<void> {
    const dataset = this.datasetOf(volume)
    await confirmDelivery(dataset, this.destination, target, target.ours, this.#forStream)
    this.#logger.info({ dataset, snapshot: target.name, guid: String(target.guid) }, 'moved the cursor')
  }

  async withdraw(volume: string, target: Target): Promise<void> {
    const dataset = this.datasetOf(volume)
    const snapshot = `${dataset}@${target.name}`
    await releaseHeld({ [snapshot]: [sendingTag(this.destination)] })
    if (target.ours) await destroySnapshots([snapshot])
    this.#logger.info({ dataset, snapshot: target.name, destroyed: target.ours }, 'let go of what is not sent')
  }
}

/** A base by the part of its name after the `@`. */
function shortOf({ name, guid }: IncrementalBase): { name: string; guid: bigint } {
  return { name: name.slice(name.indexOf('@') + 1), guid }
}
