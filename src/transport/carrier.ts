/** One connection of a stream: its frames, and how much its keys have carried. */
import type { Transfer as Pipe, RateShare } from '../lzc/native.js'
import type { FramePiece } from './frames.js'

export interface CarrierEvents {
  pieces(carrier: Carrier, pieces: Iterable<FramePiece>): void
  /** The peer says nothing more on it. */
  ended(carrier: Carrier): void
  /** The connection has failed or, without an error, closed. */
  lost(error?: unknown): void
  /** Of the stream so many bytes in all went from or to a pipe that was handed over. */
  moved(carrier: Carrier, total: bigint): void
  /** A pipe that was handed over takes nothing for now, or does again. */
  full(carrier: Carrier, full: boolean): void
}

/** What moves bytes over a connection. */
export type PlaneName = 'native' | 'javascript'

/** Established, authenticated, read no further than its welcome. */
export interface Carrier {
  readonly plane: PlaneName
  /** Bytes that went over the more used of its two keys, where those stay what they are. TLS adds about 0.2 % to them. */
  readonly carried: number
  /** Bytes that wait to be sent. */
  readonly waiting: number
  /** What can be done with pipes, where the bytes needn't go through JavaScript. */
  readonly pipes?: PipeCarrier
  /** Begins to read. */
  listen(events: CarrierEvents): void
  unlisten(): void
  /** Stops to read, and goes on. */
  pause(): void
  resume(): void
  /** Sends a whole frame. */
  write(frame: Buffer, written?: () => void): void
  /** Sends a part of the stream, without copying it. */
  writeData(part: Uint8Array, written: () => void): void
  /** Sends the last bytes and closes. */
  finish(last?: Buffer): void
  destroy(): void
  /** Calls the listener once all is closed; at once if it is. */
  onClosed(listener: () => void): void
}

export interface FeedEvents {
  /** The pipe is at its end, after so many bytes. */
  ended(total: bigint): void
}

export interface PipeCarrier {
  /** Sends what comes out of the pipe, with a share in a limit only what that allows. False if the pipe is closed. */
  feed(pipe: Pipe, share: RateShare | null, events: FeedEvents): boolean
  /** Puts the stream into the pipe from here on: to be called while it is paused. False if it can't be done now. */
  drain(pipe: Pipe): boolean
  /** Resolves when it has let go of the pipe. */
  release(): Promise<void>
}
