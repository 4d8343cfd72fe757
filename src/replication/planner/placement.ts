import type { Matching } from './match-trees.js'
import type { Place, Places } from './places.js'
import { fullName, leafName, parentName, type Tree, type TreeDataset } from './tree.js'
import type { BlockedFinding, RenameStep } from './tree-plan.js'

/**
 * What a dataset of the source has to do on the destination: `follow`, its replica is there; `begin`, it will be; `hold`, an
 * empty filesystem takes its place, for others to be below; `pinned`, its replica is there and the caller wants it left alone;
 * `none`, nothing.
 */
export type Role = 'follow' | 'begin' | 'hold' | 'pinned' | 'none'

/** Chains of renames that free one another's names are followed so far; beyond that, temporary names do. */
const maxChain = 64

/**
 * Gives every replica the name of its source, parents first, by renames that never clash: what stands in the way and has
 * another name coming moves there first, or aside for a while. What has none is left, and is in the way.
 */
export class Placement {
  readonly #placed = new Map<TreeDataset, Place>()
  readonly #settled = new Set<TreeDataset>()
  readonly #owners = new Map<Place, TreeDataset>()
  /** What was there already under a name that the source has, and is not its replica. */
  readonly #strangers = new Set<Place>()

  constructor(
    private readonly source: Tree,
    private readonly datasets: ReadonlyMap<string, TreeDataset>,
    private readonly roles: ReadonlyMap<TreeDataset, Role>,
    matching: Matching,
    private readonly places: Places,
    private readonly report: (event: RenameStep | BlockedFinding) => void,
  ) {
    for (const [dataset, replica] of matching.replicas) {
      const place = places.of(replica)
      if (place !== undefined) this.#owners.set(place, dataset)
    }
    this.#replicas = matching.replicas
  }

  readonly #replicas: ReadonlyMap<TreeDataset, TreeDataset>

  /** Places all that can be before anything is sent; the rest is below what is not there yet, see {@link settle}. */
  settleEarly(): void {
    // What has its name already is a fixed point for what moves.
    for (const dataset of this.datasets.values()) this.#settleWhereItIs(dataset)
    for (const dataset of this.datasets.values()) this.#settle(dataset, false)
  }

  /** Places a dataset whose parent's steps have been planned by now. */
  settle(dataset: TreeDataset): void {
    this.#settle(dataset, true)
  }

  /** Where it is or will be; `undefined` where it can't be. */
  of(dataset: TreeDataset): Place | undefined {
    return this.#placed.get(dataset)
  }

  isStranger(place: Place): boolean {
    return this.#strangers.has(place)
  }

  #settleWhereItIs(dataset: TreeDataset): void {
    const replica = this.#replicaPlace(dataset)
    if (replica !== undefined && this.roles.get(dataset) === 'pinned') {
      this.#fix(dataset, replica)
      return
    }
    const named = dataset.name === '' ? this.places.root : this.#parent(dataset)?.children.get(leafName(dataset.name))
    if (named === undefined) return
    if (named === replica) this.#fix(dataset, named)
    else if (replica === undefined && !this.#owners.has(named)) this.#front(dataset, named)
  }

  #settle(dataset: TreeDataset, late: boolean): void {
    if (this.#settled.has(dataset)) return
    if (dataset.name === '') {
      this.#makePlace(dataset, undefined)
      return
    }
    const parent = this.#parent(dataset)
    if (parent === undefined && !late && this.#waits(dataset)) return
    if (parent === undefined || parent.holds === 'never' || this.#isBelowItself(dataset, parent)) {
      this.#block(dataset, parent === undefined ? 'parent-missing' : 'parent-unusable', parent)
    } else if (parent.holds === 'now') this.#settleBelow(dataset, parent)
    else if (late) this.#block(dataset, 'parent-unusable', parent)
  }

  #settleBelow(dataset: TreeDataset, parent: Place): void {
    const role = this.roles.get(dataset)
    const leaf = leafName(dataset.name)
    const replica = this.#replicaPlace(dataset)
    const occupant = parent.children.get(leaf)
    if (occupant !== undefined && occupant === replica) this.#fix(dataset, occupant)
    else if (occupant !== undefined && !this.#isMovable(occupant)) {
      if (replica !== undefined || this.#owners.has(occupant)) this.#block(dataset, 'name-taken', occupant)
      else this.#front(dataset, occupant)
    } else if (role === 'none') this.#settled.add(dataset)
    else {
      if (occupant !== undefined) this.#makeRoom(occupant, new Set(replica ? [occupant, replica] : [occupant]))
      if (replica === undefined) this.#makePlace(dataset, parent)
      else this.#move(dataset, replica, parent)
    }
  }

  /** Moves a replica away from a name that is not its own: to its own if that is free or can be made so. */
  #makeRoom(place: Place, moving: Set<Place>): void {
    const dataset = this.#owners.get(place) as TreeDataset
    const parent = this.#parent(dataset)
    if (parent === undefined || parent.holds !== 'now' || parent.isWithin(place)) {
      this.#moveAside(place, dataset)
      return
    }
    const occupant = parent.children.get(leafName(dataset.name))
    if (occupant !== undefined) {
      if (!this.#isMovable(occupant) || moving.has(occupant) || moving.size > maxChain) {
        this.#moveAside(place, dataset)
        return
      }
      this.#makeRoom(occupant, moving.add(occupant))
    }
    this.#move(dataset, place, parent)
  }

