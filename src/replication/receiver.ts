import type { Logger } from 'pino'
import type { z } from 'zod'
import { getProperties } from '../datasets/index.js'
import { DivergedError, FlockerError, ReplicationError, ZfsError } from '../errors.js'
import { type BeginRecord, exists, parseBeginRecord, receive, version } from '../lzc/index.js'
import { authorize, type Handler, handle, type RequestContext, type Rule } from '../transport/index.js'
import type { Claims } from './claims.js'
import { newestFirst } from './inventory.js'
import { readInventory } from './local.js'
import { inspectVolume, maxListedSnapshots, receiveVolume } from './messages.js'
import { checkSnapshotName, checkVolumeName } from './names.js'
import { ensureParents } from './parents.js'
import { checkReceivable } from './stream-support.js'

/** What a receiving host needs to know of itself. */
export interface ReceiverSettings {
  /** The dataset below which volumes live, such as `tank/flocker`. */
  root: string
  rules: readonly Rule[]
  claims: Claims
  logger: Logger
}

/** How long a receive waits for one of the same volume that is being cancelled, in milliseconds. */
const busyMilliseconds = 5000

/** The receiving side of a push: answers what this host has, and receives into read-only, unmounted replicas. */
export class Receiver {
  constructor(private readonly settings: ReceiverSettings) {}

  handlers(): Handler[] {
    return [
      handle(inspectVolume, ({ volume }, { peer }) => this.#inspect(volume, peer)),
      handle(receiveVolume, (params, context) => this.#receive(params, context)),
    ]
  }

  async #inspect(volume: string, peer: string) {
    const dataset = this.#authorized(volume, peer, 'inspect')
    const inventory = await readInventory(dataset)
    if (inventory === undefined) return { dataset, exists: false, snapshots: [], complete: true }
    const snapshots = newestFirst(inventory.snapshots).map(({ name, guid, createtxg }) => ({ name, guid, createtxg }))
    return {
      dataset,
      exists: true,
      snapshots: snapshots.slice(0, maxListedSnapshots),
      complete: snapshots.length <= maxListedSnapshots,
    }
  }

  async #receive(params: ReceiveParams, context: ReceiveContext): Promise<{ guid: bigint; bytes: bigint }> {
    const dataset = this.#authorized(params.volume, context.peer, 'receive')
    checkSnapshotName(params.snapshot)
    const begin = parseBeginRecord(Buffer.from(params.begin, 'base64'))
    checkReceivable(begin, (await version()).module, dataset)
    const release = await this.settings.claims.takeWithin(`receive ${dataset}`, busyMilliseconds)
    if (release === undefined) {
      throw new ReplicationError('RECEIVER_BUSY', `${dataset} is receiving another stream`, { dataset })
    }
    const logger = this.settings.logger.child({ transferId: params.transfer, dataset, peer: context.peer })
    try {
      await checkDestination(dataset, begin)
      await ensureParents(dataset, this.settings.root)
      if (params.checkSpace) await checkSpace(dataset, params.estimate)
      logger.info({ snapshot: params.snapshot, estimate: String(params.estimate) }, 'receive begins')
      const result = await receiveStream(`${dataset}@${params.snapshot}`, begin, context)
      logger.info({ guid: String(result.guid), bytes: String(result.bytes) }, 'received')
      return result
    } catch (error) {
      logger.warn({ err: error }, 'receive failed')
      throw error
    } finally {
      release()
    }
  }

  #authorized(volume: string, peer: string, verb: 'inspect' | 'receive'): string {
    checkVolumeName(volume)
    const dataset = `${this.settings.root}/${volume}`
    authorize(this.settings.rules, peer, verb, dataset)
    return dataset
  }
}

type ReceiveParams = z.output<typeof receiveVolume.params>
type ReceiveContext = RequestContext<z.output<typeof receiveVolume.event>>

async function receiveStream(
  snapshot: string,
  begin: BeginRecord,
  context: ReceiveContext,
): Promise<{ guid: bigint; bytes: bigint }> {
  const { signal } = context
  const offer = context.offerData()
  context.emit({ ticket: offer.ticket })
  const channel = await offer.channel(signal)
  const sink = receive(snapshot, { overrides: replicaProperties(begin), raw: begin.features.includes('raw'), signal })
  const bytes = await channel.receive(sink, { signal })
  await sink.result
  const { guid } = await getProperties(snapshot)
  if (guid?.value !== begin.toguid) {
    throw new ReplicationError(
      'GUID_MISMATCH',
      `${snapshot} has GUID ${guid?.value} where ${begin.toguid} was announced`,
      {
        dataset: snapshot,
      },
    )
  }
  return { guid: begin.toguid, bytes }
}

/** A replica must not change by itself: read-only, and mounted only when somebody asks for it. */
function replicaProperties(begin: BeginRecord): Record<string, string> {
  return begin.type === 'filesystem' ? { readonly: 'on', canmount: 'noauto' } : { readonly: 'on' }
}

/** Finds out before any byte flows what the kernel would say at the end of the stream. */
async function checkDestination(dataset: string, begin: BeginRecord): Promise<void> {
  const inventory = await readInventory(dataset)
  if (inventory === undefined) {
    if (begin.fromguid === 0n) return
    throw new ZfsError('BASE_MISMATCH', `${dataset} does not exist, so an increment can't be received`, { dataset })
  }
  if (begin.fromguid === 0n) {
    throw new DivergedError(`${dataset} exists, and a full stream would replace it. Nothing was changed.`, { dataset })
  }
  const newest = newestFirst(inventory.snapshots)[0]
  if (newest?.guid !== begin.fromguid) {
    throw new ZfsError('BASE_MISMATCH', `${dataset} does not end in the snapshot that the stream starts from`, {
      dataset,
      next: 'Something has changed it since the push was planned. Push again.',
    })
  }
}

async function checkSpace(dataset: string, estimate: bigint): Promise<void> {
  const existing = (await exists(dataset)) ? dataset : dataset.slice(0, dataset.lastIndexOf('/'))
  const available = (await getProperties(existing)).available?.value
  if (typeof available !== 'bigint')
    throw new FlockerError('INTERNAL', `${existing} reports no space`, { dataset: existing })
  if (estimate <= available) return
  throw new ZfsError(
    'NO_SPACE',
    `${existing} has ${available} bytes available; the stream is about ${estimate} bytes`,
    {
      dataset: existing,
      next: 'Free space there, or pass checkSpace: false if the data will compress better than at its source.',
    },
  )
}
