import { AbortError, ReplicationError, StreamError, TransportError } from '../errors.js'
import { afterFailure, type Reached } from './failure.js'
import { move } from './move.js'
import { ProgressMeter } from './progress.js'
import type { Replication } from './replication.js'
import type { Received, StreamOrder } from './sides.js'
import { StreamTeller } from './steps.js'
import { stalledOn, Watchdog } from './watchdog.js'

const defaultStallMilliseconds = 300_000

/** Sends one stream, has it confirmed, moves the cursor. Returns the bytes sent. */
export async function deliver(
  replication: Replication,
  order: Omit<StreamOrder, 'transfer' | 'volume'>,
): Promise<bigint> {
  const { source, volume, transfer, what, options } = replication
  const stream: StreamOrder = { ...order, transfer, volume }
  using watchdog = new Watchdog(what, options.signal, options.stallMilliseconds ?? defaultStallMilliseconds)
  const teller = StreamTeller.of(replication, order)
  const reached: Reached = { welcomed: false, confirmed: false }
  try {
    const bytes = await send(replication, stream, watchdog, reached, teller)
    reached.confirmed = true
    await source.confirm(volume, stream.target)
    teller.done(bytes)
    return bytes
  } catch (error) {
    teller.failed(error)
    if (reached.welcomed || stream.resume !== undefined) replication.unfinished = stream
    await afterFailure(replication, stream, reached, error)
    throw error
  }
}

async function send(
  { source, destination, replica, transfer, options, limiter }: Replication,
  order: StreamOrder,
  watchdog: Watchdog,
  reached: Reached,
  teller: StreamTeller,
): Promise<bigint> {
  const { signal } = watchdog
  const { target, resume, origin, receiveAs = target.name } = order
  const outgoing = await source.open(order, signal)
  try {
    const already = resume?.bytes ?? 0n
    const meter = new ProgressMeter(target.name, outgoing.total, already, performance.now())
    const arrival = { transfer, volume: replica, snapshot: receiveAs, from: source.identity, origin }
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
    options.onProgress?.(meter.report(performance.now()))
    return bytes
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
