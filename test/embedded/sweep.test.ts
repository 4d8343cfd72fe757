/**
 * Pushes, pulls and replications of trees with a fault at every step of them: the steps of either side and the records on the wire are
 * recorded, then the same is done once for each of them and for each fault that can strike there. After that the same must simply work,
 * and leave nothing over. By default a random sample for some time; FLOCKER_ZFS_FAULTS is how many, `all`, or a part of the names of those
 * to run, and FLOCKER_ZFS_SEED says which sample.
 */
import { test } from 'uvu'
import { generator } from '../unit/fuzzing.js'
import { useEngine, withDirectory } from './engine.js'
import { type Case, casesOf, mixed, nameOf } from './faults/cases.js'
import { operations } from './faults/operations.js'
import { Pair } from './faults/pair.js'
import { Sweep } from './faults/sweep.js'

const asked = process.env.FLOCKER_ZFS_FAULTS ?? ''
const seed = Number(process.env.FLOCKER_ZFS_SEED ?? Math.floor(Math.random() * 1_000_000))
const sampleMilliseconds = 40_000

/** Runs something with two hosts of its own. */
function withSweep(use: (sweep: Sweep) => Promise<void>): Promise<void> {
  return withDirectory(async (directory) => {
    await using pair = await Pair.open(directory)
    await use(new Sweep(pair))
  })
}

async function allCases(): Promise<Case[]> {
  const random = generator(seed)
  const cases: Case[] = []
  await withSweep(async (sweep) => {
    for (const operation of operations) cases.push(...casesOf(await sweep.record(operation), random))
  })
  return mixed(cases, random)
}

/** Those that were asked for. */
function* chosen(all: readonly Case[]): Generator<Case> {
  if (asked === 'all') yield* all
  else if (/^\d+$/.test(asked)) yield* all.slice(0, Number(asked))
  else if (asked !== '') yield* all.filter((each) => nameOf(each).includes(asked))
  else {
    const deadline = performance.now() + sampleMilliseconds
    for (const each of all) {
      if (performance.now() > deadline) return
      yield each
    }
  }
}

class Tally {
  ran = 0
  struck = 0
  readonly endings = new Map<string, number>()
  readonly failures: string[] = []

  ended(name: string, codes: readonly string[]): void {
    const ending = `${name}: ${[...new Set(codes)].sort().join('+') || 'went through'}`
    this.endings.set(ending, (this.endings.get(ending) ?? 0) + 1)
  }
}

test('faults at every step', async () => {
  const all = await allCases()
  console.log(`${all.length} cases in all, seed ${seed}`)
  const cases = chosen(all)
  const tally = new Tally()
  const broken = (name: string, error: unknown): void => {
    tally.failures.push(`${name}: ${(error as Error).stack}`)
    console.error(`\nFAILED ${tally.failures.at(-1)}`)
  }
  for (let next = cases.next(); !next.done; ) {
    // A case that failed leaves nothing to others.
    await withSweep(async (sweep) => {
      for (; !next.done; next = cases.next()) {
        const name = nameOf(next.value)
        if (asked !== '') console.log(`${tally.ran}: ${name}`)
        tally.ran += 1
        try {
          const { struck, codes } = await sweep.run(next.value)
          if (struck) tally.struck += 1
          tally.ended(next.value.fault.name, codes)
        } catch (error) {
          broken(name, error)
          next = cases.next()
          return
        }
      }
    })
  }
  const endings = [...tally.endings].sort().map(([ending, count]) => `${ending} ${count}`)
  console.log(
    `\nmeasured: seed ${seed}: ${tally.ran} of ${all.length} cases, ${tally.struck} struck; ${endings.join(', ')}`,
  )
  if (tally.failures.length > 0)
    throw new Error(`${tally.failures.length} failed, with seed ${seed}:\n${tally.failures.join('\n')}`)
})

test.before(useEngine)

test.run()
