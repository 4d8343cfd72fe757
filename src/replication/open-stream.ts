import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { StreamError } from '../errors.js'
import { beginRecordBytes, hold, type SendStream, send, sendSpace } from '../lzc/index.js'
import type { HoldTags } from './keep.js'
import { holdTag } from './names.js'
import { sendFlags } from './send-flags.js'
import type { Outgoing, StreamOrder } from './sides.js'

/** A stream, and what is held for it. */
export type HeldStream = Outgoing<{ stream: SendStream }> & { forStream: HoldTags }

/** Holds a snapshot and its base, and begins to send: as much as its BEGIN record. */
export async function openStream(dataset: string, order: StreamOrder, signal: AbortSignal): Promise<HeldStream> {
  const { target, base, resume, transfer } = order
  const snapshot = `${dataset}@${target.name}`
  const held = base?.kind === 'snapshot' ? [snapshot, base.name] : [snapshot]
  // Temporary holds end with the process, or when the pool is next imported: a crash leaves none.
  const tag = holdTag(transfer)
  const holds = await hold(Object.fromEntries(held.map((name) => [name, tag])), { temporary: true })
  const forStream = Object.fromEntries(held.map((name) => [name, [tag]]))
  let stream: SendStream | undefined
  const close = async (): Promise<void> => {
    try {
      if (stream !== undefined) await ended(stream)
    } finally {
      await holds.release()
    }
  }
  try {
    const usual = await sendFlags(dataset)
    const flags =
      resume === undefined ? usual : { ...resume.flags, embedded: resume.flags.embedded && usual.embedded === true }
    const from = base === undefined ? {} : { from: base.name }
    const total = await sendSpace(snapshot, { ...from, flags })
    stream = send(snapshot, { ...from, flags, ...(resume === undefined ? {} : { resume }), signal })
    // Whoever reads from it is given its error; until somebody does, one that nobody listens to would end the process.
    stream.on('error', () => undefined)
    const begin = await peekBegin(stream)
    // An estimate can be below what has arrived already.
    const least = resume?.bytes ?? 0n
    const body = { stream }
    return { begin, total: total < least ? least : total, body, outcome: Promise.resolve(), close, forStream }
  } catch (error) {
    await close()
    throw error
  }
}

/** Reads the BEGIN record and puts it back, so that the other side can judge the stream before any of it flows. */
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
  // Not once(), which rejects where an error is on its way too.
  const closed = new Promise<void>((resolve) => source.once('close', resolve))
  source.destroy()
  await closed
}
