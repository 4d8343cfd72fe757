import { ReplicationError } from '../errors.js'

/**
 * How long a request waits for what another one is at work with, and which is being cancelled, in milliseconds: a peer that is gone without
 * a word is noticed within eight seconds.
 */
export const busyMilliseconds = 12_000

/** The key of whoever receives into a dataset of this host. */
export const receiveClaim = (dataset: string): string => `receive ${dataset}`

/**
 * Claims a dataset of this host for a receive, or for what must not meet one. Call the result to give it back.
 * @throws ReplicationError `RECEIVER_BUSY`
 */
export async function claimReceive(claims: Claims, dataset: string): Promise<() => void> {
  const release = await claims.takeWithin(receiveClaim(dataset), busyMilliseconds)
  if (release !== undefined) return release
  throw new ReplicationError('RECEIVER_BUSY', `${dataset} is receiving another stream`, { dataset })
}

/** Who is at work on what, within one host's process: at most one transfer at a time may change a dataset. */
export class Claims {
  readonly #held = new Map<string, Promise<void>>()

  /** Takes the key, or returns `undefined` where somebody has it. Call the result to give it back. */
  take(key: string): (() => void) | undefined {
    if (this.#held.has(key)) return undefined
    let settle = (): void => undefined
    this.#held.set(
      key,
      new Promise((resolve) => {
        settle = resolve
      }),
    )
    return () => {
      this.#held.delete(key)
      settle()
    }
  }

  /** As {@link take}, but waits up to so long for the key: one that is being cancelled is free in a moment. */
  async takeWithin(key: string, milliseconds: number): Promise<(() => void) | undefined> {
    const deadline = Date.now() + milliseconds
    for (;;) {
      const release = this.take(key)
      const left = deadline - Date.now()
      if (release !== undefined || left <= 0) return release
      await settledWithin(this.#held.get(key), left)
    }
  }

  /** Whether somebody has the key. */
  has(key: string): boolean {
    return this.#held.has(key)
  }

  /** Waits up to so long for all that is held now under keys that begin so. */
  async settledWithin(prefix: string, milliseconds: number): Promise<void> {
    const held = [...this.#held].filter(([key]) => key.startsWith(prefix)).map(([, promise]) => promise)
    if (held.length > 0) await settledWithin(Promise.all(held), milliseconds)
  }

  /** Resolves when all that is held now has been given back. */
  async settled(): Promise<void> {
    await Promise.all(this.#held.values())
  }
}

async function settledWithin(promise: Promise<unknown> | undefined, milliseconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const elapsed = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds)
  })
  await Promise.race([promise, elapsed])
  clearTimeout(timer)
}
