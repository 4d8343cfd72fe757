/** What a replication tells of itself: to its caller, to the log, and to whoever listens in this process. */
import { channel } from 'node:diagnostics_channel'
import type { Logger } from 'pino'
import { FlockerError } from '../errors.js'
import type { Finding, Step as PlanStep } from './planner/tree-plan.js'
import type { Replication } from './replication.js'
import type { StreamOrder } from './sides.js'

/** One stream. */
export interface StreamFacts {
  /** The part of the snapshot's name after the `@`. */
  snapshot: string
  guid: bigint
  kind: 'full' | 'incremental'
  /** Bytes of it that had arrived before. */
  kept: bigint
}

interface StreamEnd extends StreamFacts {
  /** Sent now. */
  bytes: bigint
  milliseconds: number
}

/** One step of a tree's plan. */
export interface PlanStepFacts {
  kind: PlanStep['kind']
  /** Full name of the dataset on the sending host. */
  source: string
  /** Full name of its replica on the receiving one. */
  destination: string
}

/** One step of a replication. */
export type Step =
  | { step: 'planned'; plan: 'full' | 'incremental' | 'current'; base: string | undefined }
  /** The destination's diverged dataset has another name now. */
  | { step: 'preserved'; preserved: string }
  /** A snapshot was taken. */
  | { step: 'snapshotTaken'; snapshot: string; guid: bigint }
  | ({ step: 'streamBegun' } & StreamFacts)
  /** The receiving host has it. */
  | ({ step: 'streamDone' } & StreamEnd)
  | ({ step: 'streamFailed'; error: unknown } & StreamEnd)
  /** It failed, and is tried again after the wait. */
  | { step: 'retrying'; attempt: number; waitMilliseconds: number; error: unknown }
  | { step: 'done'; kind: 'full' | 'incremental' | 'current'; bytes: bigint; milliseconds: number }
  | { step: 'failed'; error: unknown }
  /** Of a tree: how many steps there are to take, and how many findings where there is none. */
  | { step: 'treePlanned'; steps: number; findings: number }
  /** Something about a dataset of a tree that its user should know. */
  | { step: 'found'; finding: Finding['kind']; destination: string; why: string }
  /** A step of a tree's plan is taken, which may send a stream. */
  | ({ step: 'stepBegun'; why: string } & PlanStepFacts)
  | ({ step: 'stepDone'; bytes: bigint; milliseconds: number } & PlanStepFacts)
  | ({ step: 'stepFailed'; error: unknown } & PlanStepFacts)
  /** It was not begun; `because` is the destination of the step that failed. */
  | ({ step: 'stepLeftOut'; because: string } & PlanStepFacts)
  /** A tree's replication has ended; `code` is that of the first error of a step, or `OK`. */
  | {
      step: 'treeDone'
      code: string
      done: number
      failed: number
      leftOut: number
      bytes: bigint
      milliseconds: number
    }

/** Which replication a step is of. */
export interface Circumstances {
  /** A UUID, another one for each attempt, and for each stream of a tree. */
  transferId: string
  /** Of a stream of a tree: the `transferId` of that tree's replication, as far as this host knows it. */
  tree?: string
  /** The volume's name below the root of either host. */
  volume: string
  /** The other host's identity. */
  peer: string
  /** What this host does. */
  side: 'send' | 'receive'
}

/**
 * What {@link onReplicationEvent} tells of: steps, those of the streams that this host serves peers with among them; and at most
 * once a second that a stream has moved on by so many bytes.
 */
export type ReplicationEvent = Circumstances & (Step | ({ step: 'streamMoved'; bytes: bigint } & StreamFacts))

const events = channel('flocker-zfs:replication')

/**
 * Listens to all replications of this process, whoever runs them. They go through the diagnostics channel
 * `flocker-zfs:replication` of Node.js. What a listener throws is an uncaught exception, as the channel has it.
 * @returns ends it
 */
export function onReplicationEvent(listener: (event: ReplicationEvent) => void): () => void {
  const subscriber = (message: unknown): void => listener(message as ReplicationEvent)
  events.subscribe(subscriber)
  return () => void events.unsubscribe(subscriber)
}

