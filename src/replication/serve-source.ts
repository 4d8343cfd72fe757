import type { z } from 'zod'
import { ReplicationError, ZfsError } from '../errors.js'
import { type Handler, handle, type RequestContext } from '../transport/index.js'
import { busyMilliseconds, type Claims } from './claims.js'
import { readInventory } from './local.js'
import { LocalSource } from './local-source.js'
import {
  confirmVolume,
  estimateStream,
  maxListedPoints,
  offerVolume,
  sendVolume,
  snapshotTree,
  snapshotVolume,
  withdrawVolume,
} from './messages.js'
import { newestFirst } from './planner/inventory.js'
import { baseWithGuid, type IncrementalBase } from './planner/plan.js'
import { fullName } from './planner/tree.js'
import { listTree } from './read-tree.js'
import type { Gate, ServeSettings } from './serve.js'
import { audienceOf } from './serve-audience.js'
import type { SourceInventory, StreamOrder, Target } from './sides.js'
import { announce, factsOf, StreamTeller } from './steps.js'

type OfferParams = z.output<typeof offerVolume.params>
type SendParams = z.output<typeof sendVolume.params>
type SendContext = RequestContext<z.output<typeof sendVolume.event>>

/**
 * This host as the sending side of what peers pull. Of one dataset one peer is served one request at a time: what is under way for a
 * connection that was lost has ended, and been settled, before the peer goes on over another.
 */
export function serveSource(settings: ServeSettings, allowed: Gate): Handler[] {
  const sourceFor = ({ volume, transfer }: { volume: string; transfer: string }, peer: string): LocalSource => {
    const dataset = allowed(volume, peer, 'send')
    return new LocalSource(settings.identity, peer, () => dataset, transfer, settings.logger)
  }
  const tellTaken = (
    change: { volume: string; transfer: string },
    name: string,
    peer: string,
    target: Target,
  ): void => {
    const volume = fullName(change.volume, name)
    const dataset = `${settings.root}/${volume}`
    const audience = audienceOf(settings, { ...change, volume, dataset, peer, side: 'send' })
    announce(audience, { step: 'snapshotTaken', snapshot: target.name, guid: target.guid })
  }
  const serveSend = async (params: SendParams, context: SendContext): Promise<{ bytes: bigint }> => {
    const source = sourceFor(params, context.peer)
    const dataset = allowed(params.volume, context.peer, 'send')
    const order = await orderOf(dataset, params, context.peer)
    const audience = audienceOf(settings, { ...params, dataset, peer: context.peer, side: 'send' })
    const teller = StreamTeller.serving(factsOf(order), audience)
    try {
      const { bytes } = await sendTo(source, order, context, teller)
      teller.done(bytes)
      return { bytes }
    } catch (error) {
      teller.failed(error)
      throw error
    }
  }
  const inTurn = async <T>(volumes: readonly string[], peer: string, run: () => Promise<T>): Promise<T> => {
    const datasets = volumes.map((volume) => allowed(volume, peer, 'send'))
    const releases: (() => void)[] = []
    try {
      for (const dataset of new Set(datasets)) releases.push(await claim(settings.claims, dataset, peer))
      return await run()
    } finally {
      for (const release of releases) release()
    }
  }
  return [
    handle(offerVolume, async (params, { peer }) =>
      inTurn([params.volume], peer, () => offer(sourceFor(params, peer), params)),
    ),
    handle(snapshotVolume, async (params, { peer }) =>
      inTurn([params.volume], peer, async () => {
        const source = sourceFor(params, peer)
        await settings.guard?.snapshotting(allowed(params.volume, peer, 'send'))
        const target = await source.takeSnapshot(params.volume)
        tellTaken(params, '', peer, target)
        return target
      }),
    ),
    handle(snapshotTree, async (params, { peer }) => {
      const { volume, names } = params
      const volumes = names.map((name) => fullName(volume, name))
      const targets = await inTurn(volumes, peer, async () => {
        for (const each of volumes) await settings.guard?.snapshotting(allowed(each, peer, 'send'))
        return sourceFor(params, peer).takeSnapshots(volume, names)
      })
      for (const [name, target] of targets) tellTaken(params, name, peer, target)
      const taken = [...targets.values()]
      const [{ name, createtxg }] = taken as [Target]
      return { name, createtxg, guids: taken.map(({ guid }) => guid) }
    }),
    handle(estimateStream, async (params, { peer }) => {
      const dataset = allowed(params.volume, peer, 'send')
      const order = await orderOf(dataset, { ...params, transfer: '', resume: undefined }, peer)
      return { bytes: await sourceFor({ ...params, transfer: '' }, peer).estimate(order) }
    }),
    handle(confirmVolume, async (params, { peer }) =>
      inTurn([params.volume], peer, async () => {
        const { volume, guid } = params
        const source = sourceFor(params, peer)
        await source.confirm(volume, await findTarget(allowed(volume, peer, 'send'), peer, guid))
        return {}
      }),
    ),
    handle(withdrawVolume, async (params, { peer }) =>
      inTurn([params.volume], peer, async () => {
        const { volume, guid } = params
        const source = sourceFor(params, peer)
        await source.withdraw(volume, await findTarget(allowed(volume, peer, 'send'), peer, guid))
        return {}
      }),
    ),
    handle(sendVolume, async (params, context) =>
      inTurn([params.volume], context.peer, () => serveSend(params, context)),
    ),
  ]
}

