import type { z } from 'zod'
import { exists } from '../lzc/index.js'
import { type Handler, handle, type Verb } from '../transport/index.js'
import { LocalDestination } from './local-destination.js'
import {
  listTree as listTreeMethod,
  maxListedDatasets,
  maxListedTokenBytes,
  maxPageBookmarks,
  maxPagePoints,
  readPoints as readPointsMethod,
} from './messages.js'
import { listTree, readPoints, type TreeEntry, type TreePoints } from './read-tree.js'
import type { Gate, ServeSettings, Shows } from './serve.js'
import { fullName, parentName } from './tree.js'

type History = z.output<typeof readPointsMethod.result>['histories'][number]

const verbs: Record<'source' | 'destination', Verb> = { source: 'send', destination: 'inspect' }

/** This host as either side of a replication of whole trees: tells what there is. */
export function serveTree(settings: ServeSettings, allowed: Gate, shows: Shows): Handler[] {
  const destination = new LocalDestination(settings)
  return [
    handle(listTreeMethod, async ({ side, volume, recursive, after }, { peer, signal }) => {
      const root = allowed(volume, peer, verbs[side])
      if (side === 'destination' && after === undefined) await destination.settled(volume)
      const listed = await listTree(root, recursive, signal)
      const shown = visible(listed, (name) => shows(fullName(root, name), peer, verbs[side]))
      return { root, ...page(shown.filter(({ name }) => after === undefined || name > after)) }
    }),
    handle(readPointsMethod, async ({ side, volumes, after }, { peer, signal }) => {
      const histories: History[] = []
      let room = maxPagePoints
      for (const volume of volumes) {
        const dataset = allowed(volume, peer, verbs[side])
        // It can be gone since it was listed.
        const points = (await exists(dataset)) ? await readPoints(dataset, false, peer, signal) : undefined
        const history = cut(points?.get(dataset), histories.length === 0 ? after : 0n, room)
        if (history === undefined) break
        histories.push(history)
        room -= history.snapshots.length + history.bookmarks.length
        if (history.more) break
      }
      return { histories }
    }),
  ]
}

/** By name. What the peer may not know of is left out, and so is all below it. */
function visible(entries: readonly TreeEntry[], shows: (name: string) => boolean): TreeEntry[] {
  const names = new Set<string | undefined>([undefined])
  const shown: TreeEntry[] = []
  for (const entry of [...entries].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (!names.has(parentName(entry.name)) || !shows(entry.name)) continue
    names.add(entry.name)
    shown.push(entry)
  }
  return shown
}

function page(entries: readonly TreeEntry[]): { datasets: TreeEntry[]; more: boolean } {
  let tokenBytes = 0
  const datasets: TreeEntry[] = []
  for (const entry of entries) {
    if (datasets.length === maxListedDatasets || tokenBytes >= maxListedTokenBytes) break
    tokenBytes += entry.token?.length ?? 0
    datasets.push(entry)
  }
  return { datasets, more: datasets.length < entries.length }
}

/** As much of a history as there is room for; `undefined` where that is nothing of what there is. */
function cut(points: TreePoints | undefined, after: bigint, room: number): History | undefined {
  const { snapshots, bookmarks } = points ?? { snapshots: [], bookmarks: [] }
  const later = snapshots.filter(({ createtxg }) => createtxg > after)
  const newest = bookmarks.slice(-maxPageBookmarks)
  const known = later
    .slice(0, room)
    .map((point) => ({ ...point, creation: point.creation ?? 0n, userrefs: point.userrefs ?? 0n }))
  if (later.length + newest.length <= room) return { snapshots: known, bookmarks: newest, more: false }
  return known.length === 0 ? undefined : { snapshots: known, bookmarks: [], more: true }
}
