import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import type { z } from 'zod'
import { listDatasets } from '../../datasets/index.js'
import { AbortError, ArgumentError, throwIfAborted, ZfsError } from '../../errors.js'
import type { Method } from '../../transport/index.js'
import { askTwice } from '../ask-twice.js'
import { readInventory } from '../local.js'
import { openStream } from '../open-stream.js'
import type { Peer } from '../peer.js'
import { newestOf } from '../planner/inventory.js'
import { optional } from '../remote-destination.js'
import type { Outgoing, Target } from '../sides.js'
import { judgePath, type LoadedPace, type Pace, type PathFigures, type Verdict } from './judge.js'
import { measureCipher, watchLoad } from './load.js'
import { measureCipherOf, measureReceive, measureWire } from './messages.js'
import { nowhere, zeros } from './nowhere.js'

/** What is measured, in this order. */
export type MeasureStage = 'cipher' | 'source' | 'wire' | 'whole'

/** What to measure with, and how long. */
export interface MeasureOptions {
  /** A volume of this host, whose newest snapshot is sent. Default: the one that refers to the most data. */
  volume?: string
  /** For each stage, at most. Default: 10 seconds. */
  milliseconds?: number
  signal?: AbortSignal
  /** Called when a stage begins. */
  onStage?: (stage: MeasureStage) => void
}

/** How fast the way between two hosts is, stage by stage. */
export interface PathReport extends PathFigures, Verdict {
  peer: string
  /** What was sent. */
  snapshot: string
  /** Bytes per second that one core of each host encrypts in AES-128-GCM: no stream is faster. */
  cipher: { here: bigint; there: bigint }
}

type MeasureMethod = Method<z.ZodType, typeof measureWire.result, typeof measureWire.event>

const defaultMilliseconds = 10_000
const leastMilliseconds = 100

/**
 * Measures what bounds a push to a peer: how fast the pool here gives a stream, how fast the wire takes zeros, how fast both with a receive
 * at the end are, and how busy both hosts are meanwhile. The peer must allow `receive` for the volume `measure-…` below its root: what
 * is received there is destroyed again, and nothing else is touched. Measure while the hosts do what they usually do.
 *
 * @throws ZfsError `NOT_FOUND`: no volume here has a snapshot; and as pushing that volume would
 * @throws TransportError, NotAuthorizedError, ArgumentError
 * @throws AbortError `ABORTED`, TimeoutError `TIMEOUT`: by the signal
 */
export async function measurePath(peer: Peer, options: MeasureOptions = {}): Promise<PathReport> {
  const { milliseconds = defaultMilliseconds, signal, onStage } = options
  if (!(milliseconds >= leastMilliseconds && Number.isFinite(milliseconds))) {
    throw new ArgumentError(`A stage can't be measured for ${milliseconds} ms: give at least ${leastMilliseconds}`)
  }
  throwIfAborted(signal, 'The measurement')
  const { dataset, target } = await findSnapshot(peer.host.root, options)
  const volume = `measure-${randomBytes(4).toString('hex')}`
  const measuring = new Measuring(peer, volume, milliseconds, signal)
  onStage?.('cipher')
  const cipher = { here: await measureCipher(), there: await measuring.cipher() }
  onStage?.('source')
  const source = await measuring.source(dataset, target)
  onStage?.('wire')
  const wire = await measuring.wire()
  onStage?.('whole')
  const whole = await measuring.whole(dataset, target)
  const figures = { source, wire, whole }
  return { peer: peer.identity, snapshot: `${dataset}@${target.name}`, cipher, ...figures, ...judgePath(figures) }
}

