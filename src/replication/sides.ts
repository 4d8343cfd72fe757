/** The two sides of a replication. Each is this host or a peer; what replicates does not know which. */
import type { Readable, Writable } from 'node:stream'
import type { DataChannel } from '../transport/index.js'
import type { LeftOutProperty } from './admit-properties.js'
import type { SentProperties, Setting } from './choose-properties.js'
import type { LocalInventory } from './local.js'
import type { SnapshotPoint } from './planner/inventory.js'
import type { ResumePoint } from './planner/partial.js'
import type { IncrementalBase } from './planner/plan.js'
import type { Tree } from './planner/tree.js'

/** A snapshot to deliver, and whether a replication made it (then it must not outlive a failure for nothing). */
export interface Target extends SnapshotPoint {
  ours: boolean
}

/** One stream. */
export interface StreamOrder {
  /** A UUID that both sides' logs and holds name. */
  transfer: string
  /** The volume's name below the root of either host. */
  volume: string
  target: Target
  base: IncrementalBase | undefined
  resume: ResumePoint | undefined
  /** The part of its name after the `@` under which the destination receives it, if that is not the target's own. */
  receiveAs?: string
  /** The destination's snapshot that it is received as a clone of. The base is the same one on the source, in whichever dataset. */
  origin?: VolumeSnapshot
  /** Whether the dataset's own properties are wanted with it. */
  properties?: boolean
}

/** A snapshot by its volume's name below a host's root, and the part of its own name after the `@`. */
export interface VolumeSnapshot {
  volume: string
  snapshot: string
}

/** What the sending side has of a volume. */
export interface SourceInventory extends LocalInventory {
  /** Whether its streams are raw: those of an encrypted dataset. */
  raw: boolean
}

/** What the receiving side has of a volume. */
export interface DestinationInventory {
  /** Full name there. */
  dataset: string
  exists: boolean
  /** Newest first. */
  snapshots: readonly SnapshotPoint[]
  /** Whether these are all of them. */
  complete: boolean
  /** The resume token of what an interrupted receive has left. */
  token?: string | undefined
}

/** What the receiving side has of a tree. */
export interface DestinationTree extends Tree {
  /** The resume tokens of what interrupted receives have left. */
  tokens: ReadonlySet<string>
}

/** What the receiving side has, as far as it matters for what earlier replications have left on the sending side. */
export interface OnDestination {
  guids: ReadonlySet<bigint>
  /** Whether that is all. */
  complete: boolean
  /** The GUID of the snapshot that it has a part of. */
  partial: bigint | undefined
  /** The snapshot that it is to get, where one was named: the part of its name after the `@`. */
  wanted?: string | undefined
}

/** A stream that is ready to flow out of the sending side. */
export interface Outgoing<Body = { stream: Readable } | { channel: () => Promise<DataChannel> }> {
  /** Its BEGIN record. */
  begin: Buffer
  /** Estimated bytes of the whole stream. */
  total: bigint
  /** The dataset's own, where they were wanted and the sending side tells them. */
  properties?: readonly Setting[] | undefined
  body: Body
  /** Settles with the sending side's own word for how it ended. */
  outcome: Promise<unknown>
  /** Ends it, if it hasn't; resolves when the snapshot has been let go of. */
  close(): Promise<void>
}

/** What the receiving side needs to know of a stream besides its BEGIN record. */
export interface Arrival {
  transfer: string
  volume: string
  /** The part of the snapshot's name after the `@`. */
  snapshot: string
  /** The identity of the host that sends it. */
  from: string
  /** What it is to be a clone of. */
  origin?: VolumeSnapshot | undefined
  /** What it brings besides data. */
  properties?: SentProperties | undefined
}

/** What a receive came to: the snapshot's GUID as read back from the pool, and the stream's bytes. */
export interface Received {
  guid: bigint
  bytes: bigint
  /** Properties that came with it, and that the replica did not get. */
  leftOut: readonly LeftOutProperty[]
}

