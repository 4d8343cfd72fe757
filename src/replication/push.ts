import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import { getProperties } from '../datasets/index.js'
import { ArgumentError, FlockerError, ReplicationError, throwIfAborted } from '../errors.js'
import { snapshot as takeSnapshot } from '../lzc/index.js'
import { RateLimiter } from '../transport/index.js'
import { deliver } from './deliver.js'
import { divergedError } from './divergence.js'
import { goOn } from './go-on.js'
import type { SnapshotPoint } from './inventory.js'
import type { LocalInventory } from './local.js'
import { checkSnapshotName, pendingProperty, snapshotName } from './names.js'
import type { ResumePoint } from './partial.js'
import type { Peer } from './peer.js'
import { type IncrementalBase, planPush } from './plan.js'
import type { Progress } from './progress.js'
import { readSituation, type Situation } from './situation.js'

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
  /**
   * Give up when the peer lives and its receive has taken no byte for so long: the pool there stands still, or the one here, or the
   * confirmation does not come. A slow receive that takes some is not given up on. In milliseconds. Default: five minutes.
   */
  stallMilliseconds?: number
  /** The most to send, in bytes per second. A {@link RateLimiter} can be shared by many pushes, and changed while they run. */
  limit?: RateLimiter | number
  /**
   * Refuse at once with `NO_SPACE` when the stream's estimated size exceeds what is available there. Default: true. Set it to
   * false for data that the destination will compress much better than the source has.
   */
  checkSpace?: boolean
  /**
   * What to do with what an interrupted push has brought to the peer. `resume`, the default: go on with it, and where that is not
   * possible stop with `PARTIAL_STALE`. `discard`: destroy it there, and begin that stream again.
   */
  partial?: 'resume' | 'discard'
  /**
   * What an abort by `signal` does with what has arrived. `discard`, the default: nothing of this push stays on either side.
   * `keep`: a pause, the next push goes on from there, as it does after any failure, a lost connection or a deadline.
   */
  onAbort?: 'discard' | 'keep'
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
  /** Stream bytes sent by this push. */
  bytes: bigint
  milliseconds: number
  /** The interrupted stream that this push has finished first, or by itself. */
  resumed: ResumedStream | undefined
}

/** An interrupted stream that was gone on with. */
export interface ResumedStream {
  /** Full name of its snapshot on this host. */
  snapshot: string
  guid: bigint
  /** Stream bytes that were there already. */
  kept: bigint
  /** Stream bytes sent now, of `bytes` in the result. */
  bytes: bigint
}

/** One call of {@link pushVolume}. */
export interface Push {
  what: string
  transfer: string
  source: PushSource
  peer: Peer
  options: PushOptions
  /** Of all streams of the push together. */
  limiter: RateLimiter | undefined
  logger: Logger
}

/** A snapshot to deliver, and whether a push made it (then it must not outlive a failure for nothing). */
export interface Target extends SnapshotPoint {
  ours: boolean
}

/** One stream of a push. */
export interface Delivery extends Push {
  target: Target
  base: IncrementalBase | undefined
  resume?: ResumePoint
}

/**
 * Brings a volume's present state to a peer: takes a snapshot, finds the newest point that both have by GUID, sends what is
 * missing, and resolves when the peer has confirmed the snapshot's GUID from its own pool. The replica there is read-only and
 * unmounted. Whatever ends a push early, the peer keeps the replica it had. What has arrived of the new one is kept beside it,
 * and the next push sends the rest of it first; an abort (see `onAbort`) and a full pool take it away.
 *
 * @throws DivergedError `DIVERGED`: the peer has data and no usable point in common; nothing was touched
 * @throws ZfsError such as `NO_SPACE`, on either side (`peer` says which)
 * @throws TransportError `PEER_LOST` and others
 * @throws NotAuthorizedError `NOT_AUTHORIZED`: the peer does not let this host push that volume
 * @throws NotSupportedError `NOT_SUPPORTED`: the peer's OpenZFS can't receive this stream
 * @throws ReplicationError `RECEIVER_BUSY`, `SENDER_BUSY`, `SUPERSEDED`, `GUID_MISMATCH`; `PARTIAL_STALE`: what an interrupted push
 *   has left there can't be gone on with
 * @throws AbortError `ABORTED`, TimeoutError `TIMEOUT`
 */
export async function pushVolume(source: PushSource, peer: Peer, options: PushOptions = {}): Promise<PushResult> {
  const what = `push of ${source.dataset} to ${peer.identity}`
  if (options.snapshot !== undefined) checkSnapshotName(options.snapshot)
  const limiter = typeof options.limit === 'number' ? new RateLimiter(options.limit) : options.limit
  throwIfAborted(options.signal, what)
  const release = peer.claims.take(`send ${source.dataset} ${peer.identity}`)
  if (release === undefined) throw busy(what, source)
  const transfer = randomUUID()
  const logger = peer.logger.child({ transferId: transfer, dataset: source.dataset, peer: peer.identity })
  try {
    return await run({ what, transfer, source, peer, options, limiter, logger }, performance.now())
  } catch (error) {
    logger.warn({ err: error }, 'push failed')
    throw error
  } finally {
    release()
  }
}

async function run(push: Push, started: number): Promise<PushResult> {
  const before = await readSituation(push)
  const chosen = push.options.snapshot === undefined ? undefined : chooseTarget(before.local, push.options.snapshot)
  const finished = await goOn(push, before)
  const situation = before.partial === undefined ? before : await readSituation(push)
  const resumed = finished?.resumed
  const done = (result: Omit<PushResult, 'milliseconds' | 'resumed' | 'bytes'>, bytes: bigint): PushResult => ({
    ...result,
    bytes: bytes + (resumed?.bytes ?? 0n),
    milliseconds: performance.now() - started,
    resumed,
  })
  if (finished !== undefined && finished.resumed.guid === chosen?.guid) {
    return done({ kind: finished.kind, ...pointOf(push.source, chosen), base: finished.base?.name }, 0n)
  }

  const plan = decide(push, situation, chosen)
  const target = chosen ?? (await takeTarget(push.source, push.peer.identity))
  const result = pointOf(push.source, target)
  if (plan.kind === 'current') return done({ kind: 'current', ...result, base: undefined }, 0n)
  const bytes = await deliver({ ...push, target, base: plan.base })
  return done({ kind: plan.kind, ...result, base: plan.base?.name }, bytes)
}

function pointOf(source: PushSource, { name, guid }: SnapshotPoint): { snapshot: string; guid: bigint } {
  return { snapshot: `${source.dataset}@${name}`, guid }
}

type Decision = { kind: 'current' } | { kind: 'full' | 'incremental'; base: IncrementalBase | undefined }

function decide({ source, peer, options, what }: Push, { local, remote }: Situation, chosen?: Target): Decision {
  const destination = remote.exists
    ? { dataset: remote.dataset, snapshots: remote.snapshots, bookmarks: [] }
    : undefined
  const plan = planPush(local, destination, chosen)
  if (plan.kind === 'diverged') throw divergedError(remote.dataset, peer.identity, plan.divergence)
  if (plan.kind === 'superseded') {
    throw new ReplicationError(
      'SUPERSEDED',
      `${remote.dataset} on ${peer.identity} already has the newer @${plan.by.name}`,
      { dataset: source.dataset, peer: peer.identity },
    )
  }
  throwIfAborted(options.signal, what)
  return plan.kind === 'full' ? { kind: 'full', base: undefined } : plan
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
