/** A volume's snapshots, as far as ownership is concerned. */
import { listSnapshots } from '../datasets/index.js'

/** A snapshot by the part of its name after the `@`. */
export interface HistoryPoint {
  name: string
  guid: bigint
  createtxg: bigint
  /** When it was made. */
  creation: Date
}

/** A dataset's snapshots, newest first. */
export async function readHistory(dataset: string): Promise<HistoryPoint[]> {
  const points: HistoryPoint[] = []
  for await (const { name, guid, createtxg, creation } of listSnapshots(dataset)) {
    points.unshift({
      name: name.slice(dataset.length + 1),
      guid,
      createtxg,
      creation: new Date(Number(creation) * 1000),
    })
  }
  return points
}

export async function newestGuid(dataset: string): Promise<bigint | undefined> {
  return (await readHistory(dataset))[0]?.guid
}
