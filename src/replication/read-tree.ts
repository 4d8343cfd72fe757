import { getProperties, listDatasets, listSnapshots } from '../datasets/index.js'
import { FlockerError, throwIfAborted, ZfsError } from '../errors.js'
import { exists, getBookmarks } from '../lzc/index.js'
import { decodeResumeToken } from '../stream/index.js'
import { pendingProperty } from './names.js'
import { type BookmarkPoint, newestFirst } from './planner/inventory.js'
import { fullName, parentName, type SnapshotOrigin, type TreeDataset, type TreeSnapshot } from './planner/tree.js'
import type { DestinationTree } from './sides.js'

/** A dataset of a tree without its history. */
export interface TreeEntry
  extends Pick<TreeDataset, 'name' | 'type' | 'guid' | 'encrypted' | 'origin' | 'referenced' | 'written'> {
  /** What an interrupted receive has left. */
  token?: string | undefined
}

/** The history of one dataset, oldest first. */
export interface TreePoints {
  snapshots: TreeSnapshot[]
  bookmarks: BookmarkPoint[]
}

/** Lists a dataset of this host and, if `recursive`, all below it, parents first; nothing where it does not exist. */
export async function listTree(root: string, recursive: boolean, signal?: AbortSignal): Promise<TreeEntry[]> {
  if (!(await exists(root))) return []
  const entries: TreeEntry[] = []
  const properties = ['encryption', 'origin', 'receive_resume_token', 'referenced', 'written']
  const depth = recursive ? Number.POSITIVE_INFINITY : 0
  for await (const { name, type, guid, properties: read } of listDatasets(root, { depth, properties, signal })) {
    const { encryption, origin, receive_resume_token: token, referenced, written } = read
    entries.push({
      name: name.slice(root.length + 1),
      ...{ type, guid },
      encrypted: encryption !== undefined && encryption.value !== 'off',
      origin: typeof origin?.value === 'string' ? await readOrigin(origin.value) : undefined,
      referenced: numberOf(referenced?.value),
      written: numberOf(written?.value),
      token: typeof token?.value === 'string' && token.value !== '' ? token.value : undefined,
    })
  }
  return entries
}

const numberOf = (value: unknown): bigint | undefined => (typeof value === 'bigint' ? value : undefined)

async function readOrigin(name: string): Promise<SnapshotOrigin> {
  const { guid, createtxg, ivsetguid } = await getProperties(name, ['guid', 'createtxg', 'ivsetguid'])
  if (typeof guid?.value === 'bigint' && typeof createtxg?.value === 'bigint') {
    return { name, guid: guid.value, createtxg: createtxg.value, ...ivset(ivsetguid?.value) }
  }
  throw new FlockerError('INTERNAL', `${name} has no GUID or createtxg`, { dataset: name })
}

/**
 * Reads the histories of datasets of this host, by full name. One that is gone by then has none.
 * @param root the only one of them, or what all are below
 * @param peer the destination whose marks count
 */
export async function readPoints(
  root: string,
  datasets: readonly string[],
  peer: string | undefined,
  signal?: AbortSignal,
): Promise<Map<string, TreePoints>> {
  const points = new Map<string, TreePoints>()
  const of = (dataset: string): TreePoints => {
    const known = points.get(dataset) ?? { snapshots: [], bookmarks: [] }
    points.set(dataset, known)
    return known
  }
  const recursive = datasets.some((dataset) => dataset !== root)
  const properties = ['userrefs', 'ivsetguid', ...(peer === undefined ? [] : [pendingProperty])]
  for await (const snapshot of listSnapshots(root, { recursive, properties, signal })) {
    const { dataset, name, guid, createtxg, creation, properties: read } = snapshot
    of(dataset).snapshots.push({
      name: name.slice(dataset.length + 1),
      ...{ guid, createtxg, creation },
      userrefs: BigInt(read.userrefs?.value ?? 0n),
      ...ivset(read.ivsetguid?.value),
      ...(peer !== undefined && read[pendingProperty]?.value === peer ? { pending: true } : {}),
    })
  }
  // Not listed recursively, which would go through the tree again.
  for (const dataset of datasets) {
    throwIfAborted(signal, 'Listing')
    of(dataset).bookmarks.push(...(await readBookmarks(dataset)))
  }
  return points
}

async function readBookmarks(dataset: string): Promise<BookmarkPoint[]> {
  try {
    const found = Object.entries(await getBookmarks(dataset, ['guid', 'createtxg']))
    return newestFirst(found.map(([name, { guid, createtxg }]) => ({ name, guid, createtxg }))).reverse()
  } catch (error) {
    if (error instanceof ZfsError && error.code === 'NOT_FOUND') return []
    throw error
  }
}

const ivset = (value: unknown): { ivsetGuid?: bigint } =>
  typeof value === 'bigint' && value > 0n ? { ivsetGuid: value } : {}

/** Reads a tree of this host. */
export async function readTree(
  root: string,
  recursive: boolean,
  peer: string | undefined,
  signal?: AbortSignal,
): Promise<DestinationTree> {
  const entries = await listTree(root, recursive, signal)
  const names = entries.map(({ name }) => fullName(root, name))
  const points = names.length === 0 ? new Map() : await readPoints(root, names, peer, signal)
  return assembleTree(root, entries, ({ name }) => points.get(fullName(root, name)))
}

/** Puts a tree together. What has lost its parent since it was listed is left out. */
export function assembleTree(
  root: string,
  entries: readonly TreeEntry[],
  pointsOf: (entry: TreeEntry) => TreePoints | undefined,
): DestinationTree {
  const names = new Set<string | undefined>([undefined])
  const datasets: TreeDataset[] = []
  const tokens = new Set<string>()
  for (const { token, ...entry } of entries) {
    if (!names.has(parentName(entry.name))) continue
    names.add(entry.name)
    if (token !== undefined) tokens.add(token)
    const { snapshots, bookmarks } = pointsOf(entry) ?? { snapshots: [], bookmarks: [] }
    datasets.push({ ...entry, snapshots, bookmarks, partial: token === undefined ? undefined : decode(token) })
  }
  return { root, datasets, tokens }
}

function decode(token: string): TreeDataset['partial'] {
  try {
    return decodeResumeToken(token)
  } catch (error) {
    if (error instanceof FlockerError) return 'unreadable'
    throw error
  }
}