/** The newest snapshot of the volume, or of the one that refers to the most. */
async function findSnapshot(
  root: string,
  { volume, signal }: MeasureOptions,
): Promise<{ dataset: string; target: Target }> {
  let best: { dataset: string; target: Target; referenced: bigint } | undefined
  const top = volume === undefined ? root : `${root}/${volume}`
  const depth = volume === undefined ? Number.POSITIVE_INFINITY : 0
  for await (const { name: dataset, properties } of listDatasets(top, { depth, properties: ['referenced'], signal })) {
    const { value: referenced } = properties.referenced ?? {}
    if (typeof referenced !== 'bigint' || (best !== undefined && referenced <= best.referenced)) continue
    const newest = newestOf((await readInventory(dataset))?.snapshots ?? [])
    if (newest !== undefined) best = { dataset, target: { ...newest, ours: false }, referenced }
  }
  if (best !== undefined) return best
  throw new ZfsError(
    'NOT_FOUND',
    volume === undefined ? `Nothing below ${root} has a snapshot` : `${top} has no snapshot`,
    {
      dataset: top,
      next: 'Take one of a volume with some data: it is sent, and destroyed where it arrives.',
    },
  )
}

class Measuring {
  constructor(
    private readonly peer: Peer,
    private readonly volume: string,
    private readonly milliseconds: number,
    private readonly signal: AbortSignal | undefined,
  ) {}

  async cipher(): Promise<bigint> {
    const answer = await this.peer.connection.request(measureCipherOf, { volume: this.volume }, optional(this.signal))
    return answer.bytesPerSecond
  }

  source(dataset: string, target: Target): Promise<PathFigures['source']> {
    return this.#opened(dataset, target, async ({ body: { stream } }) => {
      const load = watchLoad()
      const pace = await this.#drain(stream)
      return { ...pace, here: load() }
    })
  }

  async wire(): Promise<LoadedPace> {
    const source = zeros()
    try {
      return await this.#send(measureWire, { volume: this.volume }, source)
    } finally {
      source.destroy()
    }
  }

  whole(dataset: string, target: Target): Promise<LoadedPace> {
    return this.#opened(dataset, target, ({ begin, body: { stream } }) =>
      this.#send(measureReceive, { volume: this.volume, begin: begin.toString('base64') }, stream),
    )
  }

  async #opened<Result>(
    dataset: string,
    target: Target,
    use: (outgoing: Outgoing<{ stream: Readable }>) => Promise<Result>,
  ): Promise<Result> {
    const order = { transfer: randomUUID(), volume: this.volume, target, base: undefined, resume: undefined }
    const outgoing = await openStream(dataset, order, this.signal ?? new AbortController().signal)
    try {
      return await use(outgoing)
    } finally {
      await outgoing.close()
    }
  }

  /** Reads a stream to nowhere for as long as a stage takes. */
  async #drain(stream: Readable): Promise<Pace> {
    const sink = nowhere()
    const started = performance.now()
    let [bytes, late] = [0n, false]
    stream.on('data', (chunk: Buffer) => {
      bytes += BigInt(chunk.length)
    })
    stream.pipe(sink)
    const timer = setTimeout(() => {
      late = true
      stream.destroy()
    }, this.milliseconds)
    try {
      await once(stream, 'close')
      if (!late && stream.errored) throw stream.errored
      return { bytes, milliseconds: performance.now() - started }
    } finally {
      clearTimeout(timer)
      sink.destroy()
    }
  }

  /** Sends a stream to whatever the peer does with it, for as long as a stage takes. */
  async #send<M extends MeasureMethod>(
    method: M,
    params: z.output<M['params']>,
    source: Readable,
  ): Promise<LoadedPace> {
    const { connection } = this.peer
    const [stop, over] = [new AbortController(), new AbortController()]
    const either = (signal: AbortSignal) => AbortSignal.any([signal, ...(this.signal ? [this.signal] : [])])
    const requested = either(stop.signal)
    const { ready, outcome } = await askTwice(this.peer, method, params, requested, 'answered without taking a stream')
    let timer: NodeJS.Timeout | undefined
    try {
      const channel = await connection.openData(ready.ticket, { signal: requested })
      const [load, started] = [watchLoad(), performance.now()]
      timer = setTimeout(() => over.abort(new AbortError('The measurement is over')), this.milliseconds)
      await channel.send(source, { signal: either(over.signal) }).catch((error: unknown) => {
        if (!over.signal.aborted || this.signal?.aborted) throw error
      })
      const [milliseconds, here] = [performance.now() - started, load()]
      const { bytes, load: there } = await outcome
      return { bytes, milliseconds, here, there }
    } finally {
      clearTimeout(timer)
      stop.abort()
    }
  }
}
