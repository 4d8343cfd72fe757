import { abortReason, ReplicationError, throwIfAborted } from '../errors.js'

/** What the hooks around a snapshot are told. */
export interface SnapshotMoment {
  /** The volume's name below the root of either host. */
  volume: string
  /** The other host's identity. */
  peer: string
  /** Fires when nobody waits for the hook any more: its deadline has passed, or (for `beforeSnapshot`) the caller's signal fired. */
  signal: AbortSignal
}

/** Hooks around the snapshot that a replication takes: for making an application quiet, and letting it go on. */
export interface SnapshotHooks {
  /** Called before the snapshot is taken. If it fails there is no snapshot, and the replication ends with `HOOK_FAILED`. */
  beforeSnapshot?: (moment: SnapshotMoment) => void | Promise<void>
  /**
   * Called once the snapshot is taken, or could not be: whenever `beforeSnapshot` was called, however that ended, also after an
   * abort. If it fails the replication ends with `HOOK_FAILED`, for the application may stand still.
   */
  afterSnapshot?: (moment: SnapshotMoment & { snapshot: string | undefined }) => void | Promise<void>
  /**
   * How long each hook may take, and the snapshot between them, so that no application stands still for longer. In milliseconds.
   * Default: 30 seconds.
   */
  hookMilliseconds?: number
}

const defaultHookMilliseconds = 30_000

/** A snapshot to take between hooks. */
export interface QuietSnapshot<T> {
  /** For messages. */
  what: string
  volume: string
  peer: string
  hooks: SnapshotHooks
  signal: AbortSignal | undefined
  take(): Promise<T>
  nameOf(taken: T): string
  /** Takes it back. */
  withdraw(taken: T): Promise<void>
}

/**
 * Takes a snapshot between the caller's hooks.
 * @throws ReplicationError `HOOK_FAILED`: a hook failed or took too long, or the snapshot between them did; AbortError,
 *   TimeoutError by the signal; whatever taking a snapshot throws
 */
export async function takeQuietly<T>(quiet: QuietSnapshot<T>): Promise<T> {
  const { hooks, signal, what } = quiet
  const { beforeSnapshot, afterSnapshot } = hooks
  if (beforeSnapshot === undefined && afterSnapshot === undefined) return quiet.take()
  throwIfAborted(signal, what)
  let taken: { snapshot: T } | undefined
  let failure: unknown
  try {
    await step(quiet, 'beforeSnapshot', signal, async (moment) => beforeSnapshot?.(moment))
    taken = { snapshot: await step(quiet, 'The snapshot', signal, () => quiet.take()) }
  } catch (error) {
    failure = error
  }
  try {
    const snapshot = taken === undefined ? undefined : quiet.nameOf(taken.snapshot)
    await step(quiet, 'afterSnapshot', undefined, async (moment) => afterSnapshot?.({ ...moment, snapshot }))
  } catch (error) {
    if (taken === undefined) throw bothFailed(what, failure, error)
    await quiet.withdraw(taken.snapshot)
    throw error
  }
  if (taken === undefined) throw failure
  return taken.snapshot
}

type Name = 'beforeSnapshot' | 'The snapshot' | 'afterSnapshot'

const next: Record<Name, string> = {
  beforeSnapshot: 'No snapshot was taken.',
  'The snapshot': 'Nothing was sent. Raise hookMilliseconds if the application may stand still for longer.',
  afterSnapshot: 'Nothing was sent. See whether the application goes on.',
}

/** One of the three things that must not take too long. It may still be under way when this rejects. */
async function step<T>(
  { volume, peer, what, hooks }: Omit<QuietSnapshot<unknown>, 'take'>,
  name: Name,
  outer: AbortSignal | undefined,
  run: (moment: SnapshotMoment) => Promise<T>,
): Promise<T> {
  const { hookMilliseconds = defaultHookMilliseconds } = hooks
  const deadline = AbortSignal.timeout(hookMilliseconds)
  const signal = outer === undefined ? deadline : AbortSignal.any([outer, deadline])
  const ended = new AbortController()
  try {
    const stopped = new Promise<never>((_, reject) => {
      const late = (): void => reject(new Error(`it was not done within ${hookMilliseconds} ms`))
      signal.addEventListener('abort', late, { once: true, signal: ended.signal })
    })
    throwIfAborted(outer, what)
    return await Promise.race([run({ volume, peer, signal }), stopped])
  } catch (cause) {
    if (outer?.aborted) throw abortReason(outer, what)
    // What ZFS says of its snapshot is said best by itself.
    if (name === 'The snapshot' && !deadline.aborted) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new ReplicationError('HOOK_FAILED', `${name} of ${what} failed: ${why}`, { cause, next: next[name] })
  } finally {
    ended.abort()
  }
}

function bothFailed(what: string, failure: unknown, hookFailure: unknown): ReplicationError {
  const cause = new AggregateError([failure, hookFailure])
  const why = [failure, hookFailure].map((error) => (error instanceof Error ? error.message : String(error)))
  return new ReplicationError('HOOK_FAILED', `${what} took no snapshot, and afterSnapshot failed: ${why.join('; ')}`, {
    cause,
    next: 'See whether the application goes on.',
  })
}
