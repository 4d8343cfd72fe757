/**
 * The errors of this package. Every error thrown on purpose is a {@link FlockerError}: branch on `code`, which is stable
 * across releases, rather than on the message, which is for people.
 */

/** What an error knows besides its sentence. */
export interface ErrorDetails {
  /** errno as the kernel gave it (positive), or a ZFS_ERR_* number (1024 and up, sys/fs/zfs.h). */
  errno?: number | undefined
  /** The dataset, snapshot or bookmark that the error is about, by its name on the host where it happened. */
  dataset?: string | undefined
  /** The identity of the host on which it happened, when that is not this one. */
  peer?: string | undefined
  /** What the reader can do next, as a sentence. */
  next?: string | undefined
  cause?: unknown
}

const brand = Symbol.for('flocker-zfs.error')

/** The root of the tree. `instanceof` works across copies of this package and across threads' copies of it. */
export class FlockerError extends Error {
  /** Stable and machine-readable, such as `DIVERGED`. */
  readonly code: string
  declare readonly errno?: number
  declare readonly dataset?: string
  declare readonly peer?: string
  declare readonly next?: string

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    const { cause, next } = details
    super(next === undefined ? message : `${message}\n  ${next}`, cause === undefined ? undefined : { cause })
    this.code = code
    for (const key of ['errno', 'dataset', 'peer', 'next'] as const) {
      if (details[key] !== undefined) Object.defineProperty(this, key, { value: details[key], enumerable: true })
    }
    Object.defineProperty(this, brand, { value: new.target.name })
  }

  override get name(): string {
    return this.constructor.name
  }

  /** @internal */
  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: a subclass must answer for itself
    if (this !== FlockerError) return Function.prototype[Symbol.hasInstance].call(this, value)
    return typeof value === 'object' && value !== null && brand in value
  }
}

/** Bad input, found before anything was touched. Code `INVALID_ARGUMENT`. */
export class ArgumentError extends FlockerError {
  constructor(message: string, details?: ErrorDetails) {
    super('INVALID_ARGUMENT', message, details)
  }
}

/**
 * ZFS can't be used on this machine: `ZFS_LIBRARY_MISSING` (libzfs_core or libnvpair is not installed), `ZFS_UNAVAILABLE`
 * (/dev/zfs is absent), `ZFS_PERMISSION` (it can't be opened), `ADDON_MISSING` (the native addon was not built),
 * `EMBEDDED_MISSING` (the embedded engine was not built, or lacks a library).
 */
export class AddonError extends FlockerError {}

/** The loaded OpenZFS, or the peer's, lacks what was asked. Code `NOT_SUPPORTED`. */
export class NotSupportedError extends FlockerError {
  constructor(message: string, details?: ErrorDetails) {
    super('NOT_SUPPORTED', message, details)
  }
}

/** ZFS refused an operation. `code` names the reason (`NOT_FOUND`, `EXISTS`, `BUSY`, `NO_SPACE`, ...); see src/lzc/errors.ts. */
export class ZfsError extends FlockerError {}

/**
 * A send stream or a resume token is not what it should be: `STREAM_INVALID`, `STREAM_TRUNCATED`, `STREAM_CORRUPT`,
 * `STREAM_UNEXPECTED`, `TOKEN_INVALID`.
 */
export class StreamError extends FlockerError {
  /** Where in the stream it was found, in bytes from the stream's start, by who has read it from there. */
  declare readonly offset?: bigint

  constructor(code: string, message: string, details: ErrorDetails & { offset?: bigint | undefined } = {}) {
    super(code, message, details)
    if (details.offset !== undefined) Object.defineProperty(this, 'offset', { value: details.offset, enumerable: true })
  }
}

/**
 * The way between two hosts failed: `PEER_UNREACHABLE` (no connection could be made), `PEER_LOST` (an established one went
 * silent or was closed), `GARBLED` (bytes were changed on the way, and TLS noticed), `TLS_FAILED` (a certificate was refused, by
 * either end), `PROTOCOL` (the peer said something that is not in the protocol), `VERSION` (no protocol version in common),
 * `PEER_BUSY` (the peer has as many requests or data connections of ours in work as it allows).
 */
export class TransportError extends FlockerError {}

/** The peer is known but has no right to do this. Code `NOT_AUTHORIZED`. */
export class NotAuthorizedError extends FlockerError {
  constructor(message: string, details?: ErrorDetails) {
    super('NOT_AUTHORIZED', message, details)
  }
}

/** Replication can't go on as asked: `RECEIVER_BUSY`, `SENDER_BUSY`, `SUPERSEDED`, `GUID_MISMATCH`, `PARTIAL_STALE`, `PARTIAL_CHANGED`,
 * `REPLICA_CHANGED`, `HOOK_FAILED` (what was to run around the snapshot failed, or took too long). */
