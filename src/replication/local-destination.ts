import type { Logger } from 'pino'
import { discardPartialReceive, getProperties, listDatasets, readResumeToken, unmount } from '../datasets/index.js'
import { ReplicationError } from '../errors.js'
import {
  type BeginRecord,
  create,
  exists,
  isEmbedded,
  parseBeginRecord,
  type ReceiveStream,
  receive,
  rename,
} from '../lzc/index.js'
import { type Admitted, admitProperties, type LeftOutProperty } from './admit-properties.js'
import { checkDestination, checkSpace, checkStream } from './check-destination.js'
import { busyMilliseconds, claimReceive, receiveClaim } from './claims.js'
import { keep, keepOnly } from './keep.js'
import { readInventory } from './local.js'
import { checkSnapshotName, checkVolumeName, receivedTag, timeStamp } from './names.js'
import { ensureParents } from './parents.js'
import type { LocalHost } from './peer.js'
import { newestFirst } from './planner/inventory.js'
import { readTree } from './read-tree.js'
import { prepareForProperties, replicaOptions } from './replica-properties.js'
import { rollBack } from './roll-back.js'
import type { Arrival, Destination, DestinationInventory, DestinationTree, Incoming, Received } from './sides.js'

/** This host as a receiving side: its replicas are read-only and unmounted. */
export class LocalDestination implements Destination {
  readonly #logger: Logger

  /**
   * @param about whose log lines these are
   * @param allows whether a dataset may be given a property that is held back otherwise; none unless said
   */
  constructor(
    private readonly settings: LocalHost,
    private readonly about: { transferId?: string; peer?: string } = {},
    private readonly allows: (dataset: string, property: string) => boolean = () => false,
  ) {
    this.#logger = settings.logger.child(about)
  }

  of(transferId: string): LocalDestination {
    return new LocalDestination(this.settings, { ...this.about, transferId }, this.allows)
  }

  get identity(): string {
    return this.settings.identity
  }

  /** The full name of a volume here. */
  datasetOf(volume: string): string {
    checkVolumeName(volume)
    return `${this.settings.root}/${volume}`
  }

  async inspect(volume: string): Promise<DestinationInventory> {
    const dataset = this.datasetOf(volume)
    // While a receive is at work the token says nothing: it is behind what has arrived.
    const release = await this.#claim(dataset)
    try {
      const inventory = await readInventory(dataset)
      if (inventory === undefined) return { dataset, exists: false, snapshots: [], complete: true }
      const snapshots = newestFirst(inventory.snapshots).map(({ name, guid, createtxg }) => ({ name, guid, createtxg }))
      return { dataset, exists: true, snapshots, complete: true, token: await readResumeToken(dataset) }
    } finally {
      release()
    }
  }

  async open(
    arrival: Arrival,
    record: Buffer,
    least: bigint,
    signal: AbortSignal,
  ): Promise<Incoming<{ sink: ReceiveStream }>> {
    const dataset = this.datasetOf(arrival.volume)
    checkSnapshotName(arrival.snapshot)
    const origin = this.#originOf(arrival)
    const begin = parseBeginRecord(record)
    await checkStream(dataset, begin)
    const release = await this.#claim(dataset)
    try {
      await checkDestination(dataset, begin, origin)
      await ensureParents(dataset, this.settings.root)
      if (least > 0n) await checkSpace(dataset, least)
      const marks = await this.settings.guard?.receiving(dataset, arrival.from)
      const snapshot = `${dataset}@${arrival.snapshot}`
      const admitted = this.#admit(dataset, arrival, begin)
      if (admitted.received !== undefined && (await exists(dataset))) await prepareForProperties(dataset, begin)
      const sink = receive(snapshot, {
        ...replicaOptions(begin, admitted, marks),
        ...(origin === undefined ? {} : { origin }),
        resumable: true,
        signal,
      })
      // Its outcome tells; an error that nobody listens to, before anything moves, would end the process.
      sink.on('error', () => undefined)
      return {
        body: { sink },
        outcome: this.#outcome(sink, dataset, arrival, begin, admitted.leftOut).finally(release),
      }
    } catch (error) {
      release()
      throw error
    }
  }

  async discardPartial(volume: string, token: string): Promise<void> {
    const dataset = this.datasetOf(volume)
    const release = await this.#claim(dataset)
    try {
      const found = (await exists(dataset)) ? await readResumeToken(dataset) : undefined
      if (found !== token) {
        throw new ReplicationError('PARTIAL_CHANGED', `What ${dataset} has of an interrupted receive is not that`, {
          dataset,
          next: 'Do it again: it will look anew.',
        })
      }
      await discardPartialReceive(dataset)
      this.#logger.info({ dataset }, 'discarded what an interrupted receive had left')
    } finally {
      release()
    }
  }

