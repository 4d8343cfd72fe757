/** Plays many histories side by side on one pair of pools, and makes those that fail smaller. */
import { type Field, Lane } from './field.js'
import { History, type Tally } from './history.js'

/** Side by side they share what takes most of the time: the pools' transaction groups. */
const lanes = 12
const mostFailures = 3

export interface Failure {
  seed: number
  error: Error
  /** What was done, with all that is not needed to make it fail left out. */
  log: readonly string[]
}

/** Plays the histories of these seeds. Returns those that failed. */
export async function play(field: Field, seeds: readonly number[], tally: Tally): Promise<Failure[]> {
  const queue = [...seeds]
  const failures: Failure[] = []
  const worker = async (): Promise<void> => {
    await using lane = await Lane.open(field)
    for (let seed = queue.shift(); seed !== undefined; seed = queue.shift()) {
      const failure = await attempt(lane, seed, `h${seed}`, new Set(), tally)
      if (failure === undefined) continue
      failures.push(await shrink(lane, failure))
      if (failures.length >= mostFailures) queue.length = 0
    }
  }
  await Promise.all(Array.from({ length: Math.min(lanes, seeds.length) }, worker))
  return failures
}

interface Failed extends Failure {
  operations: number
}

async function attempt(
  lane: Lane,
  seed: number,
  place: string,
  skipped: ReadonlySet<number>,
  tally: Tally,
): Promise<Failed | undefined> {
  const history = new History(lane, seed, place, skipped, tally)
  try {
    await history.run()
    return undefined
  } catch (error) {
    return { seed, error: error as Error, log: history.log, operations: history.operations }
  }
}

/** Leaves operations out, one after the other, as long as it fails in the same way. */
async function shrink(lane: Lane, first: Failed): Promise<Failure> {
  const skipped = new Set<number>()
  let smallest = first
  for (let i = first.operations - 1; i >= 0; i--) {
    const failed = await attempt(lane, first.seed, `h${first.seed}-${i}`, new Set([...skipped, i]), new Map())
    if (failed === undefined || kindOf(failed.error) !== kindOf(first.error)) continue
    skipped.add(i)
    smallest = failed
  }
  return smallest
}

/** What it failed with, whatever the names were. */
function kindOf({ message }: Error): string {
  return message.split('\n', 1)[0]?.replaceAll(/\S*[@/0-9]\S*/g, '') ?? ''
}
