import type { Writable } from 'node:stream'
import { getProperties } from '../../datasets/index.js'
import { FlockerError, ZfsError } from '../../errors.js'
import { type BeginRecord, destroy, destroySnapshots, exists, parseBeginRecord, receive } from '../../lzc/index.js'
import { type Handler, handle, type RequestContext } from '../../transport/index.js'
import { checkStream } from '../check-destination.js'
import { claimReceive } from '../claims.js'
import { ensureParents } from '../parents.js'
import { replicaOptions } from '../replica-properties.js'
import type { Gate, ServeSettings } from '../serve.js'
import { measureCipher, watchLoad } from './load.js'
import { measureCipherOf, measureReceive, measureWire } from './messages.js'
import { nowhere } from './nowhere.js'

type Context = RequestContext<{ ticket: string }>

/** What peers may ask of this host to find out how fast it is. */
export function serveMeasure(settings: ServeSettings, allowed: Gate): Handler[] {
  return [
    handle(measureCipherOf, async ({ volume }, { peer }) => {
      allowed(volume, peer, 'receive')
      return { bytesPerSecond: await measureCipher() }
    }),
    handle(measureWire, async ({ volume }, context) => {
      allowed(volume, context.peer, 'receive')
      const sink = nowhere()
      try {
        return await take(sink, context)
      } finally {
        sink.destroy()
      }
    }),
    handle(measureReceive, async ({ volume, begin }, context) => {
      const dataset = allowed(volume, context.peer, 'receive')
      return receiveForNothing(settings, dataset, Buffer.from(begin, 'base64'), context)
    }),
  ]
}

/** Takes what the peer sends, until it has sent everything or has had enough. */
async function take(sink: Writable, context: Context) {
  const offer = context.offerData()
  context.emit({ ticket: offer.ticket })
  const channel = await offer.channel(context.signal)
  const load = watchLoad()
  let bytes = 0n
  try {
    const onBytes = (total: bigint): void => {
      bytes = total
    }
    await channel.receive(sink, { signal: context.signal, onBytes })
  } catch (error) {
    // The peer's own end of it is no fault: its time is over.
    if (!(error instanceof FlockerError) || error.code !== 'ABORTED' || context.signal.aborted) throw error
  }
  return { bytes, load: load() }
}

async function receiveForNothing(settings: ServeSettings, dataset: string, record: Buffer, context: Context) {
  const release = await claimReceive(settings.claims, dataset)
  try {
    const begin = parseBeginRecord(record)
    await checkStream(dataset, begin)
    if (begin.fromguid !== 0n) throw new ZfsError('NOT_FOUND', `${dataset} has no base for an increment`, { dataset })
    if (await exists(dataset)) throw new ZfsError('EXISTS', `${dataset} exists: it is not for measuring`, { dataset })
    await ensureParents(dataset, settings.root)
    return await receiveAndDestroy(`${dataset}@measured`, begin, context)
  } finally {
    release()
  }
}

async function receiveAndDestroy(snapshot: string, begin: BeginRecord, context: Context) {
  const admitted = { received: undefined, overrides: {}, leftOut: [] }
  const sink = receive(snapshot, { ...replicaOptions(begin, admitted, undefined), resumable: false })
  // The transfer tells; an error that nobody listens to, before anything moves, would end the process.
  sink.on('error', () => undefined)
  const closed = new Promise<void>((resolve) => sink.once('close', resolve))
  try {
    return await take(sink, context)
  } finally {
    sink.destroy()
    await closed
    await destroyMeasured(snapshot, begin.toguid)
  }
}

/** Whole, and so it is there: it was made here, for nothing else. */
async function destroyMeasured(snapshot: string, guid: bigint): Promise<void> {
  if (!(await exists(snapshot)) || (await getProperties(snapshot)).guid?.value !== guid) return
  await destroySnapshots([snapshot])
  await destroy(snapshot.slice(0, snapshot.indexOf('@')))
}