const sentences: Record<Step['step'], string> = {
  planned: 'planned',
  preserved: 'the diverged dataset has another name now',
  snapshotTaken: 'took a snapshot',
  streamBegun: 'a stream begins',
  streamDone: 'the stream is confirmed',
  streamFailed: 'the stream failed',
  retrying: 'failed, and is tried again',
  done: 'done',
  failed: 'failed',
  treePlanned: 'planned',
  found: 'there is something to know',
  stepBegun: 'a step begins',
  stepDone: 'the step is done',
  stepFailed: 'the step failed',
  stepLeftOut: 'the step was left out',
  treeDone: 'done',
}

/** Who hears of the steps of one replication. */
export interface Audience {
  about: Circumstances
  /** Bound to what {@link Circumstances} say. */
  logger: Logger
  onStep?: ((step: Step) => void) | undefined
}

/** Tells of a step of a replication. */
export function tell(replication: Replication, step: Step): void {
  const { options, logger } = replication
  announce({ about: circumstances(replication), logger, onStep: options.onStep }, step)
}

/** Tells of a step: the log, the process, and the caller. */
export function announce({ about, logger, onStep }: Audience, step: Step): void {
  logStep(logger, step)
  events.publish({ ...about, ...step })
  try {
    onStep?.(step)
  } catch (error) {
    // It has no say in the replication, which may be in the middle of putting things in order.
    logger.error({ err: error }, 'onStep threw')
  }
}

function circumstances({ transfer, tree, volume, self, source, destination }: Replication): Circumstances {
  const sends = source.identity === self
  return {
    transferId: transfer,
    ...(tree === undefined ? {} : { tree }),
    volume,
    peer: sends ? destination.identity : source.identity,
    side: sends ? 'send' : 'receive',
  }
}

const warnings: readonly Step['step'][] = ['failed', 'streamFailed', 'retrying', 'found', 'stepFailed', 'stepLeftOut']

function logStep(logger: Logger, { step, ...facts }: Step): void {
  const level = warnings.includes(step) ? 'warn' : 'info'
  const fields = Object.entries(facts).map(([name, value]) => {
    if (name === 'error') return ['err', value]
    return [name, typeof value === 'bigint' ? String(value) : value]
  })
  logger[level]({ step, ...Object.fromEntries(fields) }, sentences[step])
}

/** Tells how one stream goes. */
export class StreamTeller {
  readonly #started = performance.now()
  #bytes = 0n
  #told = 0n
  #toldAt = this.#started

  private constructor(
    private readonly facts: StreamFacts,
    private readonly tell: (step: Step) => void,
    private readonly about: Circumstances,
  ) {
    tell({ step: 'streamBegun', ...facts })
  }

  static of(replication: Replication, order: Omit<StreamOrder, 'transfer' | 'volume'>): StreamTeller {
    return new StreamTeller(factsOf(order), (step) => tell(replication, step), circumstances(replication))
  }

  /** For a stream of a replication that a peer runs. */
  static serving(facts: StreamFacts, audience: Audience): StreamTeller {
    return new StreamTeller(facts, (step) => announce(audience, step), audience.about)
  }

  /** It has come to so many bytes. */
  moved(bytes: bigint): void {
    this.#bytes = bytes
    const now = performance.now()
    if (now - this.#toldAt < movedMilliseconds) return
    this.#toldAt = now
    this.#tellMoved()
  }

  done(bytes: bigint): void {
    this.#bytes = bytes
    this.tell({ step: 'streamDone', ...this.#end() })
  }

  failed(error: unknown): void {
    this.tell({ step: 'streamFailed', error, ...this.#end() })
  }

  #end(): StreamEnd {
    this.#tellMoved()
    return { ...this.facts, bytes: this.#bytes, milliseconds: performance.now() - this.#started }
  }

  #tellMoved(): void {
    const bytes = this.#bytes - this.#told
    if (bytes <= 0n) return
    this.#told = this.#bytes
    events.publish({ ...this.about, step: 'streamMoved', ...this.facts, bytes })
  }
}

const movedMilliseconds = 1000

/** What there is to say of a stream that is sent. */
export function factsOf({ target, base, resume }: Omit<StreamOrder, 'transfer' | 'volume'>): StreamFacts {
  const kind = base === undefined ? 'full' : 'incremental'
  return { snapshot: target.name, guid: target.guid, kind, kept: resume?.bytes ?? 0n }
}

/** An error's code, for what counts errors by it. */
export function codeOf(error: unknown): string {
  return error instanceof FlockerError ? error.code : 'INTERNAL'
}