export class ReplicationError extends FlockerError {}

/**
 * Who owns a volume does not allow it. `NOT_OWNER` (this host has a replica), `OWNED_HERE` (it is no replica), `STALE_EPOCH` (somebody owns
 * it since a later epoch), `OWNER_UNCONFIRMED` (a peer that may have been promoted can't be asked), `FENCE_REFUSED` (it was not proved
 * that the owner is out of the way), `PATH_DIFFERS` (its path would be another on that host), `VOLUME_BUSY` (this process is doing something
 * else with it), `IN_USE` (an application of ours runs on it);
 * of a handoff: `HANDOFF_UNDER_WAY`, `HANDOFF_ENDED` (it was given up meanwhile), `HANDOFF_INCOMPLETE` (the last snapshot is not there),
 * `HANDOFF_UNTOLD` (it is committed, and the new owner could not be told yet);
 * of a lease: `LEASED` (somebody has one), `LEASE_LOST` (it was released or has expired).
 */
export class OwnershipError extends FlockerError {}

/**
 * The container engine, or a container, is not as it must be. `ENGINE_UNAVAILABLE` (nothing answers at its socket), `ENGINE_PERMISSION`,
 * `ENGINE_FAILED` (it refused for a reason of its own, which is in the message), `IMAGE_MISSING`, `CONTAINER_UNKNOWN` (there is none of
 * that name, or it is none of ours), `NAME_TAKEN` (a container that is not ours has the name), `CONTAINER_DIFFERS` (it runs with another
 * description), `CONTAINER_RUNNING`, `PORT_IN_USE`, `NOT_READY` (it ended, or was not ready in time), `ADDRESS_UNKNOWN`, `DESTINATION_UNREADY`
 * (a host can't take an application over), `CLOCK_DIFFERS`, `APPLICATION_BUSY` (this process is doing something else with it),
 * `MOVE_UNFINISHED` (the volume has moved, and the application does not run yet), `NOT_DONE` (of a deployment: what it comes after was not
 * done).
 */
export class ContainerError extends FlockerError {}

/**
 * A router can't do what was asked. `ROUTE_UNKNOWN` (no such route), `PORT_IN_USE` (another program listens there), `PORT_DENIED` (this
 * user may not listen there), `ROUTER_FAILED` (the proxy refused, did not answer, or did not start), `ROUTER_CLOSED`, `ROUTE_CONFLICT` (the address is another
 * application's), `ROUTE_STALE` (a later owner of the application has said where it leads).
 */
export class RoutingError extends FlockerError {}

/** Both sides have data and nothing in common to send from. Code `DIVERGED`. Nothing was touched. */
export class DivergedError extends FlockerError {
  /** The newest snapshot that both sides have, where there is one and it is known here. */
  readonly common: NamedPoint | undefined
  /** The destination's snapshots that a rollback to `common` would destroy, newest first. */
  readonly losing: readonly NamedPoint[]

  constructor(
    message: string,
    details?: ErrorDetails,
    histories: { common?: NamedPoint | undefined; losing?: readonly NamedPoint[] } = {},
  ) {
    super('DIVERGED', message, details)
    this.common = histories.common
    this.losing = histories.losing ?? []
  }
}

/** A snapshot by the part of its name after the `@`, and its GUID. */
export interface NamedPoint {
  readonly name: string
  readonly guid: bigint
}

/** A deadline passed. Code `TIMEOUT`. */
export class TimeoutError extends FlockerError {
  constructor(message: string, details?: ErrorDetails) {
    super('TIMEOUT', message, details)
  }
}

/** The caller's AbortSignal ended the operation. Code `ABORTED`; `name` is `AbortError`, as everywhere in Node.js. */
export class AbortError extends FlockerError {
  constructor(message: string, details?: ErrorDetails) {
    super('ABORTED', message, details)
  }
}

/** The error for a signal that has fired: a `TIMEOUT` if its reason is one, else `ABORTED`, the reason being the cause. */
export function abortReason(signal: AbortSignal, what: string): FlockerError {
  const reason: unknown = signal.reason
  if (reason instanceof FlockerError) return reason
  const timedOut = reason instanceof DOMException && reason.name === 'TimeoutError'
  const ErrorClass = timedOut ? TimeoutError : AbortError
  return new ErrorClass(`${what} ${timedOut ? 'passed its deadline' : 'was aborted'}`, { cause: reason })
}

/** Throws {@link abortReason} if the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted) throw abortReason(signal, what)
}
