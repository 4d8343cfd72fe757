/** What a host has of a volume and of all below it, and whether two of them have the same and nothing else. */
import * as assert from 'uvu/assert'
import { getProperties } from '../../../src/datasets/index.js'
import { readEntry } from '../../../src/datasets/properties.js'
import { ZfsError } from '../../../src/errors.js'
import type { Host } from '../../../src/index.js'
import * as lzc from '../../../src/lzc/index.js'
import { pendingProperty } from '../../../src/replication/names.js'
import { newestOf } from '../../../src/replication/planner/inventory.js'
import { fullName } from '../../../src/replication/planner/tree.js'
import { digest } from '../cluster.js'
import { treeOf } from '../trees.js'

interface FoundSnapshot {
  name: string
  guid: bigint
  createtxg: bigint
  holds: string[]
  pending: string | undefined
  /** Of a volume's bytes. */
  hash: string | undefined
}

/** One dataset. */
export interface Found {
  /** Below the volume. */
  name: string
  type: string
  origin: bigint | undefined
  /** Oldest first. */
  snapshots: FoundSnapshot[]
  bookmarks: { name: string; guid: bigint }[]
  /** Of a volume's bytes now. */
  hash: string | undefined
  /** Whether there is a part of a stream, in whichever way ZFS shows it. */
  partial: boolean
  /** What `host.status()` complains of. */
  complaints: string[]
}

export async function look(host: Host, volume: string): Promise<Found[]> {
  const root = `${host.root}/${volume}`
  const found: Found[] = []
  for (const [name, { type, origin, snapshots, bookmarks, partial }] of await treeOf(root)) {
    const dataset = fullName(root, name)
    const hashOf = async (what: string) => (type === 'volume' ? await digest({ dataset: what }) : undefined)
    found.push({
      name,
      type,
      origin: origin?.guid,
      snapshots: await Promise.all(
        snapshots.map(async (point) => {
          const snapshot = `${dataset}@${point.name}`
          return {
            ...{ name: point.name, guid: point.guid, createtxg: point.createtxg },
            holds: Object.keys(await lzc.getHolds(snapshot)),
            pending: (await getProperties(snapshot))[pendingProperty]?.value.toString(),
            hash: await hashOf(snapshot),
          }
        }),
      ),
      bookmarks: bookmarks.map(({ name: bookmark, guid }) => ({ name: bookmark, guid })),
      hash: await hashOf(dataset),
      partial: partial !== undefined || (await hasHidden(dataset)),
      complaints: await complaintsOf(host, fullName(volume, name)),
    })
  }
  return found
}

async function complaintsOf(host: Host, volume: string): Promise<string[]> {
  const { stale, peers, partial } = await host.status(volume)
  return [
    ...stale.map(({ kind, name, why }) => `${kind} ${name}: ${why}`),
    ...peers.flatMap(({ peer, pending, holds }) => [
      ...pending.map(({ name }) => `@${name} waits for ${peer}`),
      ...holds.map(({ snapshot, tag }) => `@${snapshot} is held as ${tag}`),
    ]),
    ...(partial === undefined ? [] : ['a part of a stream']),
  ]
}

/** Whether there is what a receive keeps beside a dataset, token or not. */
async function hasHidden(dataset: string): Promise<boolean> {
  try {
    await readEntry(`${dataset}/%recv`, [])
    return true
  } catch (error) {
    if (error instanceof ZfsError && error.code === 'NOT_FOUND') return false
    throw error
  }
}

/** Destroys a volume and all below it, with whatever replications have left. */
export async function remove(root: string): Promise<void> {
  const tree = [...(await treeOf(root))].reverse()
  const [clones, others] = [tree.filter(([, { origin }]) => origin), tree.filter(([, { origin }]) => !origin)]
  // They go before what they come from.
  for (const [name, { snapshots, bookmarks }] of [...clones, ...others]) {
    const dataset = fullName(root, name)
    for (const { name: snapshot } of snapshots) {
      const tags = Object.keys(await lzc.getHolds(`${dataset}@${snapshot}`))
      if (tags.length > 0) await lzc.release({ [`${dataset}@${snapshot}`]: tags })
    }
    if (await hasHidden(dataset)) await lzc.destroy(`${dataset}/%recv`)
    await lzc.destroySnapshots(snapshots.map((point) => `${dataset}@${point.name}`))
    await lzc.destroyBookmarks(bookmarks.map((point) => `${dataset}#${point.name}`))
    await lzc.destroy(dataset)
  }
}

