import { type Inventory, newestFirst, newestOf } from './inventory.js'
import type { Place, Places } from './places.js'
import { baseWithGuid, type IncrementalBase } from './plan.js'
import { rawRefusal } from './raw-refusal.js'
import type { TreeDataset } from './tree.js'

/** A snapshot that the destination has, or will have by the step at hand. */
export interface Held {
  place: Place
  /** The part of its name after the `@`. */
  name: string
  encrypted: boolean
  ivsetGuid: bigint | undefined
  /** It is of the replica of a dataset of the source, not of something that the source does not have. */
  matched: boolean
  /** The source's dataset whose steps bring it; `undefined` where it is there already. */
  after: string | undefined
}

/** What the destination has, by GUID, to begin clones from. */
export class HeldPoints {
  #points: Map<bigint, Held> | undefined

  constructor(
    private readonly replicas: readonly TreeDataset[],
    private readonly followed: ReadonlySet<TreeDataset>,
    private readonly places: Places,
  ) {}

  get isEmpty(): boolean {
    return this.replicas.length === 0
  }

  get(guid: bigint): Held | undefined {
    this.#points ??= this.#read()
    return this.#points.get(guid)
  }

  add(guid: bigint, held: Held): void {
    this.#points ??= this.#read()
    this.#points.set(guid, held)
  }

  /** A full name, as it is at the time of the step at hand. */
  fullName({ place, name }: Held): string {
    return `${this.places.name(place)}@${name}`
  }

  /** Replicas come last: where a snapshot is there twice, theirs counts. */
  #read(): Map<bigint, Held> {
    const points = new Map<bigint, Held>()
    for (const matched of [false, true]) {
      for (const replica of this.replicas) {
        const place = this.places.of(replica)
        if (place === undefined || this.followed.has(replica) !== matched) continue
        for (const { name, guid, ivsetGuid } of replica.snapshots) {
          points.set(guid, { place, name, encrypted: replica.encrypted, ivsetGuid, matched, after: undefined })
        }
      }
    }
    return points
  }
}

export type CloneBase =
  | { base: IncrementalBase; held: Held }
  /** There is none; `why` goes on from "the destination does not have it". */
  | { base?: undefined; why: string }

/**
 * The newest point that a new replica can begin from as a clone.
 *
 * @param selects which snapshots are sent, by the part of the name after the `@`
 */
export function cloneBase(
  source: Inventory,
  dataset: TreeDataset,
  held: HeldPoints,
  selects: (name: string) => boolean,
): CloneBase {
  const own = ownPointElsewhere(source, dataset, held, selects)
  if (own !== undefined) return own
  const { origin } = dataset
  if (origin === undefined) return { why: '' }
  const found = held.get(origin.guid)
  if (found === undefined) {
    return { why: `, nor will it have ${origin.name}, which it is a clone of; so what they share is sent again` }
  }
  if (rawRefusal(dataset, origin.guid, found) !== undefined) {
    return { why: `, and a raw stream can't begin as a clone of ${held.fullName(found)}, which was not received raw` }
  }
  return { base: { kind: 'snapshot', name: origin.name, guid: origin.guid, createtxg: origin.createtxg }, held: found }
}

/**
 * A clone that was promoted has its origin's snapshots for its own; their replicas are where they were. Only a replica's points
 * count: what was kept under another name must stay free to be destroyed.
 */
function ownPointElsewhere(
  source: Inventory,
  dataset: TreeDataset,
  held: HeldPoints,
  selects: (name: string) => boolean,
): CloneBase | undefined {
  if (held.isEmpty) return undefined
  const target = newestOf(source.snapshots.filter(({ name }) => selects(name)))
  for (const { guid, createtxg } of newestFirst([...source.snapshots, ...source.bookmarks])) {
    if (target === undefined || createtxg >= target.createtxg) continue
    const found = held.get(guid)
    if (!found?.matched || rawRefusal(dataset, guid, found) !== undefined) continue
    const base = baseWithGuid(source, guid)
    if (base !== undefined) return { base, held: found }
  }
  return undefined
}
