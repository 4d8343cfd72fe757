import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { FlockerError, ReplicationError, StreamError, TransportError } from '../errors.js'
import { beginRecordBytes, hold, send, sendSpace } from '../lzc/index.js'
import type { TransferOptions } from '../transport/index.js'
import { afterFailure, type Reached } from './failure.js'
import { receiveVolume } from './messages.js'
import { holdTag } from './names.js'
import type { Peer } from './peer.js'
import { ProgressMeter } from './progress.js'
import type { Delivery } from './push.js'
import { sendFlags } from './send-flags.js'
import { confirmDelivery } from './settle.js'
import { stalledOn, Watchdog } from './watchdog.js'

const defaultStallMilliseconds = 300_000

/** Holds, sends, has it confirmed, moves the cursor. Returns the bytes sent. */
export async function deliver(delivery: Delivery): Promise<bigint> {
  const { source, peer, target, base, options, transfer, what, logger } = delivery
  using watchdog = new Watchdog(what, options.signal, options.stallMilliseconds ?? defaultStallMilliseconds)
  const snapshot = `${source.dataset}@${target.name}`
  const started = performance.now()
  const reached: Reached = { welcomed: false, confirmed: false }
  logger.info({ snapshot, guid: String(target.guid), base: base?.name }, 'stream begins')
  try {
    const held = base?.kind === 'snapshot' ? [snapshot, base.name] : [snapshot]
    const tag = holdTag(transfer)
    // Temporary holds end with the process, or when the pool is next imported: a crash leaves none.
    const holds = await hold(Object.fromEntries(held.map((name) => [name, tag])), { temporary: true })
    try {
      const bytes = await stream(delivery, snapshot, watchdog, reached)
      reached.confirmed = true
      await confirmDelivery(source.dataset, peer.identity, target, target.ours)
      logger.info({ snapshot, bytes: String(bytes), milliseconds: performance.now() - started }, 'stream confirmed')
      return bytes
    } finally {
      await holds.release()
    }
  } catch (error) {
    await afterFailure(delivery, reached, error)
    throw error
  }
}

async function stream(delivery: Delivery, snapshot: string, watchdog: Watchdog, reached: Reached): Promise<bigint> {
  const { source, peer, base, options, resume } = delivery
  const { signal } = watchdog
  const flags = resume?.flags ?? (await sendFlags(source.dataset))
  const from = base === undefined ? {} : { from: base.name }
  const already = resume?.bytes ?? 0n
  const total = atLeast(await sendSpace(snapshot, { ...from, flags }), already)
  const meter = new ProgressMeter(snapshot, total, already, performance.now())
  const outgoing = send(snapshot, { ...from, flags, ...(resume === undefined ? {} : { resume }), signal })
  try {
    const begin = await peekBegin(outgoing)
    const { ticket, outcome } = announce(delivery, begin, total - already, signal, reached)
    const standing = { sent: 0n, taken: 0n }
    watchdog.explain = () => stalledOn({ ...standing, ended: outgoing.readableEnded }, peer.identity)
    const sending = sendOver(peer, ticket, outgoing, {
      signal,
      limiter: delivery.limiter,
      onBytes: (bytes) => {
        standing.sent = bytes
        const report = meter.update(bytes, performance.now())
        if (report !== undefined) options.onProgress?.(report)
      },
      onTaken: (bytes) => {
        standing.taken = bytes
        watchdog.touch()
      },
    })
    const confirmed = await bothEnds(sending, outcome, () => outgoing.destroy())
    checkConfirmed(delivery, confirmed.outcome)
    options.onProgress?.(meter.report(performance.now()))
    return confirmed.bytes
  } finally {
    await ended(outgoing)
  }
}

/** An estimate can be below what has arrived already. */
function atLeast(estimate: bigint, least: bigint): bigint {
  return estimate < least ? least : estimate
}

type Outcome = { guid: bigint; bytes: bigint }

/** Tells the peer what is coming. It answers twice: with a ticket when the stream is welcome, and with how it ended. */
function announce(
  { transfer, source, peer, target, options }: Delivery,
  begin: Buffer,
  estimate: bigint,
  signal: AbortSignal,
  reached: Reached,
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
  const onEvent = (event: { ticket: string }): void => {
    reached.welcomed = true
    admit(event.ticket)
  }
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
  transfer: TransferOptions & { signal: AbortSignal },
): Promise<bigint> {
  const channel = await peer.connection.openData(await ticket, { signal: transfer.signal })
  return channel.send(source, transfer)
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
