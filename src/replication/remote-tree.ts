import type { z } from 'zod'
import { TransportError } from '../errors.js'
import { listTree, maxAskedVolumes, readPoints } from './messages.js'
import type { Peer } from './peer.js'
import { fullName } from './planner/tree.js'
import { assembleTree, type TreeEntry, type TreePoints } from './read-tree.js'
import { optional } from './remote-destination.js'
import type { DestinationTree } from './sides.js'

type Side = z.output<typeof listTree.params>['side']

/** Reads a tree of a peer's, page by page. */
export async function readRemoteTree(
  peer: Peer,
  side: Side,
  volume: string,
  recursive: boolean,
  signal: AbortSignal | undefined,
): Promise<DestinationTree> {
  const { root, entries } = await listAll(peer, side, volume, recursive, signal)
  const points = new Map<string, TreePoints>()
  for (let at = 0; at < entries.length; at += maxAskedVolumes) {
    await readSome(peer, side, volume, entries.slice(at, at + maxAskedVolumes), points, signal)
  }
  return assembleTree(root, entries, ({ name }) => points.get(name))
}

async function listAll(
  { connection }: Peer,
  side: Side,
  volume: string,
  recursive: boolean,
  signal: AbortSignal | undefined,
): Promise<{ root: string; entries: TreeEntry[] }> {
  const entries: TreeEntry[] = []
  for (;;) {
    const last = entries.at(-1)?.name
    const params = { side, volume, recursive, ...(last === undefined ? {} : { after: last }) }
    const page = await connection.request(listTree, params, optional(signal))
    for (const entry of page.datasets) {
      const before = entries.at(-1)?.name
      if (before !== undefined && entry.name <= before) throw disorder(connection.identity)
      entries.push({ ...entry, origin: entry.origin })
    }
    if (!page.more || page.datasets.length === 0) return { root: page.root, entries }
  }
}

/** A page is a number of whole histories, of which the last may go on in the next page. */
async function readSome(
  { connection }: Peer,
  side: Side,
  volume: string,
  entries: readonly TreeEntry[],
  points: Map<string, TreePoints>,
  signal: AbortSignal | undefined,
): Promise<void> {
  let [at, after] = [0, 0n]
  while (at < entries.length) {
    const volumes = entries.slice(at).map(({ name }) => fullName(volume, name))
    const page = await connection.request(readPoints, { side, volumes, after }, optional(signal))
    for (const { snapshots, bookmarks, more } of page.histories) {
      const name = entries[at]?.name
      const reached = latest(snapshots, latest(bookmarks, after))
      if (name === undefined || (more && reached === after)) throw disorder(connection.identity)
      const known = points.get(name) ?? { snapshots: [], bookmarks: [] }
      known.snapshots.push(...snapshots)
      known.bookmarks.push(...bookmarks)
      points.set(name, known)
      after = more ? reached : 0n
      if (!more) at++
    }
  }
}

/** How far these lead, or `after` where they lead no further. */
function latest(points: readonly { createtxg: bigint }[], after: bigint): bigint {
  let reached = after
  for (const { createtxg } of points) if (createtxg > reached) reached = createtxg
  return reached
}

/** Whoever tells the same again would be asked for ever. */
function disorder(peer: string): TransportError {
  return new TransportError('PROTOCOL', `${peer} lists its datasets in disorder`, { peer })
}