  #move(dataset: TreeDataset, place: Place, parent: Place): void {
    this.#rename(dataset, place, parent, leafName(dataset.name), false)
    this.#fix(dataset, place)
  }

  #moveAside(place: Place, dataset: TreeDataset): void {
    const parent = place.parent as Place
    const name = `flocker-moving-${place.replica?.guid.toString(16)}`
    let leaf = name
    for (let n = 2; parent.children.has(leaf); n++) leaf = `${name}-${n}`
    this.#rename(dataset, place, parent, leaf, true)
  }

  #rename(dataset: TreeDataset, place: Place, parent: Place, leaf: string, temporary: boolean): void {
    const destination = this.places.name(place)
    this.places.move(place, parent, leaf)
    const source = fullName(this.source.root, dataset.name)
    const why = temporary
      ? `another replica gets its name, and ${source} can't be placed yet`
      : `it is the replica of ${source}, by the GUIDs of their snapshots`
    this.report({ kind: 'rename', source, destination, to: this.places.name(place), temporary, why })
  }

  #makePlace(dataset: TreeDataset, parent: Place | undefined): void {
    const role = this.roles.get(dataset)
    if (role !== 'begin' && role !== 'hold') return
    const holds = dataset.type === 'volume' ? 'never' : 'later'
    this.#fix(dataset, this.places.add(parent, leafName(dataset.name), holds))
  }

  #front(dataset: TreeDataset, place: Place): void {
    this.#strangers.add(place)
    this.#fix(dataset, place)
  }

  #fix(dataset: TreeDataset, place: Place): void {
    this.#placed.set(dataset, place)
    this.#settled.add(dataset)
  }

  #block(dataset: TreeDataset, reason: BlockedFinding['reason'], by: Place | undefined): void {
    const role = this.roles.get(dataset)
    const replica = this.#replicaPlace(dataset)
    this.#settled.add(dataset)
    if (replica !== undefined) this.#placed.set(dataset, replica)
    if (reason === 'name-taken' && by !== undefined && !this.#owners.has(by)) this.#strangers.add(by)
    if (role === 'none' || role === 'hold') return
    const parent = this.#parent(dataset)
    const wanted =
      parent === undefined
        ? fullName(this.places.rootName, dataset.name)
        : `${this.places.name(parent)}/${leafName(dataset.name)}`
    this.report({
      kind: 'blocked',
      source: fullName(this.source.root, dataset.name),
      destination: replica === undefined ? wanted : this.places.name(replica),
      wanted,
      reason,
      why: blockedSentence(reason, by && this.places.name(by)),
    })
  }

  /** Whether its parent can be placed only when others have been. */
  #waits(dataset: TreeDataset): boolean {
    const above = this.datasets.get(parentName(dataset.name) ?? '')
    return above !== undefined && !this.#settled.has(above)
  }

  #isBelowItself(dataset: TreeDataset, parent: Place): boolean {
    const replica = this.#replicaPlace(dataset)
    return replica !== undefined && parent.isWithin(replica)
  }

  #isMovable(place: Place): boolean {
    const owner = this.#owners.get(place)
    return owner !== undefined && !this.#settled.has(owner) && this.roles.get(owner) === 'follow'
  }

  #parent(dataset: TreeDataset): Place | undefined {
    const above = parentName(dataset.name)
    const parent = above === undefined ? undefined : this.datasets.get(above)
    return parent === undefined ? undefined : this.#placed.get(parent)
  }

  #replicaPlace(dataset: TreeDataset): Place | undefined {
    return this.places.of(this.#replicas.get(dataset))
  }
}

function blockedSentence(reason: BlockedFinding['reason'], by: string | undefined): string {
  if (reason === 'name-taken') return `${by} is in its place and is not to be moved`
  if (reason === 'parent-missing') return 'its parent is not on the destination, and will not be'
  return `nothing can be placed below ${by}`
}
