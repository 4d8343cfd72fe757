import { cloneBase, HeldPoints } from './clone-base.js'
import { divergedFinding } from './diverged-finding.js'
import { type NameFilter, nameFilter } from './filter.js'
import { type Inventory, newestOf, type SnapshotPoint } from './inventory.js'
import { type Matching, matchTrees } from './match-trees.js'
import { judgePartial, type PartialVerdict } from './partial.js'
import { Placement, type Role } from './placement.js'
import { type Place, Places } from './places.js'
import { type Divergence, type IncrementalBase, type Relation, relate } from './plan.js'
import { sendOrder } from './plan-order.js'
import { rawRefusal } from './raw-refusal.js'
import { type Selection, SendChain, snapshotsToSend } from './send-steps.js'
import { byName, fullName, inventoryOf, parentName, type Tree, type TreeDataset, type TreeSnapshot } from './tree.js'
import type { Finding, Step, TreePlan } from './tree-plan.js'

/** What may be done for a tree. */
export interface TreePlanOptions {
  /**
   * What to send of a dataset that the destination does not have. `most-recent`, the default: its newest snapshot; older ones
   * can't be added later. `all`: from the oldest on. `fail`: nothing, be it a clone or not; a finding says so.
   */
  initial?: 'most-recent' | 'all' | 'fail'
  /** Whether increments bring the snapshots in between too, each by a stream of its own. Default: `all`. */
  intermediate?: 'all' | 'none'
  /** By the part of the name after the `@`: which snapshots are sent. Any can be the base of an increment. */
  snapshots?: NameFilter
  /** By the name below the root, which is empty for the root: which datasets are looked after. Each is judged by itself. */
  datasets?: NameFilter
  /**
   * What to do with what an interrupted receive has left. `resume`, the default: go on with it, and where that is not possible
   * a finding says so. `discard`: destroy it, and begin that stream again.
   */
  partial?: 'resume' | 'discard'
}

/** Which partial receives, by the GUID of their snapshot, are gone on with whatever the options say. */
export type Keeps = (guid: bigint) => boolean

/**
 * Decides how to bring a dataset and all below it to a destination. Points match by GUID, never by name, and so do datasets: one
 * that was renamed or moved on the source is renamed there. No step destroys a snapshot or a dataset; what would need that is
 * a finding, and the steps of the others still stand.
 *
 * @throws ArgumentError `INVALID_ARGUMENT`: an inventory is not a tree, or a filter can't be used
 */
export function planTree(
  source: Tree,
  destination: Tree,
  options: TreePlanOptions = {},
  keeps: Keeps = () => false,
): TreePlan {
  return new TreePlanner(source, destination, options, keeps).plan()
}

type Follows = Extract<Relation<TreeSnapshot>, { kind: 'follows' }>

class TreePlanner {
  readonly #steps: Step[] = []
  readonly #findings: Finding[] = []
  readonly #options: Required<Omit<TreePlanOptions, 'snapshots' | 'datasets'>>
  readonly #datasets: Map<string, TreeDataset>
  readonly #selectsDataset: (name: string) => boolean
  readonly #selection: Selection & { origins: Map<bigint, string> }
  readonly #matching: Matching
  readonly #verdicts = new Map<TreeDataset, PartialVerdict<TreeSnapshot>>()
  readonly #roles = new Map<TreeDataset, Role>()
  readonly #places: Places
  readonly #placement: Placement
  readonly #held: HeldPoints

