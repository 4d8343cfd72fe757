import type { FlockerError } from '../../src/errors.js'

/** A promise that may go unasked for: as a rejection it is only seen by who waits for it. */
export class Outcome<T> {
  #settled: { value: T } | { error: FlockerError } | undefined
  readonly #waiting: { resolve: (value: T) => void; reject: (error: unknown) => void }[] = []

  get settled(): boolean {
    return this.#settled !== undefined
  }

  get promise(): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#tell()
    })
  }

  resolve(value: T): void {
    this.#settled ??= { value }
    this.#tell()
  }

  reject(error: FlockerError): void {
    this.#settled ??= { error }
    this.#tell()
  }

  #tell(): void {
    const settled = this.#settled
    if (settled === undefined) return
    for (const waiter of this.#waiting.splice(0)) {
      if ('value' in settled) waiter.resolve(settled.value)
      else waiter.reject(settled.error)
    }
  }
}
