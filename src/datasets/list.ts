import { setImmediate } from 'node:timers/promises'
import { ArgumentError, FlockerError, throwIfAborted } from '../errors.js'
import { type BookmarkProperty, getBookmarks } from '../lzc/bookmarks.js'
import { zfsError } from '../lzc/errors.js'
import { checkDataset } from '../lzc/names.js'
import { type Outcome, openAddon } from '../lzc/native.js'
import type { NvList } from '../lzc/nvlist.js'
import { decodeBatch, type Entry } from './batch.js'
import { readEntry, readSurroundings, withFilesystemProperties } from './properties.js'
import { type PropertyValue, readProperties, readStatistics, type Surroundings, typeOf } from './property-reading.js'

/** Entries that one call into the kernel reads, and that are handed out before the event loop gets its turn. */
const batchEntries = 128

/** A filesystem or volume in a list. */
export interface ListedDataset {
  name: string
  type: 'filesystem' | 'volume'
  guid: bigint
  createtxg: bigint
  /** Those that were asked for; one that the dataset doesn't have is absent. */
  properties: Record<string, PropertyValue>
}

/** A snapshot in a list. */
export interface ListedSnapshot {
  /** The full name. */
  name: string
  dataset: string
  guid: bigint
  createtxg: bigint
  /** In Unix seconds. */
  creation: bigint
  properties: Record<string, PropertyValue>
}

/** A bookmark in a list. */
export interface ListedBookmark {
  /** The full name. */
  name: string
  dataset: string
  /** The GUID of the snapshot that it was made from; the same goes for the others. */
  guid: bigint
  createtxg: bigint
  creation: bigint
  properties: Record<string, PropertyValue>
}

/** How far a list goes, and what it tells. */
export interface ListOptions {
  /** Descend into all children. */
  recursive?: boolean
  /** How many levels below the dataset to descend; all where `recursive`. */
  depth?: number
  /** The properties to tell of each, by name. */
  properties?: readonly string[]
  /** Ends the listing, with an AbortError. */
  signal?: AbortSignal | undefined
}

/**
 * Lists a dataset and those below it, parents before their children. ZFS_IOC_DATASET_LIST_NEXT.
 *
 * @param root where to begin; it comes first
 * @param options.types filesystems and volumes unless said otherwise
 * @param options.depth 1 unless `recursive`
 * @throws ZfsError `NOT_FOUND`; AbortError; ArgumentError
 */
export async function* listDatasets(
  root: string,
  options: ListOptions & { types?: readonly ('filesystem' | 'volume')[] } = {},
): AsyncGenerator<ListedDataset> {
  const { types = ['filesystem', 'volume'], properties, signal } = options
  const depth = depthOf(options, 1)
  checkDataset(root)
  const reader = await Reader.open(root, properties)
  for await (const entry of descend(root, depth, reader.names, signal)) {
    const type = typeOf(entry) as ListedDataset['type']
    if (!types.includes(type)) continue
    const { name, guid, createtxg } = entry
    const whole = await withFilesystemProperties(entry, reader.names)
    yield { name, type, guid, createtxg, properties: reader.read(whole) }
  }
}

/**
 * Lists a dataset's snapshots, oldest first. ZFS_IOC_SNAPSHOT_LIST_NEXT.
 *
 * @param options with `recursive` or `depth` also those of the datasets below, each dataset's in turn
 * @throws ZfsError `NOT_FOUND`; AbortError; ArgumentError
 */
export async function* listSnapshots(dataset: string, options: ListOptions = {}): AsyncGenerator<ListedSnapshot> {
  const { properties, signal } = options
  const depth = depthOf(options, 0)
  const reader = await Reader.open(checkDataset(dataset), properties)
  const names = [...reader.names, 'creation']
  for await (const owner of owners(dataset, depth, signal)) {
    for await (const entry of inTurns(await oldestFirst(owner, names, signal), signal)) {
      const { name, guid, createtxg } = entry
      const creation = (entry.properties.creation as NvList | undefined)?.value
      const whole = await withFilesystemProperties(entry, reader.names)
      yield {
        name,
        dataset: owner,
        guid,
        createtxg,
        creation: typeof creation === 'bigint' ? creation : 0n,
        properties: reader.read(whole),
      }
    }
  }
}

/** The kernel has them in the order of their names' hashes. */
async function oldestFirst(owner: string, names: readonly string[], signal: AbortSignal | undefined): Promise<Entry[]> {
  const entries: Entry[] = []
  for await (const batch of batches(owner, true, names, signal)) entries.push(...batch)
  return entries.sort(byAge)
}

