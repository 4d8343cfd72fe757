import { setTimeout as wait } from 'node:timers/promises'
import { getProperties } from '../datasets/index.js'
import { AbortError, ArgumentError, FlockerError, OwnershipError } from '../errors.js'
import { snapshot } from '../lzc/index.js'
import {
  isTransient,
  type Peer,
  type PushSource,
  prune,
  type ReplicationOptions,
  type RetentionPolicy,
  replicate,
  snapshotName,
} from '../replication/index.js'
import { handoffKey, type VolumesHost } from './context.js'
import { notePeer, recordOf } from './custody.js'
import { guardOf } from './guard.js'
import { readHistory } from './history.js'
import { checkOwner } from './ownership.js'

/** How {@link follow} keeps replicas. */
export interface FollowOptions extends Pick<ReplicationOptions, 'limit' | 'stallMilliseconds' | 'checkSpace'> {
  /**
   * How far a replica may be behind, in milliseconds. A snapshot is taken often enough for that, by how long the last ones took to arrive;
   * not more than once a second, and none while nothing is written. Default: one minute.
   */
  lagMilliseconds?: number
  /** Take a snapshot so often instead, whatever the lag. In milliseconds. */
  intervalMilliseconds?: number
  /** Which of the volume's snapshots to keep on this host; without it, all stay. What a peer needs stays in any case. */
  retention?: RetentionPolicy
  /** Called after each try with each peer. What it throws ends the following. */
  onReport?: (report: FollowReport) => void
  /** Ends it. */
  signal?: AbortSignal
}

/** How a replica stands. */
export interface FollowReport {
  peer: string
  /** How far it is behind, in milliseconds; `undefined` before it has confirmed anything. 0: nothing was written since. */
  lagMilliseconds: number | undefined
  /** Whether that is within what was asked for. */
  withinLag: boolean
  /** The last snapshot that it has confirmed, by the part of its name after the `@`. */
  snapshot: string | undefined
  /** Stream bytes sent by this try. */
  bytes: bigint
  /** What ended this try, and when it is tried again, in milliseconds from now; `undefined`: not again. */
  failure: { error: Error; againMilliseconds: number | undefined } | undefined
}

const defaultLag = 60_000
const shortestInterval = 1000
const longestBackoff = 60_000

/**
 * Keeps replicas of a volume that this host owns on peers, which may then be promoted: takes snapshots and brings them to all of them, each
 * at its own pace, with every snapshot in between, so that any of them can go on from any other. What has arrived is found in the pools: it
 * goes on from there after a restart of either side. Runs until `signal` fires.
 *
 * @throws OwnershipError `NOT_OWNER`, `STALE_EPOCH`: somebody else owns it by now
 * @throws whatever has ended it with the last peer that it could go on with: what trying again does not help against
 * @throws ArgumentError `INVALID_ARGUMENT`
 */
export async function follow(volume: PushSource, peers: readonly Peer[], options: FollowOptions = {}): Promise<void> {
  const [first] = peers
  if (first === undefined) throw new ArgumentError('Give at least one peer to follow')
  const { lagMilliseconds = defaultLag, intervalMilliseconds = shortestInterval } = options
  if (!(lagMilliseconds > 0 && intervalMilliseconds > 0)) throw new ArgumentError('A lag and an interval are above 0')
  await new Follower(guardOf(first.host).host, volume, peers, options).run()
}

interface Followed {
  peer: Peer
  /** When the state that it has confirmed was the present one. */
  confirmed: number | undefined
  snapshot: string | undefined
  /** How long the last one took to arrive. */
  took: number
  failures: number
  /** What it has failed with since, one of each code. */
  earlier: FlockerError[]
  notBefore: number
  running: Promise<void> | undefined
  ended: Error | undefined
}

class Follower {
  readonly #followed: Followed[]
  readonly #lag: number
  #taken: { name: string; at: number } | undefined
  #failed: unknown