  async preserve(volume: string): Promise<string> {
    const dataset = this.datasetOf(volume)
    const release = await this.#claim(dataset)
    try {
      await this.settings.guard?.changing(dataset)
      const preserved = `${dataset}-preserved-${timeStamp(new Date())}`
      await moveTo(dataset, preserved)
      this.#logger.info({ dataset, preserved }, 'gave a diverged dataset another name')
      return preserved
    } finally {
      release()
    }
  }

  async rollback(volume: string, to: bigint, losing: readonly bigint[]): Promise<void> {
    const dataset = this.datasetOf(volume)
    const release = await this.#claim(dataset)
    try {
      await this.settings.guard?.changing(dataset)
      await rollBack(dataset, to, losing)
      this.#logger.info({ dataset, to: String(to), lost: losing.map(String) }, 'rolled back')
    } finally {
      release()
    }
  }

  async readTree(volume: string, recursive: boolean, signal?: AbortSignal): Promise<DestinationTree> {
    await this.settled(volume)
    return readTree(this.datasetOf(volume), recursive, undefined, signal)
  }

  /** Waits a while for receives into a volume or below it to end: while one is at work its token says nothing. */
  async settled(volume: string): Promise<void> {
    await this.settings.claims.settledWithin(receiveClaim(this.datasetOf(volume)), busyMilliseconds)
  }

  async rename(volume: string, to: string): Promise<void> {
    const [dataset, renamed] = [this.datasetOf(volume), this.datasetOf(to)]
    const release = await this.#claim(dataset)
    try {
      await this.settings.guard?.changing(dataset)
      await moveTo(dataset, renamed)
      this.#logger.info({ dataset, renamed }, 'gave a replica the name that its source has')
    } finally {
      release()
    }
  }

  async createParent(volume: string): Promise<void> {
    const dataset = this.datasetOf(volume)
    const release = await this.#claim(dataset)
    try {
      await ensureParents(dataset, this.settings.root)
      await create(dataset, { properties: { canmount: 'off' } })
      this.#logger.info({ dataset }, 'made an empty filesystem for replicas to be below')
    } finally {
      release()
    }
  }

  #originOf({ origin }: Arrival): string | undefined {
    if (origin === undefined) return undefined
    checkSnapshotName(origin.snapshot)
    return `${this.datasetOf(origin.volume)}@${origin.snapshot}`
  }

  #admit(dataset: string, { properties }: Arrival, { type }: BeginRecord): Admitted {
    if (properties === undefined) return { received: undefined, overrides: {}, leftOut: [] }
    return admitProperties(properties, type === 'volume' ? 'volume' : 'filesystem', (name) =>
      this.allows(dataset, name),
    )
  }

  async #outcome(
    sink: ReceiveStream,
    dataset: string,
    arrival: Arrival,
    { toguid }: BeginRecord,
    notAdmitted: readonly LeftOutProperty[],
  ): Promise<Received> {
    const { bytes, propertyErrors } = await sink.result
    const refused = Object.keys(propertyErrors).map((name) => ({ name, why: 'refused' as const }))
    const leftOut = [...notAdmitted, ...refused]
    if (leftOut.length > 0) {
      this.settings.logger.warn({ dataset, leftOut, errno: propertyErrors }, 'properties were left out')
    }
    const snapshot = `${dataset}@${arrival.snapshot}`
    const { guid } = await getProperties(snapshot)
    if (guid?.value === toguid) {
      await this.#keepBase(dataset, snapshot, arrival.from, toguid)
      return { guid: toguid, bytes, leftOut }
    }
    throw new ReplicationError('GUID_MISMATCH', `${snapshot} has GUID ${guid?.value} where ${toguid} was announced`, {
      dataset: snapshot,
    })
  }

  /** The next increment needs this snapshot as its base: first it is held, then those before are let go of. */
  async #keepBase(dataset: string, snapshot: string, from: string, guid: bigint): Promise<void> {
    await keep(snapshot, receivedTag(from))
    const inventory = await readInventory(dataset)
    await keepOnly(dataset, inventory?.snapshots ?? [], receivedTag(from), guid)
  }

  #claim(dataset: string): Promise<() => void> {
    return claimReceive(this.settings.claims, dataset)
  }
}

/** For a host that pulls: what its own options name in full may come in. */
export const asSaid = (): boolean => true

/** Renames a dataset and all below it, of which nothing stays mounted. */
async function moveTo(dataset: string, to: string): Promise<void> {
  if (!isEmbedded()) {
    const below: string[] = []
    const listing = { recursive: true, types: ['filesystem'] } as const
    for await (const { name } of listDatasets(dataset, listing)) below.unshift(name)
    for (const name of below) await unmount(name)
  }
  await rename(dataset, to)
}