async function claim(claims: Claims, dataset: string, peer: string): Promise<() => void> {
  const release = await claims.takeWithin(`serve ${dataset} to ${peer}`, busyMilliseconds)
  if (release !== undefined) return release
  throw new ReplicationError('SENDER_BUSY', `${dataset} is being sent to ${peer} already`, { dataset })
}

async function offer(source: LocalSource, { volume, has, complete, partial, wanted, after }: OfferParams) {
  const inventory = await source.inspect(volume, { guids: new Set(has), complete, partial, wanted })
  const { dataset, raw } = inventory
  const later = newestFirst(inventory.snapshots)
    .reverse()
    .filter(({ createtxg }) => createtxg > after)
  const snapshots = later.slice(0, maxListedPoints).map(({ pendingFor, ...point }) => ({
    ...point,
    ...(pendingFor === undefined ? {} : { pendingFor }),
  }))
  const asked = new Set(has)
  const shared = inventory.bookmarks.filter(({ guid }) => asked.has(guid))
  const others = newestFirst(inventory.bookmarks.filter(({ guid }) => !asked.has(guid)))
  const bookmarks = [...shared, ...others].slice(0, maxListedPoints)
  return { dataset, raw, snapshots, more: later.length > snapshots.length, bookmarks }
}

async function readSource(dataset: string): Promise<Omit<SourceInventory, 'raw'>> {
  const inventory = await readInventory(dataset)
  if (inventory === undefined) throw new ZfsError('NOT_FOUND', `${dataset} does not exist`, { dataset })
  return inventory
}

async function findTarget(dataset: string, peer: string, guid: bigint): Promise<Target> {
  return targetIn(await readSource(dataset), peer, guid)
}

function targetIn({ dataset, snapshots }: Omit<SourceInventory, 'raw'>, peer: string, guid: bigint): Target {
  const point = snapshots.find((snapshot) => snapshot.guid === guid)
  if (point !== undefined) return { ...point, ours: point.pendingFor === peer }
  throw new ZfsError('NOT_FOUND', `${dataset} has no snapshot with the GUID ${guid}`, { dataset })
}

/** What a peer asks for by GUIDs, as this host knows it. */
async function orderOf(dataset: string, params: SendParams, peer: string): Promise<StreamOrder> {
  const { transfer, volume, guid, base, resume, properties = false } = params
  const inventory = await readSource(dataset)
  const target = targetIn(inventory, peer, guid)
  const found = base === undefined ? undefined : (baseWithGuid(inventory, base) ?? (await originOf(dataset, base)))
  if (base !== undefined && found === undefined) {
    throw new ZfsError('NOT_FOUND', `${dataset} has no snapshot or bookmark with the GUID ${base}`, { dataset })
  }
  return { transfer, volume, target, base: found, resume, properties }
}

/** What a dataset is a clone of, if it is this. */
async function originOf(dataset: string, guid: bigint): Promise<IncrementalBase | undefined> {
  const [entry] = await listTree(dataset, false)
  return entry?.origin?.guid === guid ? { kind: 'snapshot', ...entry.origin } : undefined
}

async function sendTo(
  source: LocalSource,
  order: StreamOrder,
  context: SendContext,
  teller: StreamTeller,
): Promise<{ bytes: bigint }> {
  const { signal } = context
  const outgoing = await source.open(order, signal)
  try {
    const offered = context.offerData()
    const { begin, total, properties } = outgoing
    const told = properties === undefined ? {} : { properties: [...properties] }
    context.emit({ ticket: offered.ticket, begin: begin.toString('base64'), total, ...told })
    const channel = await offered.channel(signal)
    return { bytes: await channel.send(outgoing.body.stream, { signal, onBytes: (bytes) => teller.moved(bytes) }) }
  } finally {
    await outgoing.close()
  }
}