/** A stream that the receiving side is ready to take in. */
export interface Incoming<Body = { sink: Writable } | { channel: () => Promise<DataChannel> }> {
  body: Body
  outcome: Promise<Received>
}

/** The sending side, as far as one receiving side is concerned. */
export interface Source {
  /** The host's identity. */
  readonly identity: string
  /** The same for what one transfer does: both hosts' logs name it. */
  of(transfer: string): Source
  /**
   * What it has of a volume, once what earlier replications to this destination have left is settled.
   * @throws ZfsError `NOT_FOUND`
   */
  inspect(volume: string, onDestination: OnDestination, signal?: AbortSignal): Promise<SourceInventory>
  /** Takes a snapshot, marked as not yet confirmed by this destination. */
  takeSnapshot(volume: string, signal?: AbortSignal): Promise<Target>
  /** Holds what the stream needs, and begins it. */
  open(order: StreamOrder, signal: AbortSignal): Promise<Outgoing>
  /** The destination has it: moves the cursor there and removes the mark. May be said again. */
  confirm(volume: string, target: Target): Promise<void>
  /** The destination has nothing of it: lets go of it, and destroys it if {@link takeSnapshot} made it. */
  withdraw(volume: string, target: Target): Promise<void>
  /**
   * Lists a volume and, if `recursive`, all below it. Settles nothing.
   * @throws ZfsError `NOT_FOUND`
   */
  readTree(volume: string, recursive: boolean, signal?: AbortSignal): Promise<Tree>
  /**
   * Takes a snapshot of each of these at one moment, marked as {@link takeSnapshot} does.
   * @param names below the volume; empty for itself
   * @returns the snapshots, by those names
   */
  takeSnapshots(volume: string, names: readonly string[], signal?: AbortSignal): Promise<Map<string, Target>>
  /** @throws NotSupportedError `NOT_SUPPORTED`: {@link takeSnapshots} can't take so many at one moment */
  checkTakes(names: readonly string[]): void
  /** Estimates a stream's size in bytes. */
  estimate(order: Pick<StreamOrder, 'volume' | 'target' | 'base'>, signal?: AbortSignal): Promise<bigint>
}

/** The receiving side. */
export interface Destination {
  readonly identity: string
  /** As {@link Source.of}. */
  of(transfer: string): Destination
  /** @throws ReplicationError `RECEIVER_BUSY` */
  inspect(volume: string, signal?: AbortSignal): Promise<DestinationInventory>
  /**
   * Checks everything that can be checked before a byte flows, and begins to receive.
   * @param least the bytes still to come, by estimate; 0n for no check of the space that is there
   */
  open(arrival: Arrival, begin: Buffer, least: bigint, signal: AbortSignal): Promise<Incoming>
  /** Destroys what an interrupted receive has left, if it is still what this token stands for. */
  discardPartial(volume: string, token: string, signal?: AbortSignal): Promise<void>
  /** Gives the replica another name, which it returns in full, so that its own is free. */
  preserve(volume: string, signal?: AbortSignal): Promise<string>
  /**
   * Rolls the replica back to a snapshot, which destroys the newer ones.
   * @param losing the GUIDs of all of these: if there are others by now, nothing is done
   */
  rollback(volume: string, to: bigint, losing: readonly bigint[], signal?: AbortSignal): Promise<void>
  /** Lists a volume and, if `recursive`, all below it; no datasets where it does not exist. */
  readTree(volume: string, recursive: boolean, signal?: AbortSignal): Promise<DestinationTree>
  /** Gives a replica, and all below it, another name. */
  rename(volume: string, to: string, signal?: AbortSignal): Promise<void>
  /** Makes an empty filesystem that is never mounted, for replicas to be below. */
  createParent(volume: string, signal?: AbortSignal): Promise<void>
}
