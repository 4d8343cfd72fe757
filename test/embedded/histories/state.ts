/** What a history sees of one host: all below the dataset that it has for itself, read from the pool. */
import { createHash } from 'node:crypto'
import { decodeBatch, type Entry } from '../../../src/datasets/batch.js'
import { typeOf } from '../../../src/datasets/property-reading.js'
import { zfsError } from '../../../src/lzc/errors.js'
import * as lzc from '../../../src/lzc/index.js'
import { openAddon } from '../../../src/lzc/native.js'
import type { NvList } from '../../../src/lzc/nvlist.js'
import { decodeResumeToken, type ResumeToken } from '../../../src/stream/index.js'

export const pendingProperty = 'flocker-zfs:pending'
/** Of every volume. */
export const volumeBytes = 128 * 1024
export const blockBytes = 8 * 1024

export interface PointState {
  /** The part of its name after the `@` or `#`. */
  name: string
  guid: bigint
  createtxg: bigint
}

export interface SnapshotState extends PointState {
  held: boolean
  /** The host that a replication made it for and has no confirmation from. */
  pendingFor: string | undefined
}

export interface DatasetState {
  /** Below the history's own dataset. */
  name: string
  type: 'filesystem' | 'volume'
  guid: bigint
  /** The full name of the snapshot that it is a clone of. */
  origin: string | undefined
  /** Oldest first. */
  snapshots: SnapshotState[]
  bookmarks: PointState[]
  /** What an interrupted receive has left. */
  partial: ResumeToken | undefined
  /** SHA-256 of a volume's bytes as they are now; `undefined` where it has none. */
  head: string | undefined
}

/** By name. */
export type State = ReadonlyMap<string, DatasetState>

/** Reads all below a dataset. It asks ZFS for as little as that takes, since that is done after all that happens. */
export async function readState(container: string): Promise<State> {
  const state = new Map<string, DatasetState>()
  for (const entry of await listBelow(container)) state.set(entry.below, await look(entry))
  return state
}

/** The same where nothing but one dataset's own snapshots, bookmarks and bytes can have changed. */
export async function readAgain(container: string, state: State, dataset: DatasetState): Promise<State> {
  const { name, type, guid, origin, partial } = dataset
  return new Map([...state, [name, await withHistory(`${container}/${name}`, { name, type, guid, origin, partial })]])
}

async function look(entry: Entry & { below: string }): Promise<DatasetState> {
  const { name, guid, origin, properties } = entry
  const token = read(properties, 'receive_resume_token')
  return withHistory(name, {
    name: entry.below,
    type: typeOf(entry) as DatasetState['type'],
    guid,
    origin: origin === '' ? undefined : origin,
    partial: typeof token === 'string' && token !== '' ? decodeResumeToken(token) : undefined,
  })
}

type Identity = Omit<DatasetState, 'snapshots' | 'bookmarks' | 'head'>

async function withHistory(name: string, identity: Identity): Promise<DatasetState> {
  const dataset: DatasetState = {
    ...identity,
    snapshots: (await list(true, name, ['userrefs', pendingProperty])).map(snapshotOf).sort(byAge),
    bookmarks: Object.entries(await lzc.getBookmarks(name, ['guid', 'createtxg']))
      .map(([short, point]) => ({ name: short, ...point }))
      .sort(byName),
    head: undefined,
  }
  if (dataset.type === 'volume' && !isHalfThere(dataset)) dataset.head = await hashOf(name)
  return dataset
}

function snapshotOf({ name, guid, createtxg, properties }: Entry): SnapshotState {
  return {
    name: name.slice(name.indexOf('@') + 1),
    ...{ guid, createtxg },
    held: (read(properties, 'userrefs') ?? 0n) !== 0n,
    pendingFor: read(properties, pendingProperty)?.toString(),
  }
}

/** All below a dataset, parents first. */
async function listBelow(parent: string, above = ''): Promise<(Entry & { below: string })[]> {
  const entries: (Entry & { below: string })[] = []
  for (const entry of await list(false, parent, ['receive_resume_token'])) {
    const below = above + entry.name.slice(parent.length + 1)
    const { name, origin, objectSet, isSnapshot, inconsistent, createtxg, guid, properties } = entry
    entries.push({ name, origin, objectSet, isSnapshot, inconsistent, createtxg, guid, properties, below })
    if (typeOf(entry) === 'filesystem') entries.push(...(await listBelow(name, `${below}/`)))
  }
  return entries
}

/** The children, or snapshots, of a dataset. There are never as many as one call would not tell. */
async function list(snapshots: boolean, parent: string, properties: readonly string[]): Promise<Entry[]> {
  const answer = await openAddon().list(snapshots, parent, 0n, 1000, properties.join('\n'))
  if (answer.errno !== 0) throw zfsError('be listed', answer.errno, parent)
  return answer.list === undefined ? [] : decodeBatch(answer.list)
}

function read(properties: NvList, name: string): unknown {
  return (properties[name] as NvList | undefined)?.value
}

function byAge(a: PointState, b: PointState): number {
  return a.createtxg < b.createtxg ? -1 : a.createtxg > b.createtxg ? 1 : 0
}

function byName(a: PointState, b: PointState): number {
  return a.name < b.name ? -1 : 1
}

/** Whether a replication made it for that host, has had no confirmation, and nobody has given it another name. */
export function isPending({ name, pendingFor }: SnapshotState, peer: string): boolean {
  return pendingFor === peer && name.startsWith('flocker-')
}

/** It has begun to arrive, and nothing of it can be used. */
export function isHalfThere({ partial, snapshots }: DatasetState): boolean {
  return partial !== undefined && snapshots.length === 0
}

export function newestOf({ snapshots }: DatasetState): SnapshotState | undefined {
  return snapshots.at(-1)
}

/** SHA-256 of all bytes of a volume, or of a volume's snapshot. */
export async function hashOf(name: string): Promise<string> {
  return createHash('sha256')
    .update(await lzc.readVolume(name, 0n, volumeBytes))
    .digest('hex')
}

/** Everything from which streams of a dataset can start. */
export function pointsOf({ snapshots, bookmarks }: DatasetState): PointState[] {
  return [...snapshots, ...bookmarks]
}

/** How often each GUID is there as a snapshot: a replica that was kept under another name shares some with the next one. */
export function countSnapshots(state: State): Map<bigint, number> {
  const counts = new Map<bigint, number>()
  for (const { snapshots } of state.values()) {
    for (const { guid } of snapshots) counts.set(guid, (counts.get(guid) ?? 0) + 1)
  }
  return counts
}
