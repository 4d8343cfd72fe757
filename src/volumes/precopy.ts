/** When to stop copying a volume that is in use, and stop the use. A pure decision. */

/** How far to go before a volume is taken out of service. */
export interface PrecopyOptions {
  /** A round that had to send no more than this is the last before the volume is stopped, in bytes. Default: 16 MiB. */
  settledBytes?: number
  /** The most rounds. Default: 10. */
  mostRounds?: number
}

/** A round of copying, the first of which brings all there is. */
export interface Round {
  /** Stream bytes sent. */
  bytes: bigint
  milliseconds: number
}

/** Whether another round would make the rest smaller. */
export function isSettled(
  rounds: readonly Round[],
  { settledBytes = 16 * 1024 * 1024, mostRounds = 10 }: PrecopyOptions,
): boolean {
  const [before, last] = [rounds.at(-2), rounds.at(-1)]
  if (last === undefined) return false
  if (last.bytes <= BigInt(settledBytes) || rounds.length >= mostRounds) return true
  // What is written as fast as it is sent does not shrink any more: a fifth less is not worth a round.
  return before !== undefined && last.bytes * 5n > before.bytes * 4n
}
