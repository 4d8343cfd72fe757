import { Writable } from 'node:stream'
import { getSystemErrorName } from 'node:util'
import { AddonError } from '../errors.js'
import { type SessionAddon, sessionAddon, type Transfer } from './native.js'
import { type LentSink, lendSink, type PipedSink } from './pipes.js'

/**
 * What goes into a pipe, as a stream whose bytes need not go through JavaScript where a native data plane receives it.
 *
 * @param descriptor an open pipe's; a copy of it is used, which is closed at the stream's end
 * @throws AddonError `ADDON_MISSING`; Error where the descriptor is none
 */
export function pipeSink(descriptor: number): Writable {
  return new PipeSink(descriptor)
}

class PipeSink extends Writable implements PipedSink {
  readonly #addon: SessionAddon
  readonly #pipe: Transfer

  constructor(descriptor: number) {
    super({ highWaterMark: 1024 * 1024, decodeStrings: true })
    this.#addon = sessionAddon().addon
    this.#pipe = this.#addon.pipeOf(descriptor)
  }

  /** @internal */
  [lendSink](): LentSink | undefined {
    if (this.writableLength > 0 || this.destroyed) return undefined
    return { pipe: this.#pipe, moved: () => undefined }
  }

  /** @internal */
  override _writev(chunks: { chunk: Buffer }[], callback: (error?: Error | null) => void): void {
    const buffers = chunks.map(({ chunk }) => chunk)
    this.#addon.write(this.#pipe, buffers).then(({ errno }) => {
      callback(errno === 0 ? null : failure(errno))
    }, callback)
  }

  /** @internal */
  override _final(callback: (error?: Error | null) => void): void {
    this.#addon.finish(this.#pipe)
    callback()
  }

  /** @internal */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#addon.cancel(this.#pipe).then(() => callback(error), callback)
  }
}

function failure(errno: number): Error {
  return new AddonError('PIPE_FAILED', `The pipe can't be written to: ${getSystemErrorName(-errno)}`, { errno })
}
