import { once } from 'node:events'
import type { Readable } from 'node:stream'
import type { Logger } from 'pino'
import { getProperties } from '../datasets/index.js'
import { FlockerError, ReplicationError, StreamError, TransportError } from '../errors.js'
import { beginRecordBytes, destroySnapshots, hold, send, sendSpace } from '../lzc/index.js'
import { receiveVolume } from './messages.js'
import { holdTag } from './names.js'
import type { Peer } from './peer.js'
import type { IncrementalBase } from './plan.js'
import { ProgressMeter } from './progress.js'
import type { PushOptions, PushSource, Target } from './push.js'
import { confirmDelivery, rememberPoint } from './settle.js'
import { Watchdog } from './watchdog.js'

export interface Delivery {
  what: string
  transfer: string
  source: PushSource
  peer: Peer
  target: Target
  base: IncrementalBase | undefined
  options: PushOptions
  logger: Logger
}

const defaultStallMilliseconds = 300_000

/** How far it got decides what a failure must leave behind. */
interface Reached {
  /** All of the stream has been read, so the peer may have the snapshot even if it never said so. */
  sent: boolean
  /** The peer has said that it has the snapshot: whatever fails now, the snapshot stays. */
  confirmed: boolean
}

/** Holds, sends, has it confirmed, moves the cursor; leaves nothing behind when it fails. Returns the bytes sent. */
export async function deliver(delivery: Delivery): Promise<bigint> {
  const { source, peer, target, base, options, transfer, what } = delivery
  using watchdog = new Watchdog(what, options.signal, options.stallMilliseconds ?? defaultStallMilliseconds)
  const snapshot = `${source.dataset}@${target.name}`
  const reached: Reached = { sent: false, confirmed: false }
  try {
    const held = base?.kind === 'snapshot' ? [snapshot, base.name] : [snapshot]
    const tag = holdTag(transfer)
    // Temporary holds end with the process, or when the pool is next imported: a crash leaves none.
    const holds = await hold(Object.fromEntries(held.map((name) => [name, tag])), { temporary: true })
    try {
      const bytes = await stream(delivery, snapshot, watchdog, reached)
      reached.confirmed = true
      await confirmDelivery(source.dataset, peer.identity, target, target.ours)
      return bytes
    } finally {
      await holds.release()
    }
  } catch (error) {
    if (target.ours && !reached.confirmed) await withdraw(delivery, snapshot, reached)
    throw error
  }
}

/**
 * Removes the snapshot of a push that failed. When the last acknowledgement may have been lost, a bookmark stays: if the peer
 * did receive the snapshot, the next push starts from it.
 */
async function withdraw({ source, peer, target, logger }: Delivery, snapshot: string, reached: Reached): Promise<void> {
  try {
    if (reached.sent) await rememberPoint(source.dataset, peer.identity, target)
    await destroySnapshots([snapshot])
  } catch (error) {
    logger.error({ err: error, snapshot }, 'the snapshot of a failed push could not be removed; the next push will')
  }
}

async function stream(delivery: Delivery, snapshot: string, watchdog: Watchdog, reached: Reached): Promise<bigint> {
  const { source, peer, base, options } = delivery
  const { signal } = watchdog
  const flags = await sendFlags(source.dataset)
  const from = base === undefined ? {} : { from: base.name }
  const total = await sendSpace(snapshot, { ...from, flags })
  const meter = new ProgressMeter(total, performance.now())
  const outgoing = send(snapshot, { ...from, flags, signal })
  try {
    const begin = await peekBegin(outgoing)
    outgoing.once('end', () => {
      reached.sent = true
    })
    const { ticket, outcome } = announce(delivery, begin, total, signal)
    const sending = sendOver(peer, ticket, outgoing, signal, (bytes) => {
      watchdog.touch()
      const report = meter.update(bytes, performance.now())
      if (report !== undefined) options.onProgress?.(report)
    })
    const confirmed = await bothEnds(sending, outcome, () => outgoing.destroy())
    checkConfirmed(delivery, confirmed.outcome)
    options.onProgress?.(meter.report(performance.now()))
    return confirmed.bytes
  } finally {
    await ended(outgoing)
  }
}

