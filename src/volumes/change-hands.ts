import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { abortReason, OwnershipError, ReplicationError, throwIfAborted } from '../errors.js'
import {
  isTransient,
  type Peer,
  type PushSource,
  type ReplicationOptions,
  type ReplicationResult,
  replicate,
} from '../replication/index.js'
import type { VolumesHost } from './context.js'
import type { Description } from './messages.js'
import type { Ownership } from './ownership.js'
import { isSettled, type PrecopyOptions, type Round } from './precopy.js'
import type { Giver, Taker } from './sides.js'

/** What a handoff does, in its order. */
export type HandoffPhase = 'prepare' | 'copy' | 'quiesce' | 'freeze' | 'push' | 'commit' | 'take'

/** What {@link handoffVolume} and {@link acquireVolume} can be told. */
export interface HandoffOptions
  extends PrecopyOptions,
    Pick<ReplicationOptions, 'signal' | 'limit' | 'onProgress' | 'stallMilliseconds' | 'checkSpace'> {
  /**
   * Stops what uses the volume, such as a database. Called once copying has caught up; from then on the volume is out of use. If it
   * fails, or takes longer than `hookMilliseconds`, the volume stays where it is. Its signal fires when nobody waits for it any more.
   */
  quiesce?: (moment: { signal: AbortSignal }) => void | Promise<void>
  /** Starts it again, after a handoff that failed before it was committed, and after `quiesce` was called. */
  resume?: () => void | Promise<void>
  /** How long `quiesce` may take, in milliseconds. Default: 30 seconds. */
  hookMilliseconds?: number
  /** How long to try to tell the new owner, once the handoff is committed, in milliseconds. Default: one minute. */
  tellMilliseconds?: number
  /** Called as each phase begins. What it throws ends the handoff, as long as it is not committed. */
  onPhase?: (phase: HandoffPhase) => void
}

/** What a handoff has done. */
export interface HandoffResult {
  /** The identity of the new owner. */
  owner: string
  epoch: bigint
  /** Full name of the last snapshot on the host that gave the volume away. */
  snapshot: string
  /** Its GUID, which the new owner has read back from its own pool. */
  guid: bigint
  /** How often the volume was copied before it was stopped. */
  rounds: number
  /** Stream bytes sent in all. */
  bytes: bigint
  /** From the call of `quiesce` until the new owner serves. */
  pauseMilliseconds: number
  milliseconds: number
  /** How long each phase took, in milliseconds. */
  phases: Record<HandoffPhase, number>
}

/** One change of hands, by whichever side. */
export interface ChangeOfHands {
  host: VolumesHost
  peer: Peer
  volume: PushSource
  /** How the volume stands before. */
  description: Description
  giver: Giver
  taker: Taker
  /** Which way it goes, seen from here. */
  direction: 'to' | 'from'
  /** Brings what the giver has to the taker. */
  bring: (options: ReplicationOptions) => Promise<ReplicationResult>
  /** Before the commit, on the taker that has asked. */
  ask?: (handoff: string, guid: bigint) => Promise<void>
  /** After the commit, once the taker serves. */
  end: (handoff: string) => Promise<void>
  options: HandoffOptions
}

const phaseNames: readonly HandoffPhase[] = ['prepare', 'copy', 'quiesce', 'freeze', 'push', 'commit', 'take']

/** Copies, stops, copies the rest, commits, and tells the new owner. */
export async function changeHands(change: ChangeOfHands): Promise<HandoffResult> {
  const { options, taker, volume, description } = change
  const { signal } = options
  const what = `The handoff of ${volume.dataset} to ${taker.identity}`
  const phases = new Phases(options.onPhase, signal, what)
  const handoff = randomUUID()
  const { id, type, path } = description
  const candidate = { id, type, path }

  await phases.run('prepare', () => taker.prepare(candidate, signal))
  const rounds = await phases.run('copy', () => copy(change))
  await taker.prepare(candidate, signal)

  const stopped = performance.now()
  const last = await untilCommitted(change, phases, handoff, what)
  const { owner } = last
  await phases.run('take', () => tellTaker(change, owner, last), false)
  const pauseMilliseconds = performance.now() - stopped
  await change.end(handoff)
  const bytes = rounds.reduce((sum, round) => sum + round.bytes, last.bytes)
  return {
    owner: owner.host,
    epoch: owner.epoch,
    snapshot: last.snapshot,
    guid: last.guid,
    rounds: rounds.length,
    bytes,
    pauseMilliseconds,
    milliseconds: phases.total(),
    phases: phases.times(),
  }
}

