/**
 * Handoffs, driven from either end, with the power of either host cut, and the link, at every step of them: steps and messages are
 * recorded, then the same is done once for each. Afterwards both hosts are there again, settle what they find without being told
 * anything, and one of them owns the volume, with every byte. By default a random sample for some time; FLOCKER_ZFS_HANDOFFS is how many,
 * `all`, or a part of the names of those to run, and FLOCKER_ZFS_SEED says which sample.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { generator, type Random } from '../unit/fuzzing.js'
import { useEngine, withDirectory } from './engine.js'
import { within } from './faults/faults.js'
import { PowerCut } from './faults/host-process.js'
import type { Side } from './faults/operations.js'
import { Pair } from './faults/pair.js'

const asked = process.env.FLOCKER_ZFS_HANDOFFS ?? ''
const seed = Number(process.env.FLOCKER_ZFS_SEED ?? Math.floor(Math.random() * 1_000_000))
const sampleMilliseconds = 25_000
const longestMilliseconds = 60_000

type Direction = 'give' | 'take'

const faults = ['power cut of alpha', 'power cut of beta', 'power cut of both', 'cut link'] as const

interface Case {
  direction: Direction
  /** Where it strikes. */
  side: Side
  step: string
  fault: (typeof faults)[number]
}

const nameOf = ({ direction, side, step, fault }: Case): string => `${direction}: ${fault} at "${step}" of ${side}`
const sides: readonly Side[] = ['alpha', 'beta']

let number = 0

/** Alpha drives it: its own volume goes to beta, or beta's comes to it. */
const ownerBefore = (direction: Direction): Side => (direction === 'give' ? 'alpha' : 'beta')

async function record(pair: Pair, direction: Direction): Promise<Case[]> {
  const volume = `recorded-${direction}`
  await pair.host(ownerBefore(direction)).ask('createOwned', volume)
  for (const side of sides) await pair.host(side).ask('beginSteps')
  assert.is(await pair.host('alpha').ask('changeHands', pair.link.port, volume, direction), undefined)
  const cases: Case[] = []
  for (const side of sides) {
    const steps = await pair.host(side).ask('endSteps')
    for (const step of steps) for (const fault of faults) cases.push({ direction, side, step, fault })
  }
  return cases
}

async function strike(pair: Pair, fault: Case['fault']): Promise<void> {
  if (fault === 'cut link') pair.link.cut()
  else if (fault === 'power cut of both') await Promise.all(sides.map((side) => pair.host(side).cutPower()))
  else await pair.host(fault === 'power cut of alpha' ? 'alpha' : 'beta').cutPower()
}

/** What came of a case: the error that the handoff ended with, and who owns the volume afterwards. */
interface Outcome {
  code: string
  owner: string
}

async function run(pair: Pair, { direction, side, step, fault }: Case): Promise<Outcome> {
  const volume = `case-${++number}`
  const giver = ownerBefore(direction)
  const hash = await pair.host(giver).ask('createOwned', volume)
  const standing = pair.host(side)
  let striking: Promise<void> | undefined
  standing.onStanding = () => {
    striking = strike(pair, fault).then(() => standing.go())
  }
  for (const each of sides) await pair.host(each).ask('beginSteps', each === side ? step : undefined)
  const changing = pair.host('alpha').ask('changeHands', pair.link.port, volume, direction)
  const code = await within(longestMilliseconds, 'the handoff', changing).catch((error) => {
    if (error instanceof PowerCut) return 'power cut'
    throw error
  })
  standing.onStanding = () => undefined
  await striking
  for (const each of sides) if (pair.host(each).alive) await pair.host(each).ask('endSteps')
  // Whoever is there and owns it serves it, whatever has become of the other.
  if (code !== undefined && code !== 'HANDOFF_UNTOLD' && direction === 'give' && pair.host('alpha').alive) {
    const kept = await pair.host('alpha').ask('standing', volume)
    assert.equal([kept?.info.owner.host, kept?.info.served], ['alpha', true], `it ended with ${code}`)
  }
  await pair.recover()
  await settle(pair)
  return { code: code ?? 'went through', owner: await check(pair, volume, hash) }
}

/** Both look after what they find. What one needs of the other may come later. */
async function settle(pair: Pair): Promise<void> {
  const ports = { alpha: pair.link.port, beta: pair.host('alpha').port }
  const deadline = performance.now() + longestMilliseconds
  for (;;) {
    const left: string[] = []
    for (const side of sides) left.push(...(await pair.host(side).ask('settle', ports[side])))
    if (left.length === 0) return
    if (performance.now() > deadline) throw new Error(`not settled: ${left.join('; ')}`)
  }
}

async function check(pair: Pair, volume: string, hash: string): Promise<string> {
  const found = await Promise.all(sides.map((side) => pair.host(side).ask('standing', volume)))
  const serving = sides.filter((_, i) => found[i]?.info.served)
  assert.is(serving.length, 1, `${serving.length} hosts serve it`)
  const [owner] = serving as [Side]
  for (const [i, side] of sides.entries()) {
    const standing = found[i]
    if (standing === undefined) continue
    assert.is(standing.info.owner.host, owner, `${side} knows the owner`)
    assert.is(standing.info.handoff, undefined, `${side} has ended the handoff`)
    assert.is(standing.readOnly, side !== owner, `${side} is read-only`)
  }
  const own = found[sides.indexOf(owner)]
  assert.is(own?.hash, hash, 'every byte')
  assert.equal(own?.info.metadata, { of: volume })
  return owner
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const copy = [...items]
  for (let i = copy.length - 1; i > 0; i--) {
    const j = random(i + 1)
    ;[copy[i], copy[j]] = [copy[j] as T, copy[i] as T]
  }
  return copy
}

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

/** After so many volumes the hosts begin anew: they look after all that they have. */
const mostVolumes = 25

test('a fault at every step of a handoff', async () => {
  let all: Case[] = []
  await withDirectory(async (directory) => {
    await using pair = await Pair.open(directory)
    for (const direction of ['give', 'take'] as const) all.push(...(await record(pair, direction)))
  })
  all = shuffled(all, generator(seed))
  const endings = new Map<string, number>()
  const failures: string[] = []
  let ran = 0
  const cases = chosen(all)
  for (let next = cases.next(); !next.done; ) {
    await withDirectory(async (directory) => {
      await using pair = await Pair.open(directory)
      for (let i = 0; i < mostVolumes && !next.done; i++, next = cases.next()) {
        const name = nameOf(next.value)
        if (asked !== '') console.log(`${ran}: ${name}`)
        ran++
        try {
          const { code, owner } = await run(pair, next.value)
          const gone = ownerBefore(next.value.direction) === owner ? 'kept' : 'given'
          const ending = `${next.value.fault}, ${code}: ${gone}`
          endings.set(ending, (endings.get(ending) ?? 0) + 1)
        } catch (error) {
          failures.push(`${name}: ${(error as Error).stack}`)
          console.error(`\nFAILED ${failures.at(-1)}`)
          next = cases.next()
          return
        }
      }
    })
  }
  const told = [...endings].sort().map(([ending, count]) => `${ending} ${count}`)
  console.log(`\nmeasured: seed ${seed}: ${ran} of ${all.length} handoffs; ${told.join('; ')}`)
  if (failures.length > 0) throw new Error(`${failures.length} failed, with seed ${seed}:\n${failures.join('\n')}`)
})

test.before(useEngine)

test.run()
