import { AbortError, ReplicationError, StreamError, TransportError } from '../errors.js'
import type { LeftOutProperty } from './admit-properties.js'
import { chooseProperties, sendsProperties } from './choose-properties.js'
import { afterFailure, type Reached } from './failure.js'
import { move } from './move.js'
import { ProgressMeter } from './progress.js'
import type { Replication } from './replication.js'
import type { Received, StreamOrder } from './sides.js'
import { StreamTeller } from './steps.js'
import { stalledOn, Watchdog } from './watchdog.js'

const defaultStallMilliseconds = 300_000

/** What came of a stream. */
export interface Delivered {
  /** Sent now. */
  bytes: bigint
  propertiesLeftOut: readonly LeftOutProperty[]
}

/** Sends one stream, has it confirmed, moves the cursor. */
export async function deliver(
  replication: Replication,
  order: Omit<StreamOrder, 'transfer' | 'volume' | 'properties'>,
): Promise<Delivered> {
  const { volume, transfer, what, options } = replication
  const stream: StreamOrder = { ...order, transfer, volume, properties: sendsProperties(options.properties) }
  using watchdog = new Watchdog(what, options.signal, options.stallMilliseconds ?? defaultStallMilliseconds)
  const teller = StreamTeller.of(replication, order)
  const reached: Reached = { welcomed: false, confirmed: false }
  try {
    const delivered = await send(replication, stream, watchdog, reached, teller)
    teller.done(delivered.bytes)
    return delivered
  } catch (error) {
    teller.failed(error)
    if (reached.welcomed || stream.resume !== undefined) replication.unfinished = stream
    await afterFailure(replication, stream, reached, error)
    throw error
  }
}

/** Its stream ends, and with it what is held for it, once the source knows that it was confirmed. */
async function send(
  { source, destination, replica, transfer, options, limiter, logger }: Replication,
  order: StreamOrder,
  watchdog: Watchdog,
  reached: Reached,
  teller: StreamTeller,
): Promise<Delivered> {
  const { signal } = watchdog
  const { target, resume, origin, receiveAs = target.name } = order
  const outgoing = await source.open(order, signal)
  try {
    const already = resume?.bytes ?? 0n
    const meter = new ProgressMeter(target.name, outgoing.total, already, performance.now())
    const properties = chooseProperties(options.properties ?? {}, outgoing.properties)
    const arrival = { transfer, volume: replica, snapshot: receiveAs, from: source.identity, origin, properties }
    const least = options.checkSpace === false ? 0n : outgoing.total - already
    const incoming = await destination.open(arrival, outgoing.begin, least, signal)
    reached.welcomed = true
    const standing = { sent: 0n, taken: 0n, ended: false }
    if ('stream' in outgoing.body) watchdog.explain = () => stalledOn(standing, destination.identity)
    const moving = move(outgoing.body, incoming.body, {
      signal,
      limiter,
      onBytes: (bytes) => {
        standing.sent = bytes
        teller.moved(bytes)
        const report = meter.update(bytes, performance.now())
        if (report !== undefined) options.onProgress?.(report)
      },
      onTaken: (bytes) => {
        standing.taken = bytes
        watchdog.touch()
      },
      onEnd: () => {
        standing.ended = true
      },
    })
    const { bytes, received } = await everyEnd(incoming.outcome, outgoing.outcome, moving, outgoing.close, signal)
    checkConfirmed(destination.identity, source.identity, order, received)
    reached.confirmed = true
    await source.confirm(order.volume, target)
    options.onProgress?.(meter.report(performance.now()))
    const { leftOut } = received
    if (leftOut.length > 0) logger.warn({ leftOut }, 'the replica did not get these properties')
    return { bytes, propertiesLeftOut: leftOut }
  } finally {
    await outgoing.close()
  }
}

/**
 * Waits for all that has a say. The receiving side's own word for what went wrong is the best, then the sending side's: what is seen
 * of it on the way is a stream that stopped. That one end was ended here because of another is no word at all.
 */
async function everyEnd(
  receiving: Promise<Received>,
  sending: Promise<unknown>,
  moving: Promise<bigint>,
  stop: () => Promise<void>,
  signal: AbortSignal,
): Promise<{ bytes: bigint; received: Received }> {
  const [received, sent, moved] = await Promise.all([
    settle(receiving).then(async (result) => {
      if (!result.ok) await stop()
      return result
    }),
    settle(sending),
    settle(moving),
  ])
  if (received.ok && sent.ok && moved.ok) return { bytes: moved.value, received: received.value }
  const errors = [received, sent, moved].flatMap((result) => (result.ok ? [] : [result.error]))
  const isOwnEnd = (error: unknown): boolean =>
    error instanceof AbortError && error.peer === undefined && !signal.aborted
  const foreign = errors.filter((error) => !isOwnEnd(error))
  throw foreign.find((error) => !isSymptom(error)) ?? foreign[0] ?? errors[0]
}

type Settled<T> = { ok: true; value: T } | { ok: false; error: unknown }

async function settle<T>(promise: Promise<T>): Promise<Settled<T>> {
  try {
    return { ok: true, value: await promise }
  } catch (error) {
    return { ok: false, error }
  }
}

/** Errors that only say that the other half has failed. */
function isSymptom(error: unknown): boolean {
  return error instanceof TransportError || (error instanceof StreamError && error.code === 'STREAM_TRUNCATED')
}

function checkConfirmed(
  destination: string,
  source: string,
  { target, volume }: StreamOrder,
  received: Received,
): void {
  if (received.guid === target.guid) return
  throw new ReplicationError(
    'GUID_MISMATCH',
    `${destination} received GUID ${received.guid} where ${target.guid} (${volume}@${target.name} of ${source}) was sent`,
    { dataset: volume, peer: destination },
  )
}
