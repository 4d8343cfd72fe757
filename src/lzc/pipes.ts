/**
 * What a stream over a pipe offers to whoever can use the pipe itself, so that its bytes need not go through JavaScript. Everything else about
 * the stream stays as it is: its events, its errors, its end.
 */
import type { Readable, Writable } from 'node:stream'
import type { Transfer } from './native.js'

export const lendSource: unique symbol = Symbol('lendSource')
export const lendSink: unique symbol = Symbol('lendSink')

export interface LentSource {
  pipe: Transfer
  /** What was read from it before, in order. */
  read: Buffer[]
  /** To be called at the pipe's end, after so many bytes from it. The stream ends then, or has an error, which this rejects with. */
  ended(bytes: bigint): Promise<void>
}

export interface LentSink {
  pipe: Transfer
  /** So many more bytes went into it. */
  moved(bytes: bigint): void
}

export interface PipedSource extends Readable {
  /** The pipe, for as long as the stream lives; undefined if it is at its end already. Nobody may read from the stream any more. */
  [lendSource](): Promise<LentSource | undefined>
}

export interface PipedSink extends Writable {
  /** The pipe, until the stream is ended; undefined if there is none yet, or something waits to be written to it. */
  [lendSink](): LentSink | undefined
}

export const isPipedSource = (stream: Readable): stream is PipedSource => lendSource in stream
export const isPipedSink = (stream: Writable): stream is PipedSink => lendSink in stream
