import { Writable } from 'node:stream'
import type { RateLimiter, Share } from '../transport/index.js'

/** Lets a sink be written to no faster than a limiter allows: whoever writes waits. */
export class LimitedSink extends Writable {
  readonly #share: Share
  #granted: () => void = () => undefined

  constructor(
    private readonly sink: Writable,
    limiter: RateLimiter,
  ) {
    super({ highWaterMark: sink.writableHighWaterMark })
    this.#share = limiter.join(() => this.#granted())
    sink.on('error', this.#failed)
    sink.on('close', this.#closed)
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#pass(chunk).then(() => callback(), callback)
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.sink.off('close', this.#closed)
    this.sink.end(callback)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#share.leave()
    this.#granted()
    this.sink.off('close', this.#closed)
    if (!this.sink.destroyed) this.sink.destroy(error ?? undefined)
    callback(error)
  }

  async #pass(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length && !this.destroyed; ) {
      const count = this.#share.take(chunk.length - at)
      if (count === 0) {
        await new Promise<void>((resolve) => {
          this.#granted = resolve
        })
        continue
      }
      await this.#write(chunk.subarray(at, at + count))
      at += count
    }
  }

  #write(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.sink.write(bytes, (error) => (error ? reject(error) : resolve()))
    })
  }

  readonly #failed = (error: Error): void => {
    if (!this.destroyed) this.destroy(error)
  }

  readonly #closed = (): void => {
    if (!this.destroyed) this.destroy(this.sink.errored ?? undefined)
  }
}
