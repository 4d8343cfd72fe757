import type { SnapshotPoint } from './inventory.js'
import type { IncrementalBase } from './plan.js'
import { fullName, type TreeDataset, type TreeSnapshot } from './tree.js'
import type { IncrementalStep, SendStep } from './tree-plan.js'

/** Which snapshots are sent. */
export interface Selection {
  /** By the part of the name after the `@`. */
  selects: (name: string) => boolean
  /** Snapshots that clones come from: sent also where those in between are skipped. By GUID, with the clone's full name. */
  origins: ReadonlyMap<bigint, string>
}

/**
 * The snapshots to send, oldest first.
 *
 * @param after the createtxg of the point that the destination has; all are newer than `undefined`
 * @param all those in between too; else the newest, and those that clones come from
 */
export function snapshotsToSend(
  snapshots: readonly TreeSnapshot[],
  after: bigint | undefined,
  all: boolean,
  { selects, origins }: Selection,
): TreeSnapshot[] {
  const candidates = snapshots
    .filter(({ name, createtxg }) => (after === undefined || createtxg > after) && selects(name))
    .sort((a, b) => (a.createtxg < b.createtxg ? -1 : a.createtxg > b.createtxg ? 1 : 0))
  if (all) return candidates
  return candidates.filter(({ guid }, i) => i === candidates.length - 1 || origins.has(guid))
}

/** Makes the send steps of one dataset, one upon the other. */
export class SendChain {
  readonly #taken: Set<string>
  readonly #source: string

  constructor(
    sourceRoot: string,
    private readonly dataset: TreeDataset,
    private readonly destination: string,
    replica: TreeDataset | undefined,
    private readonly selection: Selection,
    private readonly report: (step: SendStep) => void,
  ) {
    this.#source = fullName(sourceRoot, dataset.name)
    this.#taken = new Set(replica?.snapshots.map(({ name }) => name))
  }

  /** What every step of this chain says of a snapshot. */
  sendOf(to: SnapshotPoint) {
    return {
      source: this.#source,
      destination: this.destination,
      to,
      snapshot: `${this.destination}@${this.#freeName(to)}`,
      raw: this.dataset.encrypted,
    }
  }

  first(step: SendStep): void {
    this.report(step)
  }

  /** @param from what the replica ends in by then */
  increments(from: IncrementalBase, points: readonly SnapshotPoint[]): void {
    let base = from
    for (const to of points) {
      const step: IncrementalStep = { kind: 'incremental', ...this.sendOf(to), from: base, why: '' }
      step.why = this.#why(base, to, to === points.at(-1))
      this.report(step)
      base = this.baseOf(to)
    }
  }

  baseOf({ name, guid, createtxg }: SnapshotPoint): IncrementalBase {
    return { kind: 'snapshot', name: `${this.#source}@${name}`, guid, createtxg }
  }

  #why(base: IncrementalBase, to: SnapshotPoint, last: boolean): string {
    const clone = this.selection.origins.get(to.guid)
    const reason = clone !== undefined ? `, and ${clone} is a clone of this` : last ? '' : ', and newer ones follow'
    const ends = base.kind === 'bookmark' ? `has ${base.name}, a bookmark here` : `has ${base.name}`
    return `the replica ${ends}${reason}`
  }

  #freeName({ name, guid }: SnapshotPoint): string {
    const free = this.#taken.has(name) ? `${name}-${guid.toString(16)}` : name
    this.#taken.add(free)
    return free
  }
}
