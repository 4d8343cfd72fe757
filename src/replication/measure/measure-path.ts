import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import type { z } from 'zod'
import { listDatasets, listSnapshots } from '../../datasets/index.js'
import { AbortError, ArgumentError, TransportError, throwIfAborted, ZfsError } from '../../errors.js'
import type { Method } from '../../transport/index.js'
import { openStream } from '../open-stream.js'
import type { Peer } from '../peer.js'
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

/** What was measured at the other end. */
type Measured = z.output<typeof measureWire.result>
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
    const target = await newestSnapshot(dataset, signal)
    if (target !== undefined) best = { dataset, target, referenced }
  }
  if (best !== undefined) return best
  throw new ZfsError('NOT_FOUND', `${volume === undefined ? `Nothing below ${root}` : top} has a snapshot`, {
    dataset: top,
    next: 'Take one of a volume with some data: it is sent, and destroyed where it arrives.',
  })
}

async function newestSnapshot(dataset: string, signal: AbortSignal | undefined): Promise<Target | undefined> {
  let newest: Target | undefined
  for await (const { name, guid, createtxg } of listSnapshots(dataset, { signal })) {
    if (newest !== undefined && createtxg <= newest.createtxg) continue
    newest = { name: name.slice(dataset.length + 1), guid, createtxg, ours: false }
  }
  return newest
}

class Measuring {
  constructor(
    private readonly peer: Peer,
    private readonly volume: string,
    private readonly milliseconds: number,
    private readonly signal: AbortSignal | undefined,
  ) {}

  async cipher(): Promise<bigint> {
    const answer = await this.peer.connection.request(measureCipherOf, { volume: this.volume }, this.#options())
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
    const { ticket, outcome } = await this.#ask(method, params, requested)
    let timer: NodeJS.Timeout | undefined
    try {
      const channel = await connection.openData(ticket, { signal: requested })
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

  /** Resolves once the peer is ready for the stream. */
  async #ask(
    method: MeasureMethod,
    params: unknown,
    signal: AbortSignal,
  ): Promise<{ ticket: string; outcome: Promise<Measured> }> {
    let admit: (ticket: string) => void
    const welcome = new Promise<string>((resolve) => {
      admit = resolve
    })
    const onEvent = (event: { ticket: string }): void => admit(event.ticket)
    const outcome = this.peer.connection.request(method, params, { signal, onEvent })
    const refused = outcome.then<never>(() => {
      throw new TransportError('PROTOCOL', `${this.peer.identity} answered without taking a stream`)
    })
    return { ticket: await Promise.race([welcome, refused]), outcome }
  }

  #options(): { signal?: AbortSignal } {
    return this.signal === undefined ? {} : { signal: this.signal }
  }
}
