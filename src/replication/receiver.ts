import type { Logger } from 'pino'
import type { z } from 'zod'
import { discardPartialReceive, getProperties, readResumeToken } from '../datasets/index.js'
import { DivergedError, FlockerError, ReplicationError, ZfsError } from '../errors.js'
import { type BeginRecord, exists, parseBeginRecord, receive, version } from '../lzc/index.js'
import { decodeResumeToken } from '../stream/index.js'
import { authorize, type Handler, handle, type RequestContext, type Rule } from '../transport/index.js'
import type { Claims } from './claims.js'
import { newestFirst } from './inventory.js'
import { readInventory } from './local.js'
import { discardPartial, inspectVolume, maxListedSnapshots, receiveVolume } from './messages.js'
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

/**
 * How long a request waits for a receive of the same volume that is being cancelled, in milliseconds: a sender that is gone
 * without a word is noticed within eight seconds.
 */
const busyMilliseconds = 12_000

/** The receiving side of a push: answers what this host has, and receives into read-only, unmounted replicas. */
export class Receiver {
  constructor(private readonly settings: ReceiverSettings) {}

  handlers(): Handler[] {
    return [
      handle(inspectVolume, ({ volume }, { peer }) => this.#inspect(volume, peer)),
      handle(receiveVolume, (params, context) => this.#receive(params, context)),
      handle(discardPartial, (params, { peer }) => this.#discardPartial(params, peer)),
    ]
  }

  async #inspect(volume: string, peer: string) {
    const dataset = this.#authorized(volume, peer, 'inspect')
    const { receiving, token } = await this.#partial(dataset)
    const inventory = await readInventory(dataset)
    if (inventory === undefined) return { dataset, exists: false, snapshots: [], complete: true, receiving }
    const snapshots = newestFirst(inventory.snapshots).map(({ name, guid, createtxg }) => ({ name, guid, createtxg }))
    return {
      dataset,
      exists: true,
      snapshots: snapshots.slice(0, maxListedSnapshots),
      complete: snapshots.length <= maxListedSnapshots,
      receiving,
      ...(token === undefined ? {} : { token }),
    }
  }

  /** What is half there of a dataset. While a receive is at work the token says nothing: it is behind what has arrived. */
  async #partial(dataset: string): Promise<{ receiving: boolean; token?: string | undefined }> {
    const release = await this.settings.claims.takeWithin(receiveKey(dataset), busyMilliseconds)
    if (release === undefined) return { receiving: true }
    try {
      return { receiving: false, token: (await exists(dataset)) ? await readResumeToken(dataset) : undefined }
    } finally {
      release()
    }
  }

  async #discardPartial(
    { volume, token }: { volume: string; token: string },
    peer: string,
  ): Promise<Record<string, never>> {
    const dataset = this.#authorized(volume, peer, 'receive')
    const release = await this.#claim(dataset)
    try {
      const found = (await exists(dataset)) ? await readResumeToken(dataset) : undefined
      if (found !== token) {
        throw new ReplicationError('PARTIAL_CHANGED', `What ${dataset} has of an interrupted receive is not that`, {
          dataset,
          next: 'Push again: it will look anew.',
        })
      }
      await discardPartialReceive(dataset)
      this.settings.logger.info({ dataset, peer }, 'discarded what an interrupted receive had left')
      return {}
    } finally {
      release()
    }
  }

  async #claim(dataset: string): Promise<() => void> {
    const release = await this.settings.claims.takeWithin(receiveKey(dataset), busyMilliseconds)
    if (release !== undefined) return release
    throw new ReplicationError('RECEIVER_BUSY', `${dataset} is receiving another stream`, { dataset })
  }

  async #receive(params: ReceiveParams, context: ReceiveContext): Promise<{ guid: bigint; bytes: bigint }> {
    const dataset = this.#authorized(params.volume, context.peer, 'receive')
    checkSnapshotName(params.snapshot)
    const begin = parseBeginRecord(Buffer.from(params.begin, 'base64'))
    checkReceivable(begin, (await version()).module, dataset)
    const release = await this.#claim(dataset)
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

const receiveKey = (dataset: string): string => `receive ${dataset}`

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
  const raw = begin.features.includes('raw')
  const sink = receive(snapshot, { overrides: replicaProperties(begin), raw, resumable: true, signal })
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
  const resuming = begin.features.includes('resuming')
  const token = inventory === undefined ? undefined : await readResumeToken(dataset)
  if (resuming || token !== undefined) checkResumes(dataset, begin, token)
  if (inventory === undefined) {
    if (begin.fromguid === 0n) return
    throw new ZfsError('BASE_MISMATCH', `${dataset} does not exist, so an increment can't be received`, { dataset })
  }
  if (begin.fromguid === 0n) {
    if (resuming) return
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

/** A stream that goes on must go on with what is there, and what is there must not be in another stream's way. */
function checkResumes(dataset: string, begin: BeginRecord, token: string | undefined): void {
  const found = token === undefined ? undefined : decodeResumeToken(token)
  const same = found?.toguid === begin.toguid && (found.fromguid ?? 0n) === begin.fromguid
  if (begin.features.includes('resuming') && same) return
  const what = found === undefined ? 'nothing' : `a part of ${found.toname}`
  throw new ReplicationError('PARTIAL_CHANGED', `${dataset} has ${what} from an interrupted receive`, {
    dataset,
    next: 'Push again: it will look anew, and go on with what is there.',
  })
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