  constructor(
    private readonly host: VolumesHost,
    private readonly volume: PushSource,
    peers: readonly Peer[],
    private readonly options: FollowOptions,
  ) {
    this.#lag = options.lagMilliseconds ?? defaultLag
    this.#followed = peers.map((peer) => ({
      peer,
      confirmed: undefined,
      snapshot: undefined,
      took: 0,
      failures: 0,
      earlier: [],
      notBefore: 0,
      running: undefined,
      ended: undefined,
    }))
  }

  async run(): Promise<void> {
    const { signal } = this.options
    for (const { peer } of this.#followed) await notePeer(this.host, this.volume.dataset, peer.identity)
    try {
      for (;;) {
        if (signal?.aborted) return
        checkOwner(await recordOf(this.volume.dataset), this.host.identity)
        // A handoff of this process brings all that there is itself, and must not find the peer busy.
        if (!this.host.claims.has(handoffKey(this.volume.dataset))) {
          await this.#takeSnapshot()
          for (const each of this.#followed) this.#begin(each)
        }
        await this.#pause()
        if (this.#failed !== undefined) throw this.#failed
        if (this.#followed.every(({ ended }) => ended !== undefined)) throw this.#followed.at(-1)?.ended
      }
    } finally {
      await Promise.all(this.#followed.map(({ running }) => running))
    }
  }

  /** Until the next snapshot is due. */
  async #pause(): Promise<void> {
    const { intervalMilliseconds, signal } = this.options
    const slowest = Math.max(0, ...this.#followed.map(({ took }) => took))
    const due = intervalMilliseconds ?? Math.max(shortestInterval, (this.#lag - slowest) / 2)
    try {
      await wait(due, undefined, signal === undefined ? {} : { signal })
    } catch (error) {
      if (!signal?.aborted) throw error
    }
  }

  /** One for all peers; none where nothing was written since the last. */
  async #takeSnapshot(): Promise<void> {
    const { dataset } = this.volume
    const at = Date.now()
    // What is taken after the last snapshot of a handoff would not get to the new owner.
    if ((await recordOf(dataset)).journal !== undefined) return
    const [newest] = await readHistory(dataset)
    const { written } = await getProperties(dataset, ['written'])
    if (newest !== undefined && written?.value === 0n) {
      this.#taken = { name: newest.name, at }
      return
    }
    const name = snapshotName(new Date())
    await snapshot([`${dataset}@${name}`])
    this.#taken = { name, at }
  }

  #begin(followed: Followed): void {
    if (this.#taken === undefined) return
    if (followed.running !== undefined || followed.ended !== undefined || performance.now() < followed.notBefore) return
    if (followed.snapshot === this.#taken.name) {
      followed.confirmed = this.#taken.at
      return
    }
    followed.running = this.#bring(followed).finally(() => {
      followed.running = undefined
    })
  }

  async #bring(followed: Followed): Promise<void> {
    const { peer } = followed
    const { name, at } = this.#taken as { name: string; at: number }
    const { limit, stallMilliseconds, checkSpace, signal, retention } = this.options
    const started = performance.now()
    let bytes = 0n
    let failure: FollowReport['failure']
    try {
      await peer.reconnect(signal === undefined ? {} : { signal })
      const here = { identity: this.host.identity, local: this.host }
      const result = await replicate(
        this.volume.name,
        { from: here, to: peer },
        {
          recursive: false,
          initial: 'all',
          snapshot: 'existing',
          onAbort: 'keep',
          ...(limit === undefined ? {} : { limit }),
          ...(stallMilliseconds === undefined ? {} : { stallMilliseconds }),
          ...(checkSpace === undefined ? {} : { checkSpace }),
          ...(signal === undefined ? {} : { signal }),
        },
      )
      bytes = result.bytes
      for (const outcome of result.outcomes) if (outcome.kind === 'failed') throw outcome.error
      const [finding] = result.findings.filter(({ kind }) => kind !== 'orphan')
      if (finding !== undefined)
        throw new FlockerError('DIVERGED', finding.why, { dataset: this.volume.dataset, peer: peer.identity })
      Object.assign(followed, {
        confirmed: at,
        snapshot: name,
        took: performance.now() - started,
        failures: 0,
        earlier: [],
        notBefore: 0,
      })
      if (retention !== undefined) await prune(this.host, this.volume.name, retention)
    } catch (error) {
      failure = this.#fail(followed, error)
      if (failure === undefined) return
    }
    this.#report(followed, bytes, failure)
  }

  #fail(followed: Followed, error: unknown): FollowReport['failure'] {
    const { signal } = this.options
    if (signal?.aborted && error instanceof AbortError) return undefined
    const told = error instanceof Error ? error : new Error(String(error))
    if (error instanceof OwnershipError) this.#failed ??= error
    if (!isTransient(error, followed.earlier)) {
      followed.ended = told
      return { error: told, againMilliseconds: undefined }
    }
    followed.failures++
    remember(followed.earlier, error)
    const againMilliseconds = Math.min(longestBackoff, shortestInterval * 2 ** (followed.failures - 1))
    followed.notBefore = performance.now() + againMilliseconds
    return { error: told, againMilliseconds }
  }

  #report({ peer, confirmed, snapshot: name }: Followed, bytes: bigint, failure: FollowReport['failure']): void {
    const lag = confirmed === undefined ? undefined : Date.now() - confirmed
    const withinLag = lag !== undefined && lag <= this.#lag
    try {
      const report = { peer: peer.identity, lagMilliseconds: lag, withinLag, snapshot: name, bytes, failure }
      this.options.onReport?.(report)
    } catch (error) {
      this.#failed ??= error
    }
  }
}

function remember(earlier: FlockerError[], error: unknown): void {
  if (error instanceof FlockerError && !earlier.some(({ code }) => code === error.code)) earlier.push(error)
}