  constructor(
    private readonly source: Tree,
    private readonly destination: Tree,
    { snapshots, datasets, ...options }: TreePlanOptions,
    private readonly keeps: Keeps,
  ) {
    this.#options = { initial: 'most-recent', intermediate: 'all', partial: 'resume', ...options }
    this.#datasets = byName(source)
    const replicas = byName(destination)
    this.#selectsDataset = nameFilter(datasets)
    this.#selection = { selects: nameFilter(snapshots), origins: new Map() }
    this.#matching = matchTrees([...this.#datasets.values()], [...replicas.values()])
    this.#judgePartials()
    this.#places = new Places(destination.root, replicas, (replica) => this.#holds(replica))
    this.#discardBeginnings()
    this.#assignRoles()
    this.#held = new HeldPoints(destination.datasets, new Set(this.#matching.replicas.values()), this.#places)
    this.#placement = new Placement(source, this.#datasets, this.#roles, this.#matching, this.#places, (event) => {
      if (event.kind === 'rename') this.#steps.push(event)
      else this.#findings.push(event)
    })
  }

  plan(): TreePlan {
    this.#placement.settleEarly()
    for (const dataset of this.#sendOrder()) {
      this.#placement.settle(dataset)
      this.#planDataset(dataset)
    }
    this.#findOrphans()
    const { source, destination } = this
    return { source: source.root, destination: destination.root, steps: this.#steps, findings: this.#findings }
  }

  #planDataset(dataset: TreeDataset): void {
    const role = this.#roles.get(dataset)
    const place = this.#placement.of(dataset)
    const replica = this.#matching.replicas.get(dataset)
    if (role === 'pinned') return
    if (role === 'follow' && place !== undefined && replica !== undefined) this.#follow(dataset, replica, place)
    else if (place !== undefined && this.#placement.isStranger(place)) this.#face(dataset, place)
    else if (role === 'begin' && place !== undefined) this.#begin(dataset, place)
    else {
      if (role === 'hold' && place !== undefined) this.#create(dataset, place)
      if (this.#selectsDataset(dataset.name) && role !== 'begin') this.#findNothingSent(dataset)
    }
  }

  // What is there already

  #follow(dataset: TreeDataset, replica: TreeDataset, place: Place): void {
    const discards = this.#discards(replica)
    const verdict = this.#verdicts.get(dataset)
    const relation = replica.snapshots.length > 0 ? relate(this.#inventory(dataset), replica.snapshots) : undefined
    if (relation?.kind === 'diverged') {
      this.#diverged(dataset, replica, place, relation.divergence)
      return
    }
    const refusal = relation && this.#refusal(dataset, replica, relation)
    if (refusal !== undefined) this.#findings.push({ kind: 'refused', ...this.#names(dataset, place), ...refusal })
    else if (verdict !== undefined && !(discards && relation !== undefined)) {
      this.#goOn(dataset, replica, place, verdict)
    } else if (relation !== undefined) {
      if (verdict !== undefined) this.#discard(dataset, place)
      this.#increase(dataset, replica, place, relation.base)
    }
  }

  #goOn(dataset: TreeDataset, replica: TreeDataset, place: Place, verdict: PartialVerdict<TreeSnapshot>): void {
    if (verdict.kind === 'resume' && !this.#discards(replica)) {
      this.#resume(dataset, replica, place, verdict)
      return
    }
    const why = verdict.kind === 'stale' ? verdict.reason : 'it is to be discarded, and can not be begun again'
    this.#findings.push({ kind: 'partial-stale', ...this.#names(dataset, place), why })
  }

  #refusal(dataset: TreeDataset, { encrypted }: TreeDataset, { base, newest }: Follows) {
    return rawRefusal(dataset, base.guid, { encrypted, ivsetGuid: newest.ivsetGuid })
  }

  #increase(dataset: TreeDataset, replica: TreeDataset, place: Place, base: IncrementalBase): void {
    const all = this.#options.intermediate === 'all'
    const points = snapshotsToSend(dataset.snapshots, base.createtxg, all, this.#selection)
    if (points.length > 0) this.#chain(dataset, place, replica).increments(base, points)
  }

  #resume(
    dataset: TreeDataset,
    replica: TreeDataset,
    place: Place,
    { target, base, resume }: PartialVerdict<TreeSnapshot> & { kind: 'resume' },
  ): void {
    const chain = this.#chain(dataset, place, replica)
    const why = `an interrupted receive has left ${resume.bytes} bytes of this stream there`
    chain.first({ kind: 'resume', ...chain.sendOf(target), from: base, resume, why })
    if (place.holds === 'later') place.holds = 'now'
    const all = this.#options.intermediate === 'all' || (base === undefined && this.#options.initial === 'all')
    const points = snapshotsToSend(dataset.snapshots, target.createtxg, all, this.#selection)
    chain.increments(chain.baseOf(target), points)
  }

  /** Something else has the name on the destination, and it isn't a replica of this dataset. */
  #face(dataset: TreeDataset, place: Place): void {
    const { replica } = place
    if (!this.#selectsDataset(dataset.name) || replica === undefined) return
    if (replica.type !== dataset.type || replica.snapshots.length > 0 || this.#hasTarget(dataset)) {
      const relation = relate(this.#inventory(dataset), replica.snapshots)
      const divergence: Divergence =
        relation.kind === 'diverged'
          ? relation.divergence
          : { reason: 'no-common-point', common: relation.newest, onlyOnDestination: [] }
      this.#diverged(dataset, replica, place, divergence)
    } else this.#findNothingSent(dataset)
  }

  #diverged(dataset: TreeDataset, replica: TreeDataset, place: Place, divergence: Divergence): void {
    const there = this.#places.name(place)
    this.#findings.push(divergedFinding(this.#inventory(dataset), dataset, replica, there, divergence))
  }

  // What is not there yet

  #begin(dataset: TreeDataset, place: Place): void {
    const chain = this.#chain(dataset, place, undefined)
    const found = cloneBase(this.#inventory(dataset), dataset, this.#held, this.#selection.selects)
    const all = this.#options.initial === 'all'
    // All that a clone has is newer than its origin.
    const after = found.base?.guid === dataset.origin?.guid ? undefined : found.base?.createtxg
    const [to, ...rest] = snapshotsToSend(dataset.snapshots, after, all, this.#selection) as [TreeSnapshot]
    if (found.base === undefined) {
      chain.first({ kind: 'full', ...chain.sendOf(to), why: `the destination does not have it${found.why}` })
    } else {
      const origin = this.#held.fullName(found.held)
      const why = `it begins as a clone of ${found.base.name}, which the destination has`
      chain.first({ kind: 'clone', ...chain.sendOf(to), from: found.base, origin, after: found.held.after, why })
    }
    chain.increments(chain.baseOf(to), rest)
    if (place.holds === 'later') place.holds = 'now'
  }

  #create(dataset: TreeDataset, place: Place): void {
    const why = this.#selectsDataset(dataset.name)
      ? 'replicas are to be below it, and the source has no snapshot of it to send'
      : 'replicas are to be below it, and it is not replicated itself'
    this.#steps.push({ kind: 'create', ...this.#names(dataset, place), why })
    place.holds = 'now'
  }

  #findNothingSent(dataset: TreeDataset): void {
    const source = fullName(this.source.root, dataset.name)
    const names = { source, destination: fullName(this.destination.root, dataset.name) }
    if (this.#hasTarget(dataset)) {
      const why = 'the destination does not have it, and the policy is to begin nothing there'
      this.#findings.push({ kind: 'initial-refused', ...names, why })
    } else {
      const why = dataset.snapshots.length > 0 ? 'the filter lets none of its snapshots through' : 'it has no snapshot'
      this.#findings.push({ kind: 'no-snapshot', ...names, why })
    }
  }

  #discards({ partial }: TreeDataset): boolean {
    return this.#options.partial === 'discard' && !(typeof partial === 'object' && this.keeps(partial.toguid))
  }

  // Before all

  #judgePartials(): void {
    for (const [dataset, replica] of this.#matching.replicas) {
      if (replica.partial === undefined) continue
      this.#verdicts.set(dataset, this.#judgePartial(dataset, replica))
    }
  }

  #judgePartial(dataset: TreeDataset, { partial, snapshots }: TreeDataset): PartialVerdict<TreeSnapshot> {
    if (typeof partial !== 'object') return { kind: 'stale', reason: 'its resume token is not one' }
    const newest = newestOf(snapshots)
    if (newest !== undefined && newest.guid !== partial.fromguid) {
      return { kind: 'stale', reason: 'the replica does not end in the snapshot that its stream starts from' }
    }
    return judgePartial(partial, this.#inventory(dataset), dataset.encrypted, dataset.origin)
  }

  #holds(replica: TreeDataset): Place['holds'] {
    if (replica.type === 'volume') return 'never'
    if (replica.snapshots.length > 0 || replica.partial === undefined) return 'now'
    const dataset = this.#matching.related.get(replica)
    const goesOn = dataset !== undefined && this.#verdicts.get(dataset)?.kind === 'resume'
    return goesOn && this.#selectsDataset(dataset.name) ? 'later' : 'never'
  }

  /** What has only begun to arrive is a dataset with no snapshot; discarding it leaves nothing. */
  #discardBeginnings(): void {
    if (this.#options.initial === 'fail') return
    for (const [dataset, replica] of this.#matching.replicas) {
      if (!this.#discards(replica)) continue
      const place = this.#places.of(replica)
      if (replica.snapshots.length > 0 || !this.#selectsDataset(dataset.name) || place === undefined) continue
      if (place.children.size > 0 || !this.#hasTarget(dataset)) continue
      this.#discard(dataset, place)
      this.#places.remove(place)
      this.#matching.replicas.delete(dataset)
      this.#matching.related.delete(replica)
    }
  }

  #discard(dataset: TreeDataset, place: Place): void {
    const why = 'the caller wants what an interrupted receive has left there to be discarded'
    this.#steps.push({ kind: 'discard', ...this.#names(dataset, place), why })
  }

  #assignRoles(): void {
    const begins = this.#options.initial !== 'fail'
    const above = new Set<string>()
    for (const dataset of [...this.#datasets.values()].reverse()) {
      const selected = this.#selectsDataset(dataset.name)
      const followed = this.#matching.replicas.has(dataset)
      let role: Role = followed ? (selected ? 'follow' : 'pinned') : 'none'
      if (!followed && begins && selected && this.#hasTarget(dataset)) role = 'begin'
      if (role === 'none' && begins && above.has(dataset.name) && dataset.type === 'filesystem') role = 'hold'
      this.#roles.set(dataset, role)
      const parent = parentName(dataset.name)
      if (parent !== undefined && role !== 'none' && role !== 'pinned') above.add(parent)
    }
  }

  #hasTarget({ snapshots }: TreeDataset): boolean {
    return snapshots.some(({ name }) => this.#selection.selects(name))
  }

  /** Puts origins before clones, and remembers which of them clones wait for. */
  #sendOrder(): TreeDataset[] {
    const origins = this.#originDatasets()
    const order = sendOrder(this.#datasets, origins)
    const position = new Map(order.map((dataset, i) => [dataset, i]))
    for (const [clone, holder] of origins) {
      if (clone.origin === undefined || (position.get(holder) ?? 0) > (position.get(clone) ?? 0)) continue
      this.#selection.origins.set(clone.origin.guid, fullName(this.source.root, clone.name))
    }
    return order
  }

  /** Of the clones that are not there yet: the datasets whose snapshots they come from. */
  #originDatasets(): Map<TreeDataset, TreeDataset> {
    const clones = new Map<bigint, TreeDataset[]>()
    for (const [dataset, role] of this.#roles) {
      const guid = role === 'begin' ? dataset.origin?.guid : undefined
      if (guid === undefined) continue
      const others = clones.get(guid)
      if (others === undefined) clones.set(guid, [dataset])
      else others.push(dataset)
    }
    const origins = new Map<TreeDataset, TreeDataset>()
    if (clones.size === 0) return origins
    for (const holder of this.#datasets.values()) {
      for (const { guid } of holder.snapshots) for (const clone of clones.get(guid) ?? []) origins.set(clone, holder)
    }
    return origins
  }

  // After all

  #findOrphans(): void {
    const followed = new Set(this.#matching.replicas.values())
    for (const replica of this.destination.datasets) {
      const place = this.#places.of(replica)
      if (place === undefined || followed.has(replica) || this.#placement.isStranger(place)) continue
      if (!this.#selectsDataset(replica.name)) continue
      const kin = this.#matching.related.get(replica)
      const related = kin && fullName(this.source.root, kin.name)
      const why =
        related === undefined
          ? 'the source has nothing of it'
          : `it shares history with ${related}, but is not the replica that is kept up to date`
      const destination = this.#places.name(place)
      this.#findings.push({ kind: 'orphan', destination, snapshots: replica.snapshots.length, related, why })
    }
  }

  // Looked up often

  #chain(dataset: TreeDataset, place: Place, replica: TreeDataset | undefined): SendChain {
    const destination = this.#places.name(place)
    return new SendChain(this.source.root, dataset, destination, replica, this.#selection, (step) => {
      this.#steps.push(step)
      this.#keepOrigin(dataset, place, step.to, step.snapshot.slice(destination.length + 1))
    })
  }

  #keepOrigin(dataset: TreeDataset, place: Place, { guid }: SnapshotPoint, name: string): void {
    if (this.#selection.origins.size === 0 || !this.#selection.origins.has(guid)) return
    const encrypted = place.replica?.encrypted ?? dataset.encrypted
    const ivsetGuid = dataset.encrypted ? dataset.snapshots.find((point) => point.guid === guid)?.ivsetGuid : undefined
    this.#held.add(guid, {
      place,
      name,
      encrypted,
      ivsetGuid,
      matched: true,
      after: fullName(this.source.root, dataset.name),
    })
  }

  #inventory(dataset: TreeDataset): Inventory {
    return inventoryOf(this.source.root, dataset)
  }

  #names(dataset: TreeDataset, place: Place): { source: string; destination: string } {
    return { source: fullName(this.source.root, dataset.name), destination: this.#places.name(place) }
  }
}