/** Runs phases, and takes their times. */
class Phases {
  readonly #started = performance.now()
  readonly #times = new Map<HandoffPhase, number>()

  constructor(
    private readonly onPhase: HandoffOptions['onPhase'],
    private readonly signal: AbortSignal | undefined,
    private readonly what: string,
  ) {}

  async run<T>(phase: HandoffPhase, body: () => Promise<T>, abortable = true): Promise<T> {
    if (abortable) {
      throwIfAborted(this.signal, this.what)
      this.onPhase?.(phase)
    }
    const started = performance.now()
    try {
      return await body()
    } finally {
      this.#times.set(phase, performance.now() - started)
    }
  }

  times(): Record<HandoffPhase, number> {
    const entries = phaseNames.map((phase) => [phase, this.#times.get(phase) ?? 0] as const)
    return Object.fromEntries(entries) as Record<HandoffPhase, number>
  }

  total(): number {
    return performance.now() - this.#started
  }
}

/** Brings all snapshots that the giver has, so that the taker can be the source of every other replica; then what is written meanwhile. */
async function copy(change: ChangeOfHands): Promise<Round[]> {
  const { host, peer, volume, direction, options } = change
  const here = { identity: host.identity, local: host }
  const rounds: Round[] = []
  const replication = replicationOptions(options)
  const ends = direction === 'to' ? { from: here, to: peer } : { from: peer, to: here }
  const { onProgress: _, ...tree } = replication
  const { bytes, milliseconds } = await onceFree(options.signal, async () => {
    const result = await replicate(volume.name, ends, {
      ...tree,
      recursive: false,
      initial: 'all',
      snapshot: 'existing',
    })
    for (const outcome of result.outcomes) if (outcome.kind === 'failed') throw outcome.error
    return result
  })
  if (bytes > 0n) rounds.push({ bytes, milliseconds })
  do {
    const round = await onceFree(options.signal, () => change.bring(replication))
    rounds.push({ bytes: round.bytes, milliseconds: round.milliseconds })
  } while (!isSettled(rounds, options))
  return rounds
}

/** How long to wait for a stream that is under way between the two, such as one of `follow`, in milliseconds. */
const busyMilliseconds = 600_000
const againMilliseconds = 100

/** Nobody begins another stream of the volume meanwhile, in this process; what is under way may end first. */
async function onceFree<T>(signal: AbortSignal | undefined, run: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + busyMilliseconds
  for (;;) {
    try {
      return await run()
    } catch (error) {
      const busy = error instanceof ReplicationError && error.code === 'SENDER_BUSY'
      if (!busy || performance.now() > deadline) throw error
      await wait(againMilliseconds)
      throwIfAborted(signal, 'Waiting for a stream that is under way')
    }
  }
}

function replicationOptions({
  signal,
  limit,
  onProgress,
  stallMilliseconds,
  checkSpace,
}: HandoffOptions): ReplicationOptions {
  return {
    ...(signal === undefined ? {} : { signal }),
    ...(limit === undefined ? {} : { limit }),
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(stallMilliseconds === undefined ? {} : { stallMilliseconds }),
    ...(checkSpace === undefined ? {} : { checkSpace }),
  }
}

interface Committed {
  owner: Ownership
  guid: bigint
  snapshot: string
  bytes: bigint
  description: Description
}

/** From the moment that the volume's users are stopped: either it is committed, or they go on where they were. */
async function untilCommitted(
  change: ChangeOfHands,
  phases: Phases,
  handoff: string,
  what: string,
): Promise<Committed> {
  const { giver, taker, options } = change
  let pushed: ReplicationResult | undefined
  const committed = ({ guid, snapshot, bytes }: ReplicationResult, description: Description): Committed => {
    return { owner: description.owner, guid, snapshot, bytes, description }
  }
  try {
    await phases.run('quiesce', () => quiesce(options, what))
    await phases.run('freeze', () => giver.freeze(handoff, options.signal))
    for (let pushes = 1; ; pushes++) {
      const last = await phases.run('push', () => change.bring(replicationOptions(options)))
      pushed = last
      try {
        return await phases.run('commit', async () => {
          await change.ask?.(handoff, last.guid)
          return committed(last, await giver.release(handoff, last.guid))
        })
      } catch (error) {
        const another = error instanceof OwnershipError && error.code === 'HANDOFF_INCOMPLETE'
        if (!another || pushes === mostPushes) throw error
      }
    }
  } catch (error) {
    const kept = await thaw(change, handoff, error)
    // It was the answer to the commit that was lost.
    if (pushed !== undefined && kept.owner.host === taker.identity) return committed(pushed, kept)
    await change.end(handoff)
    await resume(options, what, error)
    throw error
  }
}

/** Whoever takes snapshots of everything now and then does so once in a handoff, or twice. */
const mostPushes = 4

/** Gives a handoff up, if it is not committed. */
async function thaw({ giver, peer, volume }: ChangeOfHands, handoff: string, failure: unknown): Promise<Description> {
  try {
    if (giver.identity === peer.identity) await peer.reconnect({ signal: AbortSignal.timeout(reachMilliseconds) })
    const kept = await giver.thaw(handoff)
    if (kept !== undefined) return kept
    throw new OwnershipError('HANDOFF_ENDED', `${giver.identity} does not know ${volume.name} any more`)
  } catch (error) {
    throw new OwnershipError(
      'HANDOFF_UNTOLD',
      `The handoff of ${volume.dataset} failed, and ${giver.identity} could not be told: ${messageOf(failure)}`,
      {
        dataset: volume.dataset,
        cause: new AggregateError([failure, error]),
        next: 'host.recover() ends it, as soon as the other host can be reached.',
      },
    )
  }
}

const reachMilliseconds = 10_000
const defaultHookMilliseconds = 30_000

async function quiesce(
  { quiesce: hook, hookMilliseconds = defaultHookMilliseconds, signal }: HandoffOptions,
  what: string,
) {
  if (hook === undefined) return
  const deadline = AbortSignal.timeout(hookMilliseconds)
  const stop = signal === undefined ? deadline : AbortSignal.any([signal, deadline])
  const ended = new AbortController()
  const stopped = new Promise<never>((_, reject) => {
    const late = (): void => reject(new Error(`it was not done within ${hookMilliseconds} ms`))
    stop.addEventListener('abort', late, { once: true, signal: ended.signal })
  })
  try {
    await Promise.race([(async () => hook({ signal: stop }))(), stopped])
  } catch (cause) {
    if (signal?.aborted) throw abortReason(signal, what)
    throw new ReplicationError('HOOK_FAILED', `quiesce failed for ${what.toLowerCase()}: ${messageOf(cause)}`, {
      cause,
    })
  } finally {
    ended.abort()
  }
}

async function resume({ resume: hook }: HandoffOptions, what: string, failure: unknown): Promise<void> {
  try {
    await hook?.()
  } catch (error) {
    throw new ReplicationError('HOOK_FAILED', `${what} failed, and so did resume: ${messageOf(error)}`, {
      cause: new AggregateError([failure, error]),
      next: 'The volume is where it was. See whether the application runs.',
    })
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const defaultTellMilliseconds = 60_000
const tellPauseMilliseconds = 250

/** Tells the new owner, over a new connection if need be. From here on there is no way back, and nothing to abort. */
async function tellTaker(
  { peer, taker, volume, options }: ChangeOfHands,
  { epoch }: Ownership,
  { guid, description }: Committed,
): Promise<void> {
  const deadline = performance.now() + (options.tellMilliseconds ?? defaultTellMilliseconds)
  for (;;) {
    try {
      await peer.reconnect({ signal: AbortSignal.timeout(reachMilliseconds) })
      return await taker.take({ epoch, guid }, description)
    } catch (error) {
      if (isTransient(error) && performance.now() < deadline) {
        await wait(tellPauseMilliseconds)
        continue
      }
      throw new OwnershipError(
        'HANDOFF_UNTOLD',
        `${taker.identity} owns ${volume.dataset} since epoch ${epoch}, and does not serve it yet: ${messageOf(error)}`,
        { dataset: volume.dataset, cause: error, next: 'host.recover() goes on telling it.' },
      )
    }
  }
}
