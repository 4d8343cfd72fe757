import type { z } from 'zod'
import { parseBeginRecord } from '../lzc/index.js'
import { type Handler, handle, mayBring, type RequestContext } from '../transport/index.js'
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
import { audienceOf } from './serve-audience.js'
import type { Received } from './sides.js'
import { announce, type StreamFacts, StreamTeller } from './steps.js'

type ReceiveParams = z.output<typeof receiveVolume.params>
type ReceiveContext = RequestContext<z.output<typeof receiveVolume.event>>

/** This host as the receiving side of what peers send. */
export function serveDestination(settings: ServeSettings, allowed: Gate): Handler[] {
  const destinationFor = (peer: string, transferId?: string): LocalDestination => {
    const allows = (dataset: string, name: string) => mayBring(settings.rules, peer, dataset, name)
    return new LocalDestination(settings, { peer, ...(transferId === undefined ? {} : { transferId }) }, allows)
  }
  return [
    handle(inspectVolume, async ({ volume }, { peer }) => {
      allowed(volume, peer, 'inspect')
      const inventory = await destinationFor(peer).inspect(volume)
      const snapshots = inventory.snapshots.slice(0, maxListedPoints)
      return { ...inventory, snapshots, complete: snapshots.length === inventory.snapshots.length }
    }),
    handle(discardPartial, async ({ transfer, volume, token }, { peer }) => {
      allowed(volume, peer, 'receive')
      await destinationFor(peer, transfer).discardPartial(volume, token)
      return {}
    }),
    handle(preserveVolume, async ({ transfer, volume }, { peer }) => {
      const dataset = allowed(volume, peer, 'receive')
      const preserved = await destinationFor(peer, transfer).preserve(volume)
      announce(audienceOf(settings, { transfer, volume, dataset, peer, side: 'receive' }), {
        step: 'preserved',
        preserved,
      })
      return { dataset: preserved }
    }),
    handle(rollbackVolume, async ({ transfer, volume, to, losing }, { peer }) => {
      allowed(volume, peer, 'rollback')
      await destinationFor(peer, transfer).rollback(volume, to, losing)
      return {}
    }),
    handle(renameVolume, async ({ transfer, volume, to }, { peer }) => {
      allowed(volume, peer, 'receive')
      allowed(to, peer, 'receive')
      await destinationFor(peer, transfer).rename(volume, to)
      return {}
    }),
    handle(createParent, async ({ transfer, volume }, { peer }) => {
      allowed(volume, peer, 'receive')
      await destinationFor(peer, transfer).createParent(volume)
      return {}
    }),
    handle(receiveVolume, async (params, context) => {
      const dataset = allowed(params.volume, context.peer, 'receive')
      if (params.origin !== undefined) allowed(params.origin.volume, context.peer, 'receive')
      const audience = audienceOf(settings, { ...params, dataset, peer: context.peer, side: 'receive' })
      const teller = StreamTeller.serving(receivedFacts(params), audience)
      try {
        const { guid, bytes, leftOut } = await receiveFrom(
          destinationFor(context.peer, params.transfer),
          params,
          context,
          teller,
        )
        teller.done(bytes)
        return { guid, bytes, leftOut: [...leftOut] }
      } catch (error) {
        teller.failed(error)
        throw error
      }
    }),
  ]
}

function receivedFacts({ snapshot, begin }: ReceiveParams): StreamFacts {
  const { toguid, fromguid } = parseBeginRecord(Buffer.from(begin, 'base64'))
  return { snapshot, guid: toguid, kind: fromguid === 0n ? 'full' : 'incremental', kept: 0n }
}

async function receiveFrom(
  destination: LocalDestination,
  { transfer, volume, snapshot, begin, least, origin, properties }: ReceiveParams,
  context: ReceiveContext,
  teller: StreamTeller,
): Promise<Received> {
  const { signal } = context
  const arrival = { transfer, volume, snapshot, from: context.peer, origin, properties }
  const incoming = await destination.open(arrival, Buffer.from(begin, 'base64'), least, signal)
  const channel = async () => {
    const offer = context.offerData()
    context.emit({ ticket: offer.ticket })
    return offer.channel(signal)
  }
  const moving = move({ channel }, incoming.body, { signal, onBytes: (bytes) => teller.moved(bytes) })
  const [received] = await Promise.all([incoming.outcome, moving])
  return received
}
