/**
 * Pushes, pulls and replications of trees with a fault at every step of them: the steps of either side and the records on the wire are
 * recorded, then the same is done once for each of them and for each fault that can strike there. After that the same must simply work,
 * and leave nothing over. By default a random sample of some operations, for some time; FLOCKER_ZFS_FAULTS is how many of each, `all`, or a
 * part of the names of those to run, and FLOCKER_ZFS_SEED says which sample. FLOCKER_ZFS_PAIRS is how many pairs of hosts take cases at once.
 */
import { test } from 'uvu'
import { generator, type Random } from '../unit/fuzzing.js'
import { useEngine, withDirectory } from './engine.js'
import { type Case, casesOf, mixed, nameOf, shuffled } from './faults/cases.js'
import { type Operation, operations } from './faults/operations.js'
import { Pair } from './faults/pair.js'
import { type Outcome, Sweep } from './faults/sweep.js'

const asked = process.env.FLOCKER_ZFS_FAULTS ?? ''
const seed = Number(process.env.FLOCKER_ZFS_SEED ?? 1)
const pairs = Number(process.env.FLOCKER_ZFS_PAIRS ?? 1)
/** How long a sample is in all, and how much of it is of one operation. */
const sampleMilliseconds = 45_000
const operationMilliseconds = 9000

/** Runs something with two hosts of its own. */
function withSweep(use: (sweep: Sweep) => Promise<void>): Promise<void> {
  return withDirectory(async (directory) => {
    await using pair = await Pair.open(directory)
    await use(new Sweep(pair))
  })
}

/** The cases of an operation, in a random order. */
async function casesFor(operation: Operation, random: Random): Promise<Case[]> {
  let cases: Case[] = []
  await withSweep(async (sweep) => {
    cases = casesOf(await sweep.record(operation), random)
  })
  return mixed(cases, random)
}

/** Those that were asked for. */
function* chosen(all: readonly Case[]): Generator<Case> {
  if (asked === 'all') yield* all
  else if (/^\d+$/.test(asked)) yield* all.slice(0, Number(asked))
  else if (asked !== '') yield* all.filter((each) => nameOf(each).includes(asked))
  else {
    const started = performance.now()
    for (const each of all) {
      yield each
      if (performance.now() - started > operationMilliseconds) return
    }
  }
}

class Tally {
  all = 0
  ran = 0
  struck = 0
  readonly endings = new Map<string, number>()
  readonly failures: string[] = []

  ended(name: string, { struck, codes }: Outcome): void {
    if (struck) this.struck += 1
    const ending = `${name}: ${[...new Set(codes)].sort().join('+') || 'went through'}`
    this.endings.set(ending, (this.endings.get(ending) ?? 0) + 1)
  }

  failed(name: string, error: unknown): void {
    this.failures.push(`${name}: ${(error as Error).stack}`)
    console.error(`\nFAILED ${this.failures.at(-1)}`)
  }
}

async function runCases(cases: Generator<Case>, tally: Tally): Promise<void> {
  for (let next = cases.next(); !next.done; ) {
    // A case that failed leaves nothing to others.
    await withSweep(async (sweep) => {
      for (; !next.done; next = cases.next()) {
        const name = nameOf(next.value)
        tally.ran += 1
        if (asked !== '') console.log(`${tally.ran} of ${tally.all}: ${name}`)
        try {
          tally.ended(next.value.fault.name, await sweep.run(next.value))
        } catch (error) {
          tally.failed(name, error)
          next = cases.next()
          return
        }
      }
    })
  }
}

test('faults at every step', async () => {
  const random = generator(seed)
  const tally = new Tally()
  const names: string[] = []
  const begun = performance.now()
  for (const operation of shuffled(operations, random)) {
    if (asked === '' && performance.now() - begun > sampleMilliseconds - operationMilliseconds) break
    const all = await casesFor(operation, random)
    tally.all += all.length
    names.push(operation.name)
    const cases = chosen(all)
    await Promise.all(Array.from({ length: pairs }, () => runCases(cases, tally)))
  }
  const endings = [...tally.endings].sort().map(([ending, count]) => `${ending} ${count}`)
  const which = `${tally.ran} of the ${tally.all} cases of ${names.join(', ')}; ${tally.struck} struck`
  console.log(`\nmeasured: seed ${seed}: ${which}; ${endings.join(', ')}`)
  if (tally.failures.length > 0)
    throw new Error(`${tally.failures.length} failed, with seed ${seed}:\n${tally.failures.join('\n')}`)
})

test.before(useEngine)

test.run()
