/** How lists of trees are cut into pages, each of which is one message. */
import type { z } from 'zod'
import { maxListedDatasets, maxListedTokenBytes, type readPoints } from './messages.js'
import type { BookmarkPoint } from './planner/inventory.js'
import { parentName } from './planner/tree.js'
import type { TreeEntry, TreePoints } from './read-tree.js'

export type History = z.output<typeof readPoints.result>['histories'][number]

/** By name. What the peer may not know of is left out, and so is all below it. */
export function visible(entries: readonly TreeEntry[], shows: (name: string) => boolean): TreeEntry[] {
  const names = new Set<string | undefined>([undefined])
  const shown: TreeEntry[] = []
  for (const entry of [...entries].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (!names.has(parentName(entry.name)) || !shows(entry.name)) continue
    names.add(entry.name)
    shown.push(entry)
  }
  return shown
}

/** As many datasets as have room in a message. */
export function pageOf(entries: readonly TreeEntry[]): { datasets: TreeEntry[]; more: boolean } {
  let tokenBytes = 0
  const datasets: TreeEntry[] = []
  for (const entry of entries) {
    if (datasets.length === maxListedDatasets || tokenBytes >= maxListedTokenBytes) break
    tokenBytes += entry.token?.length ?? 0
    datasets.push(entry)
  }
  return { datasets, more: datasets.length < entries.length }
}

/** As much of a history as there is room for, the oldest first; `undefined` where that is nothing of what there is. */
export function cutHistory(points: TreePoints | undefined, after: bigint, room: number): History | undefined {
  const later = <P extends { createtxg: bigint }>(all: readonly P[]): P[] => all.filter((p) => p.createtxg > after)
  const snapshots = later(points?.snapshots ?? [])
  const bookmarks = oneOfEach(later(points?.bookmarks ?? []))
  const until = lastWithRoom([...snapshots, ...bookmarks], room)
  if (until === undefined) return undefined
  const told = ({ createtxg }: { createtxg: bigint }): boolean => createtxg <= until
  const history = { snapshots: snapshots.filter(told), bookmarks: bookmarks.filter(told) }
  return {
    snapshots: history.snapshots.map(({ creation = 0n, userrefs = 0n, ...rest }) => ({ ...rest, creation, userrefs })),
    bookmarks: history.bookmarks,
    more: history.snapshots.length + history.bookmarks.length < snapshots.length + bookmarks.length,
  }
}

/** Bookmarks of one GUID are one to go on from; without that, more of one moment than a page has room for could never be told. */
function oneOfEach(bookmarks: readonly BookmarkPoint[]): BookmarkPoint[] {
  const known = new Set<bigint>()
  return bookmarks.filter(({ guid }) => !known.has(guid) && known.add(guid))
}

/** The createtxg up to which there is room for all; what has the same one is not torn apart. */
function lastWithRoom(points: readonly { createtxg: bigint }[], room: number): bigint | undefined {
  const moments = points.map(({ createtxg }) => createtxg).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  if (moments.length <= room) return moments.at(-1) ?? 0n
  return moments.slice(0, room).findLast((moment) => moment !== moments[room])
}
