import { DivergedError } from '../errors.js'
import type { SnapshotPoint } from './planner/inventory.js'
import type { Divergence } from './planner/plan.js'

/** Turns a planner's finding into the error that a caller sees: both histories, the last common point, and what to do. */
export function divergedError(dataset: string, peer: string, divergence: Divergence): DivergedError {
  const { reason, common, onlyOnDestination } = divergence
  const count = onlyOnDestination.length
  const newest = onlyOnDestination[0]
  const has = count === 0 ? 'has data but no snapshot' : `has ${count} snapshot${count === 1 ? '' : 's'}`
  const theirs = newest === undefined ? '' : ` (newest: ${describe(newest)})`
  const lacking =
    reason === 'no-common-point' ? 'and nothing in common with the source' : 'that the source does not have'
  return new DivergedError(
    `${dataset} on ${peer} ${has}${theirs} ${lacking}.\n` +
      `  Last common point: ${common === undefined ? 'none' : describe(common)}\n  Nothing was sent and nothing was changed.`,
    {
      dataset,
      peer,
      next:
        `To keep ${peer}'s copy under another name and start again: onDivergence: 'preserve' (on the command line ` +
        '--preserve). To give it up, or to go the other way: docs/divergence.md',
    },
    { common, losing: onlyOnDestination },
  )
}

function describe({ name, guid }: SnapshotPoint): string {
  return `@${name} guid ${guid}`
}
