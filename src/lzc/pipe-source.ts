import { Readable } from 'node:stream'
import { getSystemErrorName } from 'node:util'
import { AddonError } from '../errors.js'
import { type SessionAddon, sessionAddon, type Transfer } from './native.js'
import { type LentSource, lendSource, type PipedSource } from './pipes.js'

/** Reads a pipe, on a thread of its own; or lends it. */
export abstract class PipeReadable extends Readable implements PipedSource {
  #bytes = 0n
  #reading: Promise<void> | undefined
  #lent = false
  #atEnd = false

  protected constructor(
    protected readonly addon: SessionAddon,
    protected readonly transfer: Transfer,
  ) {
    super({ highWaterMark: 512 * 1024 })
  }

  /** Bytes of the stream that were read so far. */
  get bytes(): bigint {
    return this.#bytes
  }

  /** Resolves at the pipe's end if that is the stream's, too. */
  protected abstract ended(): Promise<void>
  /** The error for a pipe that can't be read. */
  protected abstract failure(errno: number): Error

  /** @internal */
  override _read(): void {
    if (this.#lent) return
    this.#reading = this.#next().then(
      (data) => {
        this.#reading = undefined
        this.#atEnd = data === null
        this.push(data)
      },
      (error: Error) => {
        this.destroy(error)
      },
    )
  }

  /** @internal */
  async [lendSource](): Promise<LentSource | undefined> {
    this.#lent = true
    await this.#reading
    if (this.#atEnd || this.destroyed) {
      this.#lent = false
      return undefined
    }
    const read: Buffer[] = []
    for (let chunk: Buffer | null = this.read(); chunk !== null; chunk = this.read()) read.push(chunk)
    return { pipe: this.transfer, read, ended: (bytes) => this.#concluded(bytes) }
  }

  async #concluded(bytes: bigint): Promise<void> {
    this.#bytes += bytes
    await this.ended()
    this.push(null)
    this.resume()
  }

  /** The next bytes; null at the end. */
  async #next(): Promise<Buffer | null> {
    const { errno, data } = await this.addon.read(this.transfer)
    if (this.destroyed) return null
    if (errno !== 0) throw this.failure(errno)
    if (data !== undefined) {
      this.#bytes += BigInt(data.length)
      return data
    }
    await this.ended()
    return null
  }

  /** @internal */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.addon.cancel(this.transfer).then(() => callback(error), callback)
  }
}

/**
 * What comes out of a pipe, as a stream whose bytes need not go through JavaScript where a native data plane sends it.
 *
 * @param descriptor an open pipe's; a copy of it is used, which is closed with the stream
 * @throws AddonError `ADDON_MISSING`; Error where the descriptor is none
 */
export function pipeSource(descriptor: number): Readable {
  return new PipeSource(descriptor)
}

class PipeSource extends PipeReadable {
  constructor(descriptor: number) {
    const { addon } = sessionAddon()
    super(addon, addon.pipeOf(descriptor))
  }

  protected ended(): Promise<void> {
    return Promise.resolve()
  }

  protected failure(errno: number): Error {
    return new AddonError('PIPE_FAILED', `The pipe can't be read: ${getSystemErrorName(-errno)}`, { errno })
  }
}