export interface Ends {
  source: { identity: string; found: readonly Found[] }
  replica: { identity: string; found: readonly Found[] }
}

/** Both have the same, by GUID and content, and of replications the source has one cursor and the replica one hold. */
export function checkConverged({ source, replica }: Ends): void {
  const theirs = new Map(replica.found.map((dataset) => [dataset.name, dataset]))
  assert.equal([...theirs.keys()].sort(), source.found.map(({ name }) => name).sort(), 'datasets')
  for (const ours of source.found) {
    const twin = theirs.get(ours.name) as Found
    const where = `${ours.name || '(root)'}: `
    assert.equal([twin.type, twin.origin], [ours.type, ours.origin], where)
    checkSource(where, ours, replica.identity)
    checkReplica(where, ours, twin, source.identity)
  }
}

function checkSource(where: string, { snapshots, bookmarks, partial, complaints }: Found, peer: string): void {
  const left = snapshots.flatMap(({ name, holds, pending }) => [
    ...holds.map((tag) => `${tag} on @${name}`),
    ...(pending === undefined ? [] : [`@${name} waits for ${pending}`]),
  ])
  assert.equal([left, partial, complaints], [[], false, []], `${where}nothing is left on the source`)
  const newest = newestOf(snapshots)
  const cursors = newest === undefined ? [] : [newest.guid]
  assert.equal(
    bookmarks.map(({ guid }) => guid),
    cursors,
    `${where}one cursor of ${peer}: ${bookmarks.map(({ name }) => name)}`,
  )
}

function checkReplica(where: string, source: Found, replica: Found, peer: string): void {
  const { snapshots, bookmarks, partial, complaints } = replica
  const ours = new Map(source.snapshots.map((point) => [point.guid, point]))
  for (const { guid, name, hash } of snapshots) {
    assert.ok(ours.has(guid), `${where}@${name} is on the replica alone`)
    assert.is(hash, ours.get(guid)?.hash, `${where}content of @${name}`)
  }
  const theirs = new Set(snapshots.map(({ guid }) => guid))
  const strays = source.snapshots.filter(({ guid, name }) => name.startsWith('flocker-') && !theirs.has(guid))
  assert.equal(
    strays.map(({ name }) => name),
    [],
    `${where}every snapshot that a replication made has arrived`,
  )
  const newest = newestOf(snapshots)
  assert.is(newest?.guid, newestOf(source.snapshots)?.guid, `${where}the newest snapshot`)
  assert.is(replica.hash, source.hash, `${where}content`)
  const held = snapshots.flatMap(({ name, holds }) => holds.map((tag) => `${tag} on @${name}`))
  const expected = newest === undefined ? [] : [`flocker:from:${peer} on @${newest.name}`]
  assert.equal([held, bookmarks, partial, complaints], [expected, [], false, []], `${where}nothing is left there`)
}

/** Nothing of a stream is left by a replication that ended where the destination was full: neither a part nor its snapshot. */
export function checkDiscarded({ source, replica }: Ends): void {
  const left = [
    ...replica.found.flatMap(({ name, partial }) => (partial ? [`a part of ${name} there`] : [])),
    ...source.found.flatMap(({ name, snapshots }) =>
      snapshots.flatMap((point) => [
        ...point.holds.map((tag) => `${name}@${point.name} held as ${tag}`),
        ...(point.pending === undefined ? [] : [`${name}@${point.name} waits for ${point.pending}`]),
      ]),
    ),
  ]
  assert.equal(left, [], 'nothing is left of what there was no room for')
}
