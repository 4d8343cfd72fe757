/**
 * Two ZFS hosts as plain data, to make histories with and to run plans on. It moves no data; what it is for is to refuse what
 * ZFS refuses. The planner never sees it, only the inventories that it gives.
 */
import type { Tree, TreeDataset } from '../../src/replication/planner/tree.js'
import type { SendStep, Step } from '../../src/replication/planner/tree-plan.js'
import type { ResumeToken } from '../../src/stream/index.js'

export class Refused extends Error {}

export interface ModelSnapshot {
  name: string
  guid: bigint
  createtxg: bigint
  content: number
}

export interface ModelDataset {
  guid: bigint
  type: 'filesystem' | 'volume'
  encrypted: boolean
  origin: ModelSnapshot | undefined
  /** Oldest first. */
  snapshots: ModelSnapshot[]
  bookmarks: ModelSnapshot[]
  content: number
  partial: ResumeToken | undefined
}

export class ModelHost {
  readonly datasets = new Map<string, ModelDataset>()
  #txg = 100n
  #contents = 0

  constructor(
    readonly root: string,
    /** GUIDs are unique across hosts. */
    private readonly newGuid: () => bigint,
  ) {}

  tree(): Tree {
    const datasets = [...this.datasets].map(([name, dataset]): TreeDataset => {
      const { guid, type, encrypted, snapshots, bookmarks, partial, origin } = dataset
      const points = (list: ModelSnapshot[]) => list.map(({ name, guid, createtxg }) => ({ name, guid, createtxg }))
      const where = origin === undefined ? undefined : { ...origin, name: this.#full(this.holder(origin), origin.name) }
      return {
        ...{ name, guid, type, encrypted, partial },
        origin: where && { name: where.name, guid: where.guid, createtxg: where.createtxg },
        snapshots: points(snapshots),
        bookmarks: points(bookmarks),
      }
    })
    return { root: this.root, datasets }
  }

  create(name: string, type: ModelDataset['type'], encrypted = false): ModelDataset {
    this.#checkFree(name)
    const guid = this.newGuid()
    const dataset = { ...{ guid, type, encrypted }, origin: undefined, partial: undefined, content: 0 }
    const made: ModelDataset = { ...dataset, snapshots: [], bookmarks: [] }
    this.datasets.set(name, made)
    return made
  }

  get(name: string): ModelDataset {
    const dataset = this.datasets.get(name)
    if (dataset === undefined) throw new Refused(`${this.root}/${name} does not exist`)
    return dataset
  }

  write(name: string): void {
    this.get(name).content = ++this.#contents
  }

  snapshot(name: string, snapshot: string): void {
    const dataset = this.get(name)
    if (dataset.partial !== undefined && dataset.snapshots.length === 0) throw new Refused('it is half there')
    this.#add(dataset, snapshot, this.newGuid(), dataset.content)
  }

  bookmark(name: string, snapshot: string, bookmark: string): void {
    const dataset = this.get(name)
    if (dataset.bookmarks.some((other) => other.name === bookmark)) throw new Refused('the bookmark exists')
    dataset.bookmarks.push({ ...this.#snapshotOf(dataset, snapshot), name: bookmark })
  }

  destroySnapshot(name: string, snapshot: string): void {
    const dataset = this.get(name)
    const found = this.#snapshotOf(dataset, snapshot)
    if (this.#hasClone(found)) throw new Refused('it has a clone')
    if (dataset.partial !== undefined && dataset.partial.fromguid === found.guid)
      throw new Refused('it is received onto')
    dataset.snapshots = dataset.snapshots.filter((other) => other !== found)
  }

  rollback(name: string, snapshot: string): void {
    const dataset = this.get(name)
    const found = this.#snapshotOf(dataset, snapshot)
    const newer = dataset.snapshots.slice(dataset.snapshots.indexOf(found) + 1)
    if (newer.some((other) => this.#hasClone(other))) throw new Refused('a newer one has a clone')
    dataset.snapshots = dataset.snapshots.filter((other) => !newer.includes(other))
    dataset.bookmarks = dataset.bookmarks.filter(({ createtxg }) => createtxg <= found.createtxg)
    dataset.content = found.content
  }

  renameSnapshot(name: string, from: string, to: string): void {
    const dataset = this.get(name)
    if (dataset.snapshots.some((other) => other.name === to)) throw new Refused('the name is taken')
    this.#snapshotOf(dataset, from).name = to
  }

  clone(name: string, snapshot: string, to: string): void {
    const dataset = this.get(name)
    const origin = this.#snapshotOf(dataset, snapshot)
    const made = this.create(to, dataset.type, dataset.encrypted)
    made.origin = origin
    made.content = origin.content
  }

  promote(name: string): void {
    const clone = this.get(name)
    const { origin } = clone
    if (origin === undefined) throw new Refused('it is no clone')
    const former = this.get(this.holder(origin))
    const moved = former.snapshots.filter(({ createtxg }) => createtxg <= origin.createtxg)
    if (moved.some((one) => clone.snapshots.some((other) => other.name === one.name)))
      throw new Refused('a name is taken')
    former.snapshots = former.snapshots.filter((one) => !moved.includes(one))
    clone.snapshots = [...moved, ...clone.snapshots]
    clone.origin = former.origin
    former.origin = origin
  }

  rename(from: string, to: string): void {
    this.get(from)
    if (from === '' || to === '') throw new Refused('a root stays where it is')
    if (to === from || to.startsWith(`${from}/`)) throw new Refused('it would be below itself')
    this.#checkFree(to)
    for (const [name, dataset] of [...this.datasets]) {
      if (name !== from && !name.startsWith(`${from}/`)) continue
      this.datasets.delete(name)
      this.datasets.set(`${to}${name.slice(from.length)}`, dataset)
    }
  }

  destroy(name: string): void {
    const dataset = this.get(name)
    if (name === '') throw new Refused('a root stays')
    this.#checkChildless(name)
    if (dataset.snapshots.some((snapshot) => this.#hasClone(snapshot))) throw new Refused('it has a clone')
    this.datasets.delete(name)
  }

  /** The name of the dataset that a snapshot is of. */
  holder(snapshot: ModelSnapshot): string {
    for (const [name, { snapshots }] of this.datasets) if (snapshots.includes(snapshot)) return name
    throw new Error('a snapshot of nothing')
  }

  /** Runs a step of a plan; `interrupted`, a stream ends half-way. */
  run(step: Step, source: ModelHost, interrupted = false): void {
    const name = this.#relative(step.destination)
    if (step.kind === 'rename') this.rename(name, this.#relative(step.to))
    else if (step.kind === 'create') this.create(name, 'filesystem')
    else if (step.kind === 'discard') this.#discard(name)
    else this.#receive(name, step, source.#send(step), interrupted)
  }

  #discard(name: string): void {
    const dataset = this.get(name)
    if (dataset.partial === undefined) throw new Refused('there is nothing to discard')
    dataset.partial = undefined
    if (dataset.snapshots.length > 0) return
    this.#checkChildless(name)
    this.datasets.delete(name)
  }

  #send(step: SendStep): Stream {
    const name = this.#relative(step.source)
    const dataset = this.get(name)
    const to = this.#snapshotOf(dataset, step.to.name)
    if (to.guid !== step.to.guid) throw new Refused('the snapshot is another one')
    if (step.raw !== dataset.encrypted) throw new Refused('an encrypted dataset goes raw')
    const stream = { to, type: dataset.type, raw: step.raw, fromguid: undefined, ofClone: false }
    if (!('from' in step) || step.from === undefined) return stream
    const { from } = step
    const [fromDataset = '', fromName] = from.name.split(/[@#]/)
    const holder = this.get(this.#relative(fromDataset))
    const points = from.kind === 'snapshot' ? this.#history(dataset) : dataset.bookmarks
    const list = from.kind === 'snapshot' ? holder.snapshots : holder.bookmarks
    const found = list.find((point) => point.name === fromName && point.guid === from.guid)
    if (found === undefined) throw new Refused(`there is no ${from.name}`)
    if (!points.includes(found) || found.createtxg >= to.createtxg) throw new Refused('not an earlier point of it')
    return { ...stream, fromguid: from.guid, ofClone: holder !== dataset }
  }

  #receive(name: string, step: SendStep, stream: Stream, interrupted: boolean): void {
    const snapshot = step.snapshot.slice(step.destination.length + 1)
    const existing = this.datasets.get(name)
    if (step.kind === 'resume') {
      const { partial } = this.get(name)
      if (partial?.toguid !== stream.to.guid || partial.fromguid !== stream.fromguid) throw new Refused('another part')
      if (partial.raw !== stream.raw) throw new Refused('another kind of stream')
      if (interrupted) return
    }
    const dataset = step.kind === 'resume' ? this.get(name) : this.#receiver(existing, name, step, stream)
    if (step.kind !== 'resume') dataset.partial = tokenOf(stream)
    if (interrupted) return
    dataset.partial = undefined
    dataset.content = stream.to.content
    this.#add(dataset, snapshot, stream.to.guid, stream.to.content)
  }

  #receiver(existing: ModelDataset | undefined, name: string, step: SendStep, stream: Stream): ModelDataset {
    if (step.kind === 'incremental') {
      if (existing === undefined) throw new Refused('there is nothing to apply it to')
      if (stream.ofClone) throw new Refused('a clone stream does not apply to what exists')
      if (existing.partial !== undefined) throw new Refused('a receive was interrupted there')
      if (existing.snapshots.at(-1)?.guid !== stream.fromguid) throw new Refused('it does not end in the base')
      if (stream.raw && !existing.encrypted) throw new Refused('raw onto what was not received raw')
      if (existing.type !== stream.type) throw new Refused('of another type')
      return existing
    }
    const origin = step.kind === 'clone' ? this.#find(step.origin) : undefined
    if (origin?.guid !== stream.fromguid) throw new Refused('the origin is not the base')
    if (origin && stream.raw && !this.get(this.holder(origin)).encrypted) throw new Refused('raw onto a plain origin')
    const made = this.create(name, stream.type, stream.raw)
    made.origin = origin
    return made
  }

  #find(full: string): ModelSnapshot {
    const [dataset = '', name = ''] = full.split('@')
    return this.#snapshotOf(this.get(this.#relative(dataset)), name)
  }

  #history(dataset: ModelDataset): ModelSnapshot[] {
    const { origin, snapshots } = dataset
    if (origin === undefined) return snapshots
    const before = this.#history(this.get(this.holder(origin))).filter(({ createtxg }) => createtxg <= origin.createtxg)
    return [...before, ...snapshots]
  }

  #add(dataset: ModelDataset, name: string, guid: bigint, content: number): void {
    if (dataset.snapshots.some((other) => other.name === name)) throw new Refused('the snapshot exists')
    dataset.snapshots.push({ name, guid, createtxg: this.#txg++, content })
  }

  #snapshotOf(dataset: ModelDataset, name: string): ModelSnapshot {
    const found = dataset.snapshots.find((snapshot) => snapshot.name === name)
    if (found === undefined) throw new Refused(`there is no snapshot ${name}`)
    return found
  }

  #hasClone(snapshot: ModelSnapshot): boolean {
    return [...this.datasets.values()].some(({ origin }) => origin === snapshot)
  }

  #checkChildless(name: string): void {
    const prefix = name === '' ? '' : `${name}/`
    const others = [...this.datasets.keys()].filter((other) => other !== name)
    if (others.some((other) => other.startsWith(prefix))) throw new Refused('it has children')
  }

  #checkFree(name: string): void {
    if (this.datasets.has(name)) throw new Refused(`${name} exists`)
    if (name === '') return
    const parent = this.datasets.get(name.includes('/') ? name.slice(0, name.lastIndexOf('/')) : '')
    if (parent === undefined) throw new Refused(`${name} has no parent`)
    if (parent.type === 'volume') throw new Refused('a volume has no children')
    if (parent.partial !== undefined && parent.snapshots.length === 0) throw new Refused('its parent is half there')
  }

  #relative(full: string): string {
    if (full !== this.root && !full.startsWith(`${this.root}/`)) throw new Refused(`${full} is not here`)
    return full.slice(this.root.length + 1)
  }

  #full(name: string, snapshot: string): string {
    return `${name === '' ? this.root : `${this.root}/${name}`}@${snapshot}`
  }
}

interface Stream {
  to: ModelSnapshot
  type: ModelDataset['type']
  raw: boolean
  fromguid: bigint | undefined
  /** Its base is another dataset's snapshot. */
  ofClone: boolean
}

/** What a receive of this stream that was interrupted leaves. */
export function tokenOf({ to, fromguid, raw }: Pick<Stream, 'to' | 'fromguid' | 'raw'>): ResumeToken {
  const where = { object: 7n, offset: 131072n, bytes: 4096n }
  const flags = { largeBlocks: true, embedded: true, compressed: true, raw }
  const none = { redactSnapshots: undefined, bookRedactSnapshots: undefined }
  return { toname: `pool/any@${to.name}`, toguid: to.guid, fromguid, ...where, ...flags, ...none }
}
