import { randomUUID } from 'node:crypto'
import { getProperties, listDatasets } from '../datasets/index.js'
import { ArgumentError, FlockerError, ZfsError } from '../errors.js'
import { sendSpace } from '../lzc/index.js'
import type { ResumeToken } from '../stream/index.js'
import { checkVolumeName } from './names.js'
import type { LocalHost, Peer } from './peer.js'
import { newestOf } from './planner/inventory.js'
import { type Cursor, type OurHold, type PartialTrace, readTraces, type Traces, timeOf } from './read-traces.js'
import { RemoteDestination } from './remote-destination.js'
import { sendFlags } from './send-flags.js'
import { readPartial } from './situation.js'
import { type AskedPeer, judgeStale, newestCursor, type Stale } from './stale.js'

/** Whom to ask, and what counts as stale. */
export interface StatusOptions {
  /** Ask this peer too. It must allow `inspect`. */
  peer?: Peer
  /** What nobody has gone on with for so long is stale, in milliseconds. Default: seven days. */
  staleMilliseconds?: number
  signal?: AbortSignal
}

/** A point in a volume's history. */
export interface StatusPoint {
  /** The part of its name after the `@`, or `#`. */
  name: string
  guid: bigint
  /** When the snapshot was made. */
  creation: Date
}

/** How replication of a volume stands on this host. */
export interface VolumeStatus {
  /** Its name below the root. */
  volume: string
  /** Its full name here. */
  dataset: string
  newest: StatusPoint | undefined
  snapshots: number
  /** The peers that it is sent to. */
  peers: PeerStatus[]
  /** The peers that it came from. */
  received: ReceivedStatus[]
  /** What this host has of a stream that is not finished. */
  partial: PartialStatus | undefined
  /** What {@link Host.removeStale} would remove. */
  stale: Stale[]
}

/** How far a peer's replica of a dataset is. */
export interface PeerStatus {
  peer: string
  /**
   * The last point that the peer has confirmed: a bookmark of this host's. Where the peer was asked and has the volume, the newest
   * of them that it has now; `undefined` where there is none.
   */
  common: StatusPoint | undefined
  lag: Lag | undefined
  cursors: StatusPoint[]
  /** On snapshots that are on their way there. */
  holds: OurHold[]
  /** Snapshots that were made for it and that it has not confirmed. */
  pending: StatusPoint[]
  /** What it says itself, where it was asked. */
  there: PeerReplica | undefined
}

/** How far a peer is behind. */
export interface Lag {
  /** Since what it has was the present state. */
  milliseconds: number
  /** Written since, by the estimate of what would be sent; `undefined` where ZFS can't tell. */
  bytes: bigint | undefined
}

/** Where a replica on this host comes from, and how old it is. */
export interface ReceivedStatus {
  peer: string
  /** The last snapshot that came from it, from which its next stream starts. */
  snapshot: StatusPoint
  /** When it came. */
  received: Date
}

/** What an unfinished receive has left of a dataset on this host. */
export interface PartialStatus extends Omit<PartialTrace, 'decoded'> {
  decoded: ResumeToken | undefined
  /** Whether this process is receiving it now; another process may be, too. */
  receiving: boolean
}

/** What a peer has of a volume. */
export interface PeerReplica {
  /** Whether it is receiving the volume at the moment; then nothing else is known. */
  receiving: boolean
  /** Full name there. */
  dataset: string | undefined
  exists: boolean
  newest: { name: string; guid: bigint } | undefined
  /** What it has of a stream that is not finished, if its token can be read. */
  partial: ResumeToken | undefined
}

const defaultStaleMilliseconds = 7 * 86_400_000

/**
 * Reads how replication of a volume stands on this host, and with `peer` on that one. Changes nothing.
 * @throws ZfsError `NOT_FOUND`; with a peer also what asking it can end with
 */
export async function readStatus(host: LocalHost, volume: string, options: StatusOptions = {}): Promise<VolumeStatus> {
  checkVolumeName(volume)
  return (await readStatusAndTraces(host, volume, options)).status
}

/** As {@link readStatus}, for all volumes of this host that have been replicated. */
export async function readStatuses(host: LocalHost, options: StatusOptions = {}): Promise<VolumeStatus[]> {
  const statuses: VolumeStatus[] = []
  for await (const { name } of listDatasets(host.root, { recursive: true, signal: options.signal })) {
    if (name === host.root) continue
    const status = await statusIfThere(host, name.slice(host.root.length + 1), options)
    if (status === undefined) continue
    if (status.peers.length + status.received.length > 0 || status.partial !== undefined) statuses.push(status)
  }
  return statuses
}

/** One may be destroyed while all are read. */
async function statusIfThere(
  host: LocalHost,
  volume: string,
  options: StatusOptions,
): Promise<VolumeStatus | undefined> {
  try {
    return (await readStatusAndTraces(host, volume, options)).status
  } catch (error) {
    if (error instanceof ZfsError && error.code === 'NOT_FOUND') return undefined
    throw error
  }
}

interface Asked {
  replica: PeerReplica
  has: AskedPeer | undefined
}

