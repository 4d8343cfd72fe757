import { listBookmarks, listSnapshots } from '../datasets/index.js'
import { exists } from '../lzc/index.js'
import { pendingProperty } from './names.js'
import type { MarkedSnapshot } from './pending.js'
import type { BookmarkPoint, Inventory } from './planner/inventory.js'

/** A dataset of this host, with the marks that pushes have left on its snapshots. */
export interface LocalInventory extends Inventory {
  snapshots: MarkedSnapshot[]
}

/** Reads a dataset's history from the pool; `undefined` where there is no such dataset. */
export async function readInventory(dataset: string): Promise<LocalInventory | undefined> {
  if (!(await exists(dataset))) return undefined
  const snapshots: MarkedSnapshot[] = []
  const wanted = { properties: [pendingProperty, 'userrefs'] }
  for await (const { name, guid, createtxg, properties } of listSnapshots(dataset, wanted)) {
    const pendingFor = properties[pendingProperty]?.value.toString()
    const userrefs = BigInt(properties.userrefs?.value ?? 0n)
    snapshots.push({ name: shortName(name), guid, createtxg, pendingFor, userrefs })
  }
  return { dataset, snapshots, bookmarks: await readBookmarks(dataset) }
}

/** Reads a dataset's bookmarks alone: their number stays small where snapshots' does not. */
export async function readBookmarks(dataset: string): Promise<BookmarkPoint[]> {
  const bookmarks: BookmarkPoint[] = []
  for await (const { name, guid, createtxg } of listBookmarks(dataset)) {
    bookmarks.push({ name: shortName(name), guid, createtxg })
  }
  return bookmarks
}

function shortName(name: string): string {
  return name.slice(name.search(/[@#]/) + 1)
}
