/** What must be there: every snapshot that a host had, with its content, but for those that a history itself has destroyed. */
import * as assert from 'uvu/assert'
import type { FlockerError } from '../../../src/index.js'
import { countSnapshots, type DatasetState, hashOf, isPending, newestOf, type State } from './state.js'

/** The content of every snapshot of a volume that there ever was, by GUID: whichever host has it, it is one. */
export class Contents {
  readonly #hashes = new Map<bigint, string>()
  readonly #seen = new Set<string>()

  hash(guid: bigint): string | undefined {
    return this.#hashes.get(guid)
  }

  /** Looks into every snapshot that is new since it looked last, or into all. */
  async check(container: string, state: State, { all = false } = {}): Promise<void> {
    for (const { name, type, guid: dataset, snapshots } of state.values()) {
      if (type !== 'volume') continue
      for (const { name: short, guid } of snapshots) {
        const key = `${container} ${dataset} ${guid}`
        if (this.#seen.has(key) && !all) continue
        this.#seen.add(key)
        const hash = await hashOf(`${container}/${name}@${short}`)
        const known = this.#hashes.get(guid) ?? hash
        assert.is(hash, known, `the content of ${container}/${name}@${short} is that of its source`)
        this.#hashes.set(guid, known)
      }
    }
  }
}

/** Checks that nothing went but what a change says that it has destroyed. */
export function checkKept(before: State, after: State, destroyed: readonly bigint[], whose: string): void {
  const left = countSnapshots(after)
  const gone = [...countSnapshots(before)].flatMap(([guid, count]) =>
    Array<bigint>(Math.max(0, count - (left.get(guid) ?? 0))).fill(guid),
  )
  const allowed = [...destroyed]
  const lost = gone.filter((guid) => {
    const at = allowed.indexOf(guid)
    if (at >= 0) allowed.splice(at, 1)
    return at < 0
  })
  const names = [...before.values()].flatMap(({ name, snapshots }) =>
    snapshots.filter(({ guid }) => lost.includes(guid)).map((point) => `${name}@${point.name} guid ${point.guid}`),
  )
  assert.equal(names, [], `${whose} has lost snapshots`)
}

/** What a replication may do to the sending side: make a snapshot, remove one of its own that never arrived, move its cursors. */
export function checkSource(before: State, after: State, destination: State, peer: string): void {
  const there = countSnapshots(destination)
  const strays = [...before.values()].flatMap(({ snapshots }) =>
    snapshots.filter((point) => isPending(point, peer) && !there.has(point.guid)).map(({ guid }) => guid),
  )
  checkKept(before, after, strays, 'the source')
  assert.equal(summary(after, peer), summary(before, peer), 'the source is otherwise what it was')
}

/** What replications leave alone on the sending side. */
function summary(state: State, peer: string): unknown[] {
  return [...state.values()]
    .map(({ name, type, guid, origin, bookmarks, head }) => ({
      ...{ name, type, guid, origin, head },
      bookmarks: bookmarks.filter((point) => !point.name.startsWith(`flocker:${peer}:`)),
    }))
    .sort(byGuid)
}

/** What a replication may do to the receiving side: add the source's snapshots, and give datasets other names where that was asked. */
export function checkDestination(before: State, after: State, source: State, mayRename: boolean): void {
  checkKept(before, after, [], 'the destination')
  const had = countSnapshots(before)
  const known = countSnapshots(source)
  for (const { name, snapshots } of after.values()) {
    for (const point of snapshots) {
      assert.ok(had.has(point.guid) || known.has(point.guid), `${name}@${point.name} is the source's`)
    }
  }
  const now = new Map([...after.values()].map((dataset) => [dataset.guid, dataset]))
  for (const dataset of before.values()) checkReplica(dataset, now.get(dataset.guid), mayRename)
}

function checkReplica(before: DatasetState, after: DatasetState | undefined, mayRename: boolean): void {
  const { name, snapshots, partial } = before
  if (after === undefined) {
    assert.ok(snapshots.length === 0 && partial !== undefined, `${name} has lost no more than a part of a stream`)
    return
  }
  if (!mayRename) assert.is(after.name, name, 'the name of a replica')
  assert.equal(after.bookmarks, before.bookmarks, `the bookmarks of ${name}`)
  const added = newestOf(after)?.guid !== newestOf(before)?.guid
  if (!added && before.head !== undefined) assert.is(after.head, before.head, `what is written to ${name}`)
}

/** The volumes that were written to since their newest snapshot: what is in them nobody may throw away. */
export function modifiedOf(state: State, contents: Contents): Set<string> {
  const modified = [...state.values()].filter((dataset) => {
    const newest = newestOf(dataset)
    return dataset.head !== undefined && newest !== undefined && contents.hash(newest.guid) !== dataset.head
  })
  return new Set(modified.map(({ name }) => name))
}

function byGuid(a: { guid: bigint }, b: { guid: bigint }): number {
  return a.guid < b.guid ? -1 : a.guid > b.guid ? 1 : 0
}

/** Shows an error as a test tells it. */
export function told(error: FlockerError): string {
  return `${error.code}: ${error.message.split('\n', 1)[0]}`
}
