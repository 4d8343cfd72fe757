/** How lists of trees are cut into pages, each of which is one message. */
import type { z } from 'zod'
import { maxListedDatasets, maxListedTokenBytes, maxPageBookmarks, type readPoints } from './messages.js'
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

/** As much of a history as there is room for; `undefined` where that is nothing of what there is. */
export function cutHistory(points: TreePoints | undefined, after: bigint, room: number): History | undefined {
  const { snapshots, bookmarks } = points ?? { snapshots: [], bookmarks: [] }
  const later = snapshots.filter(({ createtxg }) => createtxg > after)
  const newest = bookmarks.slice(-maxPageBookmarks)
  const known = later
    .slice(0, room)
    .map((point) => ({ ...point, creation: point.creation ?? 0n, userrefs: point.userrefs ?? 0n }))
  if (later.length + newest.length <= room) return { snapshots: known, bookmarks: newest, more: false }
  return known.length === 0 ? undefined : { snapshots: known, bookmarks: [], more: true }
}
