import { listBookmarks, listSnapshots, readReceiveBeginning, readResumeToken } from '../datasets/index.js'
import { FlockerError, ZfsError } from '../errors.js'
import { exists, getHolds } from '../lzc/index.js'
import { decodeResumeToken, type ResumeToken } from '../stream/index.js'
import { peerOfCursor, pendingProperty, readTag } from './names.js'
import type { BookmarkPoint } from './planner/inventory.js'
import type { RetentionSnapshot } from './retention.js'

/** A hold of a replication's on a snapshot. */
export interface OurHold {
  /** The part of the snapshot's name after the `@`. */
  snapshot: string
  guid: bigint
  tag: string
  /** `to`: on its way to the peer. `from`: the last that came from it. `transfer`: a process is at work with it. */
  kind: 'to' | 'from' | 'transfer'
  peer: string | undefined
  created: Date
}

/** The bookmark that remembers what a peer has confirmed. */
export interface Cursor extends BookmarkPoint {
  peer: string
  /** When its snapshot was made, in Unix seconds. */
  creation: bigint
}

/** What an interrupted receive has left, or one that is under way. */
export interface PartialTrace {
  token: string
  /** `undefined` where the token can't be read, for `unreadable`. */
  decoded: ResumeToken | undefined
  unreadable: string | undefined
  /** When the receive began, where that can be told. */
  since: Date | undefined
}

/** Everything that replications have left in a dataset, and its snapshots. */
export interface Traces {
  dataset: string
  /** Oldest first. */
  snapshots: Required<RetentionSnapshot>[]
  cursors: Cursor[]
  holds: OurHold[]
  partial: PartialTrace | undefined
}

/**
 * Reads what replications have left in a dataset of this host. Changes nothing.
 * @throws ZfsError `NOT_FOUND`
 */
export async function readTraces(dataset: string): Promise<Traces> {
  if (!(await exists(dataset))) throw new ZfsError('NOT_FOUND', `${dataset} does not exist`, { dataset })
  const snapshots: Traces['snapshots'] = []
  const wanted = { properties: [pendingProperty, 'userrefs', 'clones'] }
  for await (const { name, guid, createtxg, creation, properties } of listSnapshots(dataset, wanted)) {
    snapshots.push({
      name: name.slice(dataset.length + 1),
      guid,
      createtxg,
      creation,
      userrefs: BigInt(properties.userrefs?.value ?? 0n),
      pendingFor: properties[pendingProperty]?.value.toString(),
      cloned: properties.clones !== undefined,
    })
  }
  return {
    dataset,
    snapshots,
    cursors: await readCursors(dataset),
    holds: await readOurHolds(dataset, snapshots),
    partial: await readPartialTrace(dataset),
  }
}

async function readCursors(dataset: string): Promise<Cursor[]> {
  const cursors: Cursor[] = []
  for await (const { name, guid, createtxg, creation } of listBookmarks(dataset)) {
    const short = name.slice(dataset.length + 1)
    const peer = peerOfCursor(short)
    if (peer !== undefined) cursors.push({ name: short, peer, guid, createtxg, creation })
  }
  return cursors
}

async function readOurHolds(dataset: string, snapshots: Traces['snapshots']): Promise<OurHold[]> {
  const holds: OurHold[] = []
  for (const { name, guid, userrefs = 0n } of snapshots) {
    if (userrefs === 0n) continue
    for (const [tag, seconds] of Object.entries(await getHolds(`${dataset}@${name}`))) {
      const ours = readTag(tag)
      if (ours === undefined) continue
      holds.push({ snapshot: name, guid, tag, ...ours, created: timeOf(seconds) })
    }
  }
  return holds
}

async function readPartialTrace(dataset: string): Promise<PartialTrace | undefined> {
  const token = await readResumeToken(dataset)
  if (token === undefined) return undefined
  const seconds = await readReceiveBeginning(dataset)
  const since = seconds === undefined ? undefined : timeOf(seconds)
  try {
    return { token, decoded: decodeResumeToken(token), unreadable: undefined, since }
  } catch (error) {
    if (!(error instanceof FlockerError)) throw error
    return { token, decoded: undefined, unreadable: error.message, since }
  }
}

/** A date of Unix seconds. */
export function timeOf(seconds: bigint): Date {
  return new Date(Number(seconds) * 1000)
}
