import { randomUUID } from 'node:crypto'
import { getProperties } from '../datasets/index.js'
import { ArgumentError, FlockerError, ReplicationError, throwIfAborted, ZfsError } from '../errors.js'
import { snapshot as takeSnapshot } from '../lzc/index.js'
import { deliver } from './deliver.js'
import { divergedError } from './divergence.js'
import type { SnapshotPoint } from './inventory.js'
import { type LocalInventory, readInventory } from './local.js'
import { inspectVolume } from './messages.js'
import { checkSnapshotName, pendingProperty, snapshotName } from './names.js'
import type { Peer } from './peer.js'
import { type Plan, planPush } from './plan.js'
import type { Progress } from './progress.js'
import { settleEarlier } from './settle.js'

/** What is pushed: a dataset of this host and the name under which every host of the cluster knows it. */
export interface PushSource {
  /** Its name below the host's root, the same on every host. */
  readonly name: string
  /** Its full name on this host. */
  readonly dataset: string
}

export interface PushOptions {
  /** Push this snapshot (the part of its name after the `@`) instead of taking one now. */
  snapshot?: string
  /** Ends the push; it rejects with code `ABORTED`, or `TIMEOUT` for `AbortSignal.timeout()`. */
  signal?: AbortSignal
  /** Called at most five times a second, and once at the end. */
  onProgress?: (progress: Progress) => void
  /** Give up when no byte has moved for so long; in milliseconds. Default: five minutes. */
  stallMilliseconds?: number
  /**
   * Refuse at once with `NO_SPACE` when the stream's estimated size exceeds what is available there. Default: true. Set it to
   * false for data that the destination will compress much better than the source has.
   */
  checkSpace?: boolean
}

export interface PushResult {
  /** `current`: the peer had the snapshot already and nothing was sent. */
  kind: 'full' | 'incremental' | 'current'
  /** Full name of the snapshot on this host. */
  snapshot: string
  /** Its GUID, as the peer has confirmed it from its own pool. */
  guid: bigint
  /** The snapshot or bookmark that an incremental stream started from. */
  base: string | undefined
  /** Stream bytes sent. */
  bytes: bigint
  milliseconds: number
}

/**
 * Brings a volume's present state to a peer: takes a snapshot, finds the newest point that both have by GUID, sends what is
 * missing, and resolves when the peer has confirmed the snapshot's GUID from its own pool. The replica there is read-only and
 * unmounted. Whatever ends a push early, the peer keeps the replica it had, and nothing stays behind on either side.
 *
 * @throws DivergedError `DIVERGED`: the peer has data and no usable point in common; nothing was touched
 * @throws ZfsError such as `NO_SPACE`, on either side (`peer` says which)
 * @throws TransportError `PEER_LOST` and others
 * @throws NotAuthorizedError `NOT_AUTHORIZED`: the peer does not let this host push that volume
 * @throws NotSupportedError `NOT_SUPPORTED`: the peer's OpenZFS can't receive this stream
 * @throws ReplicationError `RECEIVER_BUSY`, `SENDER_BUSY`, `SUPERSEDED`, `GUID_MISMATCH`
 * @throws AbortError `ABORTED`, TimeoutError `TIMEOUT`
 */
export async function pushVolume(source: PushSource, peer: Peer, options: PushOptions = {}): Promise<PushResult> {
  const started = performance.now()
  const what = `push of ${source.dataset} to ${peer.identity}`
  if (options.snapshot !== undefined) checkSnapshotName(options.snapshot)
  throwIfAborted(options.signal, what)
  const release = peer.claims.take(`send ${source.dataset} ${peer.identity}`)
  if (release === undefined) throw busy(what, source)
  const transfer = randomUUID()
  const logger = peer.logger.child({ transferId: transfer, dataset: source.dataset, peer: peer.identity })
  try {
    const { plan, target } = await prepare(source, peer, options)
    const result = { snapshot: `${source.dataset}@${target.name}`, guid: target.guid }
    if (plan.kind === 'current') {
      return { kind: 'current', ...result, base: undefined, bytes: 0n, milliseconds: performance.now() - started }
    }
    const base = plan.kind === 'incremental' ? plan.base : undefined
    logger.info(
      { kind: plan.kind, snapshot: result.snapshot, guid: String(target.guid), base: base?.name },
      'push begins',
    )
    const bytes = await deliver({ what, transfer, source, peer, target, base, options, logger })
    const milliseconds = performance.now() - started
    logger.info({ bytes: String(bytes), milliseconds }, 'push confirmed')
    return { kind: plan.kind, ...result, base: base?.name, bytes, milliseconds }
  } catch (error) {
    logger.warn({ err: error }, 'push failed')
    throw error
  } finally {
    release()
  }
}

/** A snapshot to deliver, and whether this push made it (then it must not outlive a failure). */
export interface Target extends SnapshotPoint {
  ours: boolean
}

interface Prepared {
  plan: Exclude<Plan, { kind: 'diverged' | 'superseded' }>
  target: Target
}

async function prepare(source: PushSource, peer: Peer, options: PushOptions): Promise<Prepared> {
  const request = options.signal === undefined ? {} : { signal: options.signal }
  const remote = await peer.connection.request(inspectVolume, { volume: source.name }, request)
  const local = await readInventory(source.dataset)
  if (local === undefined)
    throw new ZfsError('NOT_FOUND', `${source.dataset} does not exist`, { dataset: source.dataset })
  await settleEarlier(local, peer.identity, new Set(remote.snapshots.map(({ guid }) => guid)), remote.complete)

  const chosen = options.snapshot === undefined ? undefined : chooseTarget(local, options.snapshot)
  const destination = remote.exists
    ? { dataset: remote.dataset, snapshots: remote.snapshots, bookmarks: [] }
    : undefined
  const plan = planPush(local, destination, chosen)
  if (plan.kind === 'diverged') throw divergedError(remote.dataset, peer.identity, plan.divergence)
  if (plan.kind === 'superseded') {
    throw new ReplicationError(
      'SUPERSEDED',
      `${remote.dataset} on ${peer.identity} already has the newer @${plan.by.name}`,
      {
        dataset: source.dataset,
        peer: peer.identity,
      },
    )
  }
  throwIfAborted(options.signal, `push of ${source.dataset} to ${peer.identity}`)
  return { plan, target: chosen ?? (await takeTarget(source, peer.identity)) }
}

function chooseTarget(local: LocalInventory, name: string): Target {
  const point = local.snapshots.find((snapshot) => snapshot.name === name)
  if (point === undefined) {
    throw new ArgumentError(`${local.dataset} has no snapshot @${name}`, { dataset: local.dataset })
  }
  return { ...point, ours: false }
}

async function takeTarget(source: PushSource, peer: string): Promise<Target> {
  const name = snapshotName(new Date())
  const fullName = `${source.dataset}@${name}`
  await takeSnapshot(fullName, { [pendingProperty]: peer })
  const { guid, createtxg } = await getProperties(fullName)
  if (typeof guid?.value !== 'bigint' || typeof createtxg?.value !== 'bigint') {
    throw new FlockerError('INTERNAL', `${fullName} has no GUID or createtxg`, { dataset: fullName })
  }
  return { name, guid: guid.value, createtxg: createtxg.value, ours: true }
}

function busy(what: string, source: PushSource): ReplicationError {
  return new ReplicationError('SENDER_BUSY', `Another ${what} is under way in this process`, {
    dataset: source.dataset,
    next: 'Wait for it to end; pushes of one volume to different peers may run side by side.',
  })
}
