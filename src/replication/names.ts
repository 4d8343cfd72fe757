import { randomBytes } from 'node:crypto'
import { ArgumentError } from '../errors.js'

/**
 * The names and marks that a push leaves in ZFS. All state of a replication lives in the datasets themselves, so that a pool
 * is its own record.
 */

/** On a snapshot: the peer it was made for and has not been confirmed by. Gone once the peer has confirmed its GUID. */
export const pendingProperty = 'flocker-zfs:pending'

const prefix = 'flocker'

/** A new snapshot's name: sorts by time, readable, and unique also when two are made in one millisecond. */
export function snapshotName(now: Date): string {
  return `${prefix}-${timeStamp(now)}-${randomBytes(2).toString('hex')}`
}

/** A moment as names have it: sorts by time. */
export function timeStamp(now: Date): string {
  return now.toISOString().replaceAll(/[-:]/g, '')
}

/** Whether a snapshot's name is one that {@link snapshotName} makes. */
export function isSnapshotName(name: string): boolean {
  return /^flocker-\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{4}$/.test(name)
}

/** The bookmark that remembers the last point a peer has confirmed: `flocker:PEER:GUID`. */
export function cursorName(peer: string, guid: bigint): string {
  return `${prefix}:${peer}:${guid.toString(16).padStart(16, '0')}`
}

/** Whether a bookmark's name is a cursor of that peer, for any GUID. */
export function isCursorOf(peer: string, name: string): boolean {
  return name.startsWith(`${prefix}:${peer}:`) && /^[0-9a-f]{16}$/.test(name.slice(prefix.length + peer.length + 2))
}

/** The peer that a bookmark is a cursor of; `undefined` where it is none. */
export function peerOfCursor(name: string): string | undefined {
  return /^flocker:([a-z0-9._-]+):[0-9a-f]{16}$/.exec(name)?.[1]
}

/** The tag of the temporary holds that keep a stream's snapshots while it runs. */
export function holdTag(transfer: string): string {
  return `${prefix}:${transfer}`
}

/** The tag of the hold on a snapshot that is on its way to a peer, until that has confirmed it. */
export function sendingTag(peer: string): string {
  return `${prefix}:to:${peer}`
}

/** The tag of the hold on the last snapshot received from a peer: the base of the next one. */
export function receivedTag(peer: string): string {
  return `${prefix}:from:${peer}`
}

export const isReceivedTag = (tag: string): boolean => tag.startsWith(receivedTag(''))

/** A hold of ours, by its tag. `transfer`: a process is at work with the snapshot. */
export type OurTag = { kind: 'to' | 'from'; peer: string } | { kind: 'transfer'; peer: undefined }

/** Reads a tag; `undefined` where the hold is not ours. */
export function readTag(tag: string): OurTag | undefined {
  const match = /^flocker:(to|from):([a-z0-9._-]+)$/.exec(tag)
  if (match !== null) return { kind: match[1] as 'to' | 'from', peer: match[2] as string }
  return /^flocker:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(tag)
    ? { kind: 'transfer', peer: undefined }
    : undefined
}

/** One component of a dataset's name (zfsprops(7)): no delimiter, and no `%`, which ZFS keeps for itself. */
const component = /^[A-Za-z0-9][A-Za-z0-9_.:-]*$/

/**
 * Checks a volume's name: components of a dataset name below the host's root, separated by `/`.
 * @throws ArgumentError `INVALID_ARGUMENT`
 */
export function checkVolumeName(name: string): void {
  if (name.length <= 200 && name.split('/').every((part) => component.test(part))) return
  throw new ArgumentError(
    `${JSON.stringify(name)} can't name a volume: letters, digits and _ . : - in each part, beginning with a letter or digit, parts separated by "/"`,
  )
}

/**
 * Checks the part of a snapshot's name after the `@`.
 * @throws ArgumentError `INVALID_ARGUMENT`
 */
export function checkSnapshotName(name: string): void {
  if (name.length <= 200 && /^[A-Za-z0-9_.:-]+$/.test(name)) return
  throw new ArgumentError(`${JSON.stringify(name)} can't name a snapshot: only letters, digits and _ . : - are allowed`)
}