type Outcome = { guid: bigint; bytes: bigint }

/** Tells the peer what is coming. It answers twice: with a ticket when the stream is welcome, and with how it ended. */
function announce(
  { transfer, source, peer, target, options }: Delivery,
  begin: Buffer,
  estimate: bigint,
  signal: AbortSignal,
): { ticket: Promise<string>; outcome: Promise<Outcome> } {
  const params = {
    transfer,
    volume: source.name,
    snapshot: target.name,
    begin: begin.toString('base64'),
    estimate,
    checkSpace: options.checkSpace ?? true,
  }
  let admit: (ticket: string) => void
  const welcome = new Promise<string>((resolve) => {
    admit = resolve
  })
  const onEvent = (event: { ticket: string }): void => admit(event.ticket)
  const outcome = peer.connection.request(receiveVolume, params, { signal, onEvent })
  const refused = outcome.then<never>(() => {
    throw new TransportError('PROTOCOL', `${peer.identity} answered without asking for the stream`)
  })
  return { ticket: Promise.race([welcome, refused]), outcome }
}

async function sendOver(
  peer: Peer,
  ticket: Promise<string>,
  source: Readable,
  signal: AbortSignal,
  onBytes: (bytes: bigint) => void,
): Promise<bigint> {
  const channel = await peer.connection.openData(await ticket, { signal })
  return channel.send(source, { signal, onBytes })
}

/**
 * Waits for both ends. The receiver's own word for what went wrong is better than what the sender sees of it, a stream that
 * stopped; so where the data path fails, the outcome is awaited: it says why.
 */
async function bothEnds(
  sending: Promise<bigint>,
  outcome: Promise<Outcome>,
  stop: () => void,
): Promise<{ bytes: bigint; outcome: Outcome }> {
  const [sent, received] = await Promise.all([
    settle(sending),
    settle(outcome).then((result) => {
      if (!result.ok) stop()
      return result
    }),
  ])
  if (sent.ok && received.ok) return { bytes: sent.value, outcome: received.value }
  const errors = [received, sent].flatMap((result) => (result.ok ? [] : [result.error]))
  throw errors.find((error) => !isSymptom(error)) ?? errors[0]
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

function checkConfirmed({ peer, target, source }: Delivery, outcome: Outcome): void {
  if (outcome.guid === target.guid) return
  throw new ReplicationError(
    'GUID_MISMATCH',
    `${peer.identity} received GUID ${outcome.guid} where ${target.guid} (${source.dataset}@${target.name}) was sent`,
    { dataset: source.dataset, peer: peer.identity },
  )
}

/**
 * Blocks go as they are on disk (`-c`), in their own size (`-L`) and embedded (`-e`), always the same way, for a replica must
 * not see a change of block size between increments (zfs-send(8)); an encrypted dataset goes raw (`-w`).
 */
async function sendFlags(dataset: string): Promise<Record<'largeBlocks' | 'embedded' | 'compressed' | 'raw', boolean>> {
  const { encryption } = await getProperties(dataset)
  const raw = encryption !== undefined && encryption.value !== 'off'
  return { largeBlocks: true, embedded: true, compressed: true, raw }
}

/** Reads the BEGIN record and puts it back, so that the peer can judge the stream before any of it flows. */
async function peekBegin(source: Readable): Promise<Buffer> {
  for (;;) {
    const record: Buffer | null = source.read(beginRecordBytes)
    if (record !== null && record.length === beginRecordBytes) {
      source.unshift(record)
      return record
    }
    if (record !== null) source.unshift(record)
    if (source.readableEnded)
      throw new StreamError('STREAM_TRUNCATED', 'The stream ended before its first record was complete')
    if (source.errored) throw source.errored
    await Promise.race([once(source, 'readable'), once(source, 'end')])
  }
}

/** Resolves when the stream's thread is done with the snapshot, so that it can be released and destroyed. */
async function ended(source: Readable): Promise<void> {
  if (source.closed) return
  source.on('error', ignoreReported)
  source.destroy()
  await once(source, 'close')
}

/** Whoever read from the stream has already been given this error. */
function ignoreReported(error: Error): void {
  if (!(error instanceof FlockerError)) throw error
}
