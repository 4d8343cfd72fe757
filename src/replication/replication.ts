import type { Logger } from 'pino'
import type { RateLimiter } from '../transport/index.js'
import type { LeftOutProperty } from './admit-properties.js'
import type { PropertyOptions } from './choose-properties.js'
import type { Progress } from './progress.js'
import type { SnapshotHooks } from './quiesce.js'
import type { Retry, RetryOptions } from './retry.js'
import type { Destination, Source, StreamOrder, Target } from './sides.js'
import type { Step } from './steps.js'

/** What {@link pushVolume} and {@link pullVolume} can be told. */
export interface ReplicationOptions extends SnapshotHooks {
  /** Replicate this snapshot (the part of its name after the `@`) instead of taking one now. */
  snapshot?: string
  /** Ends it; it rejects with code `ABORTED`, or `TIMEOUT` for `AbortSignal.timeout()`. */
  signal?: AbortSignal
  /** Called at most five times a second, and once at the end of each stream. */
  onProgress?: (progress: Progress) => void
  /**
   * Give up when the other side lives and the receive has taken no byte for so long: the pool there stands still, or the one here, or
   * the confirmation does not come. A slow receive that takes some is not given up on. In milliseconds. Default: five minutes.
   */
  stallMilliseconds?: number
  /** The most to move, in bytes per second. A {@link RateLimiter} can be shared by many replications, and changed while they run. */
  limit?: RateLimiter | number
  /**
   * Which properties the replica gets with each stream. Default: those set on the source itself that are safe there, as received
   * values. docs/push.md
   */
  properties?: PropertyOptions
  /**
   * Refuse at once with `NO_SPACE` when the stream's estimated size exceeds what is available at the destination. Default: true.
   * Set it to false for data that the destination will compress much better than the source has.
   */
  checkSpace?: boolean
  /**
   * What to do with what an interrupted replication has brought to the destination. `resume`, the default: go on with it, and where
   * that is not possible stop with `PARTIAL_STALE`. `discard`: destroy it there, and begin that stream again.
   */
  partial?: 'resume' | 'discard'
  /**
   * What an abort by `signal` does with what has arrived. `discard`, the default: nothing of it stays on either side. `keep`: a
   * pause, the next one goes on from there, as it does after any failure, a lost connection or a deadline.
   */
  onAbort?: 'discard' | 'keep'
  /**
   * What to do where both sides have data and no usable point in common. `stop`, the default: reject with a DivergedError, and nothing
   * is touched. `preserve`: give the destination's dataset another name, and begin with a full stream. To roll it back instead:
   * `rollbackReplica`.
   */
  onDivergence?: 'stop' | 'preserve'
  /** Try again, over a new connection if need be, after what goes away by itself (`isTransient`). Default: not at all. */
  retry?: RetryOptions
  /** Called before each wait for trying again. What it throws ends the replication. */
  onRetry?: (retry: Retry) => void
  /** Called with each step once it is done, or has begun or failed. What it throws is logged, and has no other effect. */
  onStep?: (step: Step) => void
}

/** What a push or a pull has done. */
export interface ReplicationResult {
  /** `current`: the destination had the snapshot already and nothing was sent. */
  kind: 'full' | 'incremental' | 'current'
  /** Full name of the snapshot on the sending host. */
  snapshot: string
  /** Its GUID, as the receiving host has read it back from its own pool. */
  guid: bigint
  /** The snapshot or bookmark that an incremental stream started from. */
  base: string | undefined
  /** Stream bytes sent now. */
  bytes: bigint
  /** Of the attempt that succeeded, as `bytes` are. */
  milliseconds: number
  /** How many attempts failed before, and were tried again. */
  retries: number
  /** The interrupted stream that was gone on with first, or was all that was to do. */
  resumed: ResumedStream | undefined
  /** Where the destination's diverged dataset is now: its full name there. */
  preserved: string | undefined
  /** Properties that were to go to the replica, and that the receiving host left out, each with the reason. */
  propertiesLeftOut: readonly LeftOutProperty[]
}

/** An interrupted stream that was gone on with. */
export interface ResumedStream {
  /** Full name of its snapshot on the sending host. */
  snapshot: string
  guid: bigint
  /** Stream bytes that were there already. */
  kept: bigint
  /** Stream bytes sent now, of `bytes` in the result. */
  bytes: bigint
}

/** One replication of one volume, by whichever side. */
export interface Replication {
  /** For messages: `push of tank/flocker/a to beta`. */
  what: string
  /** A UUID. */
  transfer: string
  /** Of a stream of a tree: the tree's transfer. */
  tree?: string
  /** This host's identity: errors name the host where they happened, if it is another. */
  self: string
  source: Source
  destination: Destination
  /** The volume's name below the root of either host. */
  volume: string
  /** The replica's name below the destination's root. */
  replica: string
  options: ReplicationOptions
  /** Of all its streams together. */
  limiter: RateLimiter | undefined
  logger: Logger
  /** Tells the peer who owns a volume, or hears it, before anything of it is looked at. */
  announce: (volume: string) => Promise<void>
  /** The stream that failed last, if the destination may have a part of it. */
  unfinished?: StreamOrder
  /** Asked where a stream failed before any of it could arrive: whether its snapshot stays, for trying again. */
  keepsTarget?: (target: Target, failure: unknown) => boolean
}
