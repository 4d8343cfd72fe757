import { AbortError, FlockerError, TimeoutError } from '../errors.js'

/** What goes away by itself: the way between the hosts, and what is at work at the moment. */
const transientCodes = new Set([
  'PEER_LOST',
  'PEER_UNREACHABLE',
  'GARBLED',
  'PEER_BUSY',
  'RECEIVER_BUSY',
  'SENDER_BUSY',
  'STREAM_TRUNCATED',
  // Somebody else went on with it in between: it will be looked at anew.
  'PARTIAL_CHANGED',
])

/** What is so once by chance, and twice because it is so: a bit that was changed on the way, a replica that somebody else changed meanwhile. */
const onceCodes = new Set(['STREAM_CORRUPT', 'BASE_MISMATCH'])

/**
 * Whether doing it again may help, without anybody changing anything. Not where a host or its pool said no (`NOT_AUTHORIZED`,
 * `DIVERGED`, `NO_SPACE`, `TLS_FAILED`, ...), and not where the caller ended it.
 *
 * @param earlier what the attempts before this one ended with: a stream that is `STREAM_CORRUPT` twice is so where it comes from, and
 *   `BASE_MISMATCH` twice is not what somebody else did since it was planned
 */
export function isTransient(error: unknown, earlier: readonly unknown[] = []): boolean {
  if (!(error instanceof FlockerError)) return false
  // The caller's own come from its signal, which is their cause. What a peer tells of is the end of its side.
  if (error instanceof AbortError) return error.peer !== undefined
  if (error instanceof TimeoutError) return error.cause === undefined
  if (onceCodes.has(error.code)) return !earlier.some((each) => hasCode(each, error.code))
  return transientCodes.has(error.code)
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof FlockerError && error.code === code
}
