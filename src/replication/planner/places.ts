import { fullName, leafName, parentName, type TreeDataset } from './tree.js'

/** A dataset of the destination as the steps move it about. */
export class Place {
  readonly children = new Map<string, Place>()

  constructor(
    public parent: Place | undefined,
    public leaf: string,
    /** What is there now; `undefined` for what a step will make. */
    readonly replica: TreeDataset | undefined,
    /** Whether datasets can be made or moved below it: not before it is received whole, and never below a volume. */
    public holds: 'now' | 'later' | 'never',
  ) {}

  isWithin(other: Place): boolean {
    for (let place: Place | undefined = this; place !== undefined; place = place.parent) {
      if (place === other) return true
    }
    return false
  }
}

/** The destination's names, between the steps of a plan. */
export class Places {
  readonly #places = new Map<TreeDataset, Place>()
  root: Place | undefined

  /** @param datasets parents before children */
  constructor(
    readonly rootName: string,
    datasets: ReadonlyMap<string, TreeDataset>,
    holds: (replica: TreeDataset) => Place['holds'],
  ) {
    for (const replica of datasets.values()) {
      const above = parentName(replica.name)
      const parent = above === undefined ? undefined : this.of(datasets.get(above))
      this.#places.set(replica, this.add(parent, leafName(replica.name), holds(replica), replica))
    }
  }

  of(replica: TreeDataset | undefined): Place | undefined {
    return replica === undefined ? undefined : this.#places.get(replica)
  }

  name(place: Place): string {
    return fullName(this.rootName, relativeName(place))
  }

  add(parent: Place | undefined, leaf: string, holds: Place['holds'], replica?: TreeDataset): Place {
    const place = new Place(parent, leaf, replica, holds)
    if (parent === undefined) this.root = place
    else parent.children.set(leaf, place)
    return place
  }

  move(place: Place, parent: Place, leaf: string): void {
    place.parent?.children.delete(place.leaf)
    place.parent = parent
    place.leaf = leaf
    parent.children.set(leaf, place)
  }

  remove(place: Place): void {
    if (place.parent === undefined) this.root = undefined
    else place.parent.children.delete(place.leaf)
    if (place.replica !== undefined) this.#places.delete(place.replica)
  }
}

function relativeName(place: Place): string {
  const parts: string[] = []
  for (let at: Place = place; at.parent !== undefined; at = at.parent) parts.unshift(at.leaf)
  return parts.join('/')
}
