import { ArgumentError } from '../errors.js'
import { type BookmarkProperty, getBookmarks } from '../lzc/bookmarks.js'
import { zfsError } from '../lzc/errors.js'
import { checkDataset } from '../lzc/names.js'
import { openAddon } from '../lzc/native.js'
import type { NvList } from '../lzc/nvlist.js'
import { decodeBatch, type Entry } from './batch.js'
import { readEntry, readSurroundings } from './properties.js'
import { type PropertyValue, readProperties, type Surroundings, typeOf } from './property-reading.js'

/** Entries that one call into the kernel reads; small enough that decoding them does not hold up the event loop. */
const batchEntries = 128

export interface ListedDataset {
  name: string
  type: 'filesystem' | 'volume'
  guid: bigint
  createtxg: bigint
  /** Those that were asked for; one that the dataset doesn't have is absent. */
  properties: Record<string, PropertyValue>
}

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

export interface ListedBookmark {
  /** The full name. */
  name: string
  dataset: string
  /** The GUID of the snapshot that it was made from; the same goes for the others. */
  guid: bigint
  createtxg: bigint
  creation: bigint
}

export interface ListOptions {
  /** Descend into all children. */
  recursive?: boolean
  /** The properties to tell of each, by name. */
  properties?: readonly string[]
}

/**
 * Lists a dataset and those below it, parents before their children. ZFS_IOC_DATASET_LIST_NEXT.
 *
 * @param root where to begin; it comes first
 * @param options.types filesystems and volumes unless said otherwise
 * @param options.depth how many levels below the root: 1 unless `recursive`
 * @throws ZfsError `NOT_FOUND`, `PERMISSION_DENIED`
 */
export async function* listDatasets(
  root: string,
  options: ListOptions & { types?: readonly ('filesystem' | 'volume')[]; depth?: number } = {},
): AsyncGenerator<ListedDataset> {
  const {
    types = ['filesystem', 'volume'],
    recursive = false,
    depth = recursive ? Number.POSITIVE_INFINITY : 1,
  } = options
  if (!(depth >= 0)) throw new ArgumentError(`A depth can't be ${depth}`)
  checkDataset(root)
  const reader = await Reader.open(options.properties)
  for await (const entry of descend(root, depth, reader.only)) {
    const type = typeOf(entry) as ListedDataset['type']
    const { name, guid, createtxg } = entry
    if (types.includes(type)) yield { name, type, guid, createtxg, properties: reader.read(entry) }
  }
}

/**
 * Lists a dataset's snapshots, oldest first. ZFS_IOC_SNAPSHOT_LIST_NEXT.
 *
 * @param options.recursive also those of the datasets below, each dataset's in turn
 * @throws ZfsError `NOT_FOUND`, `PERMISSION_DENIED`
 */
export async function* listSnapshots(dataset: string, options: ListOptions = {}): AsyncGenerator<ListedSnapshot> {
  const reader = await Reader.open(options.properties)
  for await (const owner of owners(dataset, options.recursive)) {
    const snapshots: ListedSnapshot[] = []
    for await (const entry of children(owner, true, reader.only)) {
      const { name, guid, createtxg } = entry
      const creation = (entry.properties.creation as NvList | undefined)?.value
      snapshots.push({
        name,
        dataset: owner,
        guid,
        createtxg,
        creation: typeof creation === 'bigint' ? creation : 0n,
        properties: reader.read(entry),
      })
    }
    yield* snapshots.sort(byAge)
  }
}

/**
 * Lists a dataset's bookmarks, oldest first. lzc_get_bookmarks.
 *
 * @param options.recursive also those of the datasets below, each dataset's in turn
 * @throws ZfsError `NOT_FOUND`
 */
export async function* listBookmarks(
  dataset: string,
  options: Pick<ListOptions, 'recursive'> = {},
): AsyncGenerator<ListedBookmark> {
  for await (const owner of owners(dataset, options.recursive)) {
    const wanted = ['guid', 'createtxg', 'creation'] satisfies BookmarkProperty[]
    const found = Object.entries(await getBookmarks(owner, wanted))
    yield* found.map(([name, values]) => ({ name: `${owner}#${name}`, dataset: owner, ...values })).sort(byAge)
  }
}

/** The dataset, and those below it where they are wanted. */
async function* owners(dataset: string, recursive = false): AsyncGenerator<string> {
  checkDataset(dataset)
  const none = new Set<string>()
  for await (const { name } of descend(dataset, recursive ? Number.POSITIVE_INFINITY : 0, none)) yield name
}

async function* descend(root: string, depth: number, only: ReadonlySet<string>): AsyncGenerator<Entry> {
  yield await readEntry(root, only)
  yield* descendants(root, depth, only)
}

async function* descendants(parent: string, depth: number, only: ReadonlySet<string>): AsyncGenerator<Entry> {
  if (depth < 1) return
  for await (const child of children(parent, false, only)) {
    yield child
    yield* descendants(child.name, depth - 1, only)
  }
}

/** The children, or snapshots, of a dataset, in the kernel's own order. */
async function* children(parent: string, snapshots: boolean, only: ReadonlySet<string>): AsyncGenerator<Entry> {
  const native = openAddon()
  for (let cookie: bigint | undefined = 0n; cookie !== undefined; ) {
    const { errno, list, number }: { errno: number; list?: Buffer; number?: bigint } = await native.list(
      snapshots,
      parent,
      cookie,
      batchEntries,
    )
    if (errno !== 0) throw zfsError('be listed', errno, parent)
    if (list !== undefined) yield* decodeBatch(list, only)
    cookie = number
  }
}

const byAge = (a: { createtxg: bigint; name: string }, b: { createtxg: bigint; name: string }): number =>
  a.createtxg === b.createtxg ? a.name.localeCompare(b.name) : Number(a.createtxg - b.createtxg)

/** Picks the wanted properties out of entries. */
class Reader {
  private constructor(
    private readonly names: readonly string[],
    private readonly surroundings: Surroundings | undefined,
    /** What has to be decoded for that. */
    readonly only: ReadonlySet<string>,
  ) {}

  static async open(names: readonly string[] = []): Promise<Reader> {
    const surroundings = names.length > 0 ? await readSurroundings() : undefined
    return new Reader(names, surroundings, new Set([...names, 'creation']))
  }

  read(entry: Entry): Record<string, PropertyValue> {
    const picked: Record<string, PropertyValue> = Object.create(null)
    if (this.surroundings === undefined) return picked
    const all = readProperties(entry, this.surroundings)
    for (const name of this.names) if (all[name] !== undefined) picked[name] = all[name]
    return picked
  }
}