/** Hands items out, and lets the event loop turn after every few. */
async function* inTurns<T>(items: readonly T[], signal: AbortSignal | undefined): AsyncGenerator<T> {
  for (const [index, item] of items.entries()) {
    if (index % batchEntries === batchEntries - 1) await setImmediate()
    throwIfAborted(signal, 'Listing')
    yield item
  }
}

/** What a bookmark can tell besides its age and identity. */
export type ListedBookmarkProperty = 'referenced' | 'logicalreferenced' | 'ivsetguid' | 'redact_snaps'

/**
 * Lists a dataset's bookmarks, oldest first. lzc_get_bookmarks.
 *
 * @param options with `recursive` or `depth` also those of the datasets below, each dataset's in turn
 * @throws ZfsError `NOT_FOUND`; AbortError; ArgumentError
 */
export async function* listBookmarks(
  dataset: string,
  options: ListOptions & { properties?: readonly ListedBookmarkProperty[] } = {},
): AsyncGenerator<ListedBookmark> {
  const { properties = [], signal } = options
  const depth = depthOf(options, 0)
  for await (const owner of owners(checkDataset(dataset), depth, signal)) {
    const found = Object.entries(await bookmarksOf(owner, properties, owner === dataset))
    const listed = found.map(([name, { guid, createtxg, creation, ...others }]) => ({
      name: `${owner}#${name}`,
      dataset: owner,
      guid,
      createtxg,
      creation,
      properties: readStatistics(others),
    }))
    yield* inTurns(listed.sort(byAge), signal)
  }
}

async function bookmarksOf(
  owner: string,
  properties: readonly ListedBookmarkProperty[],
  isRoot: boolean,
): ReturnType<typeof getBookmarks<BookmarkProperty>> {
  try {
    return await getBookmarks<BookmarkProperty>(owner, ['guid', 'createtxg', 'creation', ...properties])
  } catch (error) {
    // Destroyed since it was listed.
    if (!isRoot && error instanceof FlockerError && error.code === 'NOT_FOUND') return {}
    throw error
  }
}

function depthOf({ recursive = false, depth }: ListOptions, shallow: number): number {
  const levels = depth ?? (recursive ? Number.POSITIVE_INFINITY : shallow)
  if (!(levels >= 0)) throw new ArgumentError(`A depth can't be ${levels}`)
  return levels
}

/** The dataset, and those below it as far as they are wanted. */
async function* owners(dataset: string, depth: number, signal: AbortSignal | undefined): AsyncGenerator<string> {
  for await (const { name } of descend(dataset, depth, [], signal)) yield name
}

async function* descend(
  root: string,
  depth: number,
  names: readonly string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Entry> {
  throwIfAborted(signal, 'Listing')
  yield await readEntry(root, names)
  yield* descendants(root, depth, names, signal)
}

async function* descendants(
  parent: string,
  depth: number,
  names: readonly string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Entry> {
  if (depth < 1) return
  for await (const batch of batches(parent, false, names, signal)) {
    for (const child of batch) {
      yield child
      yield* descendants(child.name, depth - 1, names, signal)
    }
  }
}

/** The children, or snapshots, of a dataset, in the kernel's own order. The next batch is read while one is looked at. */
async function* batches(
  parent: string,
  snapshots: boolean,
  names: readonly string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Entry[]> {
  const native = openAddon()
  const read = (cookie: bigint): Promise<Outcome> =>
    native.list(snapshots, parent, cookie, batchEntries, names.join('\n'))
  let next: Promise<Outcome> | undefined = read(0n)
  try {
    while (next !== undefined) {
      const { errno, list, number } = await next
      next = undefined
      if (errno !== 0) throw zfsError('be listed', errno, parent)
      throwIfAborted(signal, 'Listing')
      if (number !== undefined) next = read(number)
      if (list !== undefined) yield decodeBatch(list)
    }
  } finally {
    await next
  }
}

function byAge(a: { createtxg: bigint; name: string }, b: { createtxg: bigint; name: string }): number {
  if (a.createtxg !== b.createtxg) return a.createtxg < b.createtxg ? -1 : 1
  return a.name < b.name ? -1 : 1
}

/** Picks the wanted properties out of entries. */
class Reader {
  private constructor(
    readonly names: readonly string[],
    private readonly surroundings: Surroundings | undefined,
  ) {}

  static async open(dataset: string, names: readonly string[] = []): Promise<Reader> {
    return new Reader(names, names.length > 0 ? await readSurroundings(dataset) : undefined)
  }

  read(entry: Entry): Record<string, PropertyValue> {
    return this.surroundings === undefined ? Object.create(null) : readProperties(entry, this.surroundings, this.names)
  }
}
