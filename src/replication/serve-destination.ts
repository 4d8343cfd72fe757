import type { z } from 'zod'
import { type Handler, handle, type RequestContext } from '../transport/index.js'
import { LocalDestination } from './local-destination.js'
import {
  createParent,
  discardPartial,
  inspectVolume,
  maxListedPoints,
  preserveVolume,
  receiveVolume,
  renameVolume,
  rollbackVolume,
} from './messages.js'
import { move } from './move.js'
import type { Gate, ServeSettings } from './serve.js'
import type { Received } from './sides.js'

type ReceiveParams = z.output<typeof receiveVolume.params>
type ReceiveContext = RequestContext<z.output<typeof receiveVolume.event>>

/** This host as the receiving side of what peers send. */
export function serveDestination(settings: ServeSettings, allowed: Gate): Handler[] {
  const destination = new LocalDestination(settings)
  return [
    handle(inspectVolume, async ({ volume }, { peer }) => {
      allowed(volume, peer, 'inspect')
      const inventory = await destination.inspect(volume)
      const snapshots = inventory.snapshots.slice(0, maxListedPoints)
      return { ...inventory, snapshots, complete: snapshots.length === inventory.snapshots.length }
    }),
    handle(discardPartial, async ({ volume, token }, { peer }) => {
      allowed(volume, peer, 'receive')
      await destination.discardPartial(volume, token)
      return {}
    }),
    handle(preserveVolume, async ({ volume }, { peer }) => {
      allowed(volume, peer, 'receive')
      return { dataset: await destination.preserve(volume) }
    }),
    handle(rollbackVolume, async ({ volume, to, losing }, { peer }) => {
      allowed(volume, peer, 'rollback')
      await destination.rollback(volume, to, losing)
      return {}
    }),
    handle(renameVolume, async ({ volume, to }, { peer }) => {
      allowed(volume, peer, 'receive')
      allowed(to, peer, 'receive')
      await destination.rename(volume, to)
      return {}
    }),
    handle(createParent, async ({ volume }, { peer }) => {
      allowed(volume, peer, 'receive')
      await destination.createParent(volume)
      return {}
    }),
    handle(receiveVolume, async (params, context) => {
      const dataset = allowed(params.volume, context.peer, 'receive')
      if (params.origin !== undefined) allowed(params.origin.volume, context.peer, 'receive')
      const logger = settings.logger.child({ transferId: params.transfer, dataset, peer: context.peer })
      try {
        logger.info({ snapshot: params.snapshot, least: String(params.least) }, 'receive begins')
        const received = await receiveFrom(destination, params, context)
        logger.info({ guid: String(received.guid), bytes: String(received.bytes) }, 'received')
        return received
      } catch (error) {
        logger.warn({ err: error }, 'receive failed')
        throw error
      }
    }),
  ]
}

async function receiveFrom(
  destination: LocalDestination,
  { transfer, volume, snapshot, begin, least, origin }: ReceiveParams,
  context: ReceiveContext,
): Promise<Received> {
  const { signal } = context
  const arrival = { transfer, volume, snapshot, from: context.peer, origin }
  const incoming = await destination.open(arrival, Buffer.from(begin, 'base64'), least, signal)
  const channel = async () => {
    const offer = context.offerData()
    context.emit({ ticket: offer.ticket })
    return offer.channel(signal)
  }
  const moving = move({ channel }, incoming.body, { signal })
  const [received] = await Promise.all([incoming.outcome, moving])
  return received
}
