/** The two sides of a handoff. Each is this host or a peer; what hands over does not know which. */
import type { Peer } from '../replication/index.js'
import { alone, type VolumesHost } from './context.js'
import { becomeOwner, describe, giveAway, keepServing, noteAsking, stopServing } from './custody.js'
import { type Description, freezeVolume, prepareVolume, releaseVolume, takeVolume, thawVolume } from './messages.js'
import { type Candidate, checkCanTake } from './prepare.js'

/** Who has the volume. */
export interface Giver {
  readonly identity: string
  /** Stops serving it: nothing is written to it from then on. */
  freeze(handoff: string, signal?: AbortSignal): Promise<void>
  /** The commit. May be said again. */
  release(handoff: string, guid: bigint): Promise<Description>
  /** Ends a handoff that was not committed; tells how it stands. May be said again. */
  thaw(handoff: string): Promise<Description | undefined>
}

/** Who gets it. */
export interface Taker {
  readonly identity: string
  /** Checks what can be checked before. */
  prepare(candidate: Candidate, signal?: AbortSignal): Promise<void>
  /** Becomes the owner. May be said again. */
  take(given: { epoch: bigint; guid: bigint }, description: Description): Promise<void>
}

/** This host as the one that has the volume. */
export class LocalGiver implements Giver {
  constructor(
    private readonly host: VolumesHost,
    private readonly dataset: string,
    private readonly taker: string,
    /** The taker has asked, and keeps a journal. */
    private readonly asked: boolean,
  ) {}

  get identity(): string {
    return this.host.identity
  }

  async freeze(handoff: string): Promise<void> {
    await this.#alone(() => stopServing(this.host, this.dataset, this.taker, handoff))
  }

  async release(handoff: string, guid: bigint): Promise<Description> {
    const record = await this.#alone(() => giveAway(this.host, this.dataset, handoff, guid, this.asked))
    return describe(record, this.identity)
  }

  async thaw(handoff: string): Promise<Description> {
    return describe(await this.#alone(() => keepServing(this.host, this.dataset, handoff)), this.identity)
  }

  async #alone<T>(run: () => Promise<T>): Promise<T> {
    return alone(this.host, this.dataset, run)
  }
}

/** A peer as the one that has the volume. */
export class RemoteGiver implements Giver {
  constructor(
    private readonly peer: Peer,
    private readonly volume: string,
    private readonly id: string,
  ) {}

  get identity(): string {
    return this.peer.identity
  }

  async freeze(handoff: string, signal?: AbortSignal): Promise<void> {
    const { volume, id } = this
    await this.peer.connection.request(freezeVolume, { volume, id, handoff }, signal && { signal })
  }

  async release(handoff: string, guid: bigint): Promise<Description> {
    return (await this.peer.connection.request(releaseVolume, { volume: this.volume, handoff, guid })).description
  }

  async thaw(handoff: string): Promise<Description | undefined> {
    return (await this.peer.connection.request(thawVolume, { volume: this.volume, handoff })).description
  }
}

/** This host as the one that gets it. */
export class LocalTaker implements Taker {
  constructor(
    private readonly host: VolumesHost,
    private readonly dataset: string,
  ) {}

  get identity(): string {
    return this.host.identity
  }

  async prepare(candidate: Candidate): Promise<void> {
    await checkCanTake(this.host, this.dataset, candidate)
  }

  async take(given: { epoch: bigint; guid: bigint }, description: Description): Promise<void> {
    await alone(this.host, this.dataset, () => becomeOwner(this.host, this.dataset, given, description))
  }

  /** Notes that it asks, so that it asks again after a crash. */
  async ask(from: string, handoff: string, guid: bigint): Promise<void> {
    await noteAsking(this.host, this.dataset, from, handoff, guid)
  }
}

/** A peer as the one that gets it. */
export class RemoteTaker implements Taker {
  constructor(
    private readonly peer: Peer,
    private readonly volume: string,
  ) {}

  get identity(): string {
    return this.peer.identity
  }

  async prepare(candidate: Candidate, signal?: AbortSignal): Promise<void> {
    const { id, type, path } = candidate
    const params = { volume: this.volume, id, type, ...(path === undefined ? {} : { path }) }
    await this.peer.connection.request(prepareVolume, params, signal && { signal })
  }

  async take(given: { epoch: bigint; guid: bigint }, description: Description): Promise<void> {
    await this.peer.connection.request(takeVolume, { volume: this.volume, ...given, description })
  }
}
