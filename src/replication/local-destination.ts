import { discardPartialReceive, getProperties, readResumeToken, unmount } from '../datasets/index.js'
import { ReplicationError } from '../errors.js'
import {
  type BeginRecord,
  exists,
  isEmbedded,
  parseBeginRecord,
  type ReceiveStream,
  receive,
  rename,
  version,
} from '../lzc/index.js'
import { checkDestination, checkSpace } from './check-destination.js'
import { newestFirst } from './inventory.js'
import { keep, keepOnly } from './keep.js'
import { readInventory } from './local.js'
import { checkSnapshotName, checkVolumeName, receivedTag, timeStamp } from './names.js'
import { ensureParents } from './parents.js'
import type { LocalHost } from './peer.js'
import { rollBack } from './roll-back.js'
import type { Arrival, Destination, DestinationInventory, Incoming, Received } from './sides.js'
import { checkReceivable } from './stream-support.js'

/**
 * How long a request waits for a receive of the same volume that is being cancelled, in milliseconds: a sender that is gone
 * without a word is noticed within eight seconds.
 */
const busyMilliseconds = 12_000

/** This host as a receiving side: its replicas are read-only and unmounted. */
export class LocalDestination implements Destination {
  constructor(private readonly settings: LocalHost) {}

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
    const begin = parseBeginRecord(record)
    checkReceivable(begin, (await version()).module, dataset)
    const release = await this.#claim(dataset)
    try {
      await checkDestination(dataset, begin)
      await ensureParents(dataset, this.settings.root)
      if (least > 0n) await checkSpace(dataset, least)
      const snapshot = `${dataset}@${arrival.snapshot}`
      const sink = receive(snapshot, { ...replicaOptions(begin), resumable: true, signal })
      return { body: { sink }, outcome: this.#outcome(sink, dataset, arrival, begin).finally(release) }
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
      this.settings.logger.info({ dataset }, 'discarded what an interrupted receive had left')
    } finally {
      release()
    }
  }

  async preserve(volume: string): Promise<string> {
    const dataset = this.datasetOf(volume)
    const release = await this.#claim(dataset)
    try {
      const preserved = `${dataset}-preserved-${timeStamp(new Date())}`
      if (!isEmbedded()) await unmount(dataset)
      await rename(dataset, preserved)
      this.settings.logger.info({ dataset, preserved }, 'gave a diverged dataset another name')
      return preserved
    } finally {
      release()
    }
  }

  async rollback(volume: string, to: bigint, losing: readonly bigint[]): Promise<void> {
    const dataset = this.datasetOf(volume)
    const release = await this.#claim(dataset)
    try {
      await rollBack(dataset, to, losing)
      this.settings.logger.info({ dataset, to: String(to), lost: losing.map(String) }, 'rolled back')
    } finally {
      release()
    }
  }

  async #outcome(sink: ReceiveStream, dataset: string, arrival: Arrival, { toguid }: BeginRecord): Promise<Received> {
    const { bytes } = await sink.result
    const snapshot = `${dataset}@${arrival.snapshot}`
    const { guid } = await getProperties(snapshot)
    if (guid?.value === toguid) {
      await this.#keepBase(dataset, snapshot, arrival.from, toguid)
      return { guid: toguid, bytes }
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

  async #claim(dataset: string): Promise<() => void> {
    const release = await this.settings.claims.takeWithin(`receive ${dataset}`, busyMilliseconds)
    if (release !== undefined) return release
    throw new ReplicationError('RECEIVER_BUSY', `${dataset} is receiving another stream`, { dataset })
  }
}

/** A replica must not change by itself: read-only, and mounted only when somebody asks for it. */
function replicaOptions(begin: BeginRecord): { overrides: Record<string, string>; raw: boolean } {
  const readonly = { readonly: 'on' }
  const overrides = begin.type === 'filesystem' ? { ...readonly, canmount: 'noauto' } : readonly
  return { overrides, raw: begin.features.includes('raw') }
}