export async function readStatusAndTraces(
  host: LocalHost,
  volume: string,
  { peer, staleMilliseconds = defaultStaleMilliseconds, signal }: StatusOptions,
): Promise<{ status: VolumeStatus; traces: Traces }> {
  if (!(staleMilliseconds >= 0)) throw new ArgumentError(`staleMilliseconds can't be ${staleMilliseconds}`)
  const dataset = `${host.root}/${volume}`
  const traces = await readTraces(dataset)
  const asked = peer === undefined ? undefined : await ask(peer, volume, signal)
  const now = new Date()
  const receiving = host.claims.has(`receive ${dataset}`)
  const has = asked?.has === undefined ? [] : [asked.has]
  const peers = await Promise.all(
    peersOf(traces, peer?.identity).map(async (each) => {
      const known = each === peer?.identity ? asked : undefined
      return peerStatus(traces, each, now, known)
    }),
  )
  const newest = newestOf(traces.snapshots)
  const status = {
    volume,
    dataset,
    newest: newest === undefined ? undefined : pointOf(newest),
    snapshots: traces.snapshots.length,
    peers,
    received: receivedOf(traces),
    partial: traces.partial === undefined ? undefined : { ...traces.partial, receiving },
    stale: judgeStale(traces, { now, staleMilliseconds, receiving, asked: has }),
  }
  return { status, traces }
}

/** All that this dataset is sent to, and who was asked. */
export function peersOf({ cursors, holds, snapshots }: Traces, asked?: string): string[] {
  const names = new Set<string>(asked === undefined ? [] : [asked])
  for (const { peer } of cursors) names.add(peer)
  for (const { kind, peer } of holds) if (kind === 'to' && peer !== undefined) names.add(peer)
  for (const { pendingFor } of snapshots) if (pendingFor !== undefined) names.add(pendingFor)
  return [...names].sort()
}

async function peerStatus(traces: Traces, peer: string, now: Date, asked: Asked | undefined): Promise<PeerStatus> {
  const { cursors, holds, snapshots } = traces
  const own = cursors.filter((cursor) => cursor.peer === peer)
  const has = asked?.has
  const common = has === undefined ? newestCursor(own, peer) : newestOf(own.filter(({ guid }) => has.guids.has(guid)))
  return {
    peer,
    common: common === undefined ? undefined : pointOf(common),
    lag: common === undefined ? undefined : await lagBehind(traces, common, now),
    cursors: own.map(pointOf),
    holds: holds.filter((hold) => hold.kind === 'to' && hold.peer === peer),
    pending: snapshots.filter(({ pendingFor }) => pendingFor === peer).map(pointOf),
    there: asked?.replica,
  }
}

async function lagBehind({ dataset, snapshots }: Traces, common: Cursor, now: Date): Promise<Lag> {
  const { written } = await getProperties(dataset, ['written'])
  const sinceNewest = typeof written?.value === 'bigint' ? written.value : 0n
  const newest = newestOf(snapshots)
  const later = newest !== undefined && newest.createtxg > common.createtxg
  const sent = later ? await estimate(dataset, newest.name, common.name) : 0n
  return {
    milliseconds: Math.max(0, now.getTime() - Number(common.creation) * 1000),
    bytes: sent === undefined ? undefined : sent + sinceNewest,
  }
}

async function estimate(dataset: string, snapshot: string, cursor: string): Promise<bigint | undefined> {
  try {
    return await sendSpace(`${dataset}@${snapshot}`, {
      from: `${dataset}#${cursor}`,
      flags: await sendFlags(dataset),
    })
  } catch (error) {
    // Rolled back to before the cursor, or gone since it was listed.
    if (error instanceof ZfsError && ['NOT_ANCESTOR', 'NOT_FOUND'].includes(error.code)) return undefined
    throw error
  }
}

function receivedOf({ holds, snapshots }: Traces): ReceivedStatus[] {
  const peers = new Set(holds.flatMap(({ kind, peer }) => (kind === 'from' && peer !== undefined ? [peer] : [])))
  return [...peers].sort().flatMap((peer) => {
    const from = holds.filter((hold) => hold.kind === 'from' && hold.peer === peer)
    const newest = newestOf(snapshots.filter(({ guid }) => from.some((hold) => hold.guid === guid)))
    const hold = from.find(({ guid }) => guid === newest?.guid)
    return newest === undefined || hold === undefined
      ? []
      : [{ peer, snapshot: pointOf(newest), received: hold.created }]
  })
}

/** Asks a peer what it has of a volume. */
export async function ask(peer: Peer, volume: string, signal: AbortSignal | undefined): Promise<Asked> {
  try {
    const there = await new RemoteDestination(peer, randomUUID()).inspect(volume, signal)
    const { dataset, exists, snapshots, complete } = there
    const [newest] = snapshots
    const partial = readPartial(there)?.decoded
    return {
      replica: { receiving: false, dataset, exists, newest, partial },
      // It may have it under another name, of an earlier time.
      has: !exists
        ? undefined
        : {
            peer: peer.identity,
            guids: new Set(snapshots.map(({ guid }) => guid)),
            complete,
            partial: partial?.toguid,
          },
    }
  } catch (error) {
    if (!(error instanceof FlockerError) || error.code !== 'RECEIVER_BUSY') throw error
    const replica = { receiving: true, dataset: undefined, exists: true, newest: undefined, partial: undefined }
    return { replica, has: undefined }
  }
}

function pointOf({ name, guid, creation }: { name: string; guid: bigint; creation: bigint }): StatusPoint {
  return { name, guid, creation: timeOf(creation) }
}
