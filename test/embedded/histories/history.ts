/** A random history of one volume and all below it, on two real pools. */
import { randomBytes } from 'node:crypto'
import * as assert from 'uvu/assert'
import {
  type Finding,
  type FlockerError,
  type NamedPoint,
  planReplication,
  type TreeReplicationResult,
} from '../../../src/index.js'
import * as lzc from '../../../src/lzc/index.js'
import { changeSomething, createVolume } from './changes.js'
import { Dice } from './dice.js'
import { type Before, type Choice, type Expected, expectedOf } from './expectation.js'
import { type Lane, type Side, sides } from './field.js'
import { Contents, checkDestination, checkKept, checkSource, modifiedOf, told } from './ledger.js'
import { blockBytes, type DatasetState, newestOf, readAgain, readState, type State } from './state.js'
import {
  anyBreak,
  anyChoice,
  anyRoute,
  anyTreeOptions,
  type Break,
  type Ended,
  pushOrPull,
  type Route,
  replicateTree,
} from './transfers.js'
import { judgeTree } from './tree-judge.js'

/** How often what has come about, over all histories. */
export type Tally = Map<string, number>

const leastOperations = 4
const mostOperations = 15
/** The tree's root, below what the history has for itself. */
const root = 'app'

export class History {
  readonly log: string[] = []
  readonly #contents = new Contents()
  readonly #operations: number
  /** What either side has, since it was last looked at. Nobody else changes anything. */
  readonly #states: Record<Side, State> = { alpha: new Map(), beta: new Map() }

  /**
   * @param place its name for itself, on both hosts
   * @param skipped the numbers of operations that are left out
   */
  constructor(
    private readonly lane: Lane,
    private readonly seed: number,
    private readonly place: string,
    private readonly skipped: ReadonlySet<number>,
    private readonly tally: Tally,
  ) {
    this.#operations = leastOperations + new Dice(seed).below(mostOperations - leastOperations)
  }

  get operations(): number {
    return this.#operations
  }

  /** Runs it, and brings it to an end where both hosts have the same. */
  async run(): Promise<void> {
    this.lane.place = this.place
    for (const side of sides) await lzc.create(this.#container(side), { properties: { canmount: 'off' } })
    const app = `${this.#container('alpha')}/${root}`
    await lzc.create(app)
    await createVolume(`${app}/d0`)
    await lzc.writeVolume(`${app}/d0`, 0n, randomBytes(4 * blockBytes))
    await this.#look('alpha')
    const dice = new Dice(this.seed * 1009 - 2)
    if (dice.chance(0.5))
      await this.#replicateTree(-1, dice, { from: 'alpha', to: 'beta', driver: dice.of(sides) }, undefined)
    for (let i = 0; i < this.#operations; i++) {
      // Each has dice of its own, so that it stays what it is where others are left out.
      if (!this.skipped.has(i)) await this.#operate(i, new Dice(this.seed * 1009 + i))
    }
    await this.#settle(new Dice(this.seed * 1009 - 1))
    for (const side of sides) await this.#contents.check(this.#container(side), this.#states[side], { all: true })
  }

  #container(side: Side): string {
    return `${side}/${this.place}`
  }

  /**
   * Looks at what a side has now, and into all that is new.
   * @param only the one dataset that can be another than before; any, if it is not given
   */
  async #look(side: Side, only?: DatasetState): Promise<State> {
    const container = this.#container(side)
    const state = only === undefined ? await readState(container) : await readAgain(container, this.#states[side], only)
    await this.#contents.check(this.#container(side), state)
    this.#states[side] = state
    return state
  }

  #count(what: string): void {
    this.tally.set(what, (this.tally.get(what) ?? 0) + 1)
  }

  async #operate(number: number, dice: Dice): Promise<void> {
    const name = (prefix: string): string => `${prefix}${dice.chance(0.2) ? dice.below(number + 1) : number}`
    if (dice.chance(0.7)) return this.#change(dice.chance(0.75) ? 'alpha' : 'beta', number, dice, name)
    const route = anyRoute(dice, this.#states)
    const broken = anyBreak(dice)
    if (dice.chance(0.45)) await this.#replicateTree(number, dice, route, broken)
    else await this.#pushOrPull(number, dice, route, broken)
  }

  async #change(side: Side, number: number, dice: Dice, name: (prefix: string) => string): Promise<void> {
    const state = this.#states[side]
    const scene = { dice, container: this.#container(side), state, name, destroyed: [] }
    const { what, changed } = await changeSomething(scene)
    this.log.push(`${number}: ${side}: ${what}`)
    checkKept(state, await this.#look(side, changed), scene.destroyed, side)
  }

  async #pushOrPull(number: number, dice: Dice, route: Route, broken: Break | undefined): Promise<void> {
    const before = { source: this.#states[route.from], destination: this.#states[route.to] }
    const names = [...before.source.keys()]
    const volume = dice.chance(0.97) && names.length > 0 ? dice.of(names) : `${root}/missing`
    const choice = anyChoice(dice, before.source, volume)
    const given = { ...before, volume, peer: route.to, modified: modifiedOf(before.destination, this.#contents) }
    const expected = expectedOf(given, choice)
    const verb = route.driver === route.to ? 'pull' : 'push'
    this.log.push(`${number}: ${verb} ${volume} from ${route.from} ${show(choice)}${show(broken)}`)
    const end = await pushOrPull(this.lane, route, `${this.place}/${volume}`, choice, broken)
    this.log.push(`    ${end.error === undefined ? end.result.kind : told(end.error)}`)
    const after = await this.#checkUntouched(before, route, choice.onDivergence === 'preserve')
    if (end.error !== undefined && isBreak(broken, end.error)) this.#count(`${verb}, ${broken?.how}`)
    else this.#judge(given, choice, expected, end, after)
  }

  /** Whatever a replication came to, neither side has lost anything, nor got what the other does not have. */
  async #checkUntouched(before: { source: State; destination: State }, { from, to }: Route, mayRename: boolean) {
    const after = { source: await this.#look(from), destination: await this.#look(to) }
    checkSource(before.source, after.source, before.destination, to)
    checkDestination(before.destination, after.destination, after.source, mayRename)
    return after
  }

  #judge(
    before: Before,
    choice: Choice,
    expected: Expected,
    { result, error }: Awaited<ReturnType<typeof pushOrPull>>,
    after: { source: State; destination: State },
  ): void {
    const what = result?.kind ?? error?.code ?? ''
    this.#count(what)
    if (error !== undefined || 'codes' in expected) {
      const wanted = 'codes' in expected ? expected.codes : [`no error but ${expected.kind}`]
      if (!wanted.includes(what))
        throw new Error(`expected ${wanted.join(' or ')}, got ${error ? told(error) : what}`, { cause: error })
      return
    }
    if (result === undefined) return
    assert.is(what, expected.kind)
    assert.is(result.preserved !== undefined, expected.preserves, 'the replica has been given another name')
    const replica = after.destination.get(before.volume) as DatasetState
    const source = after.source.get(before.volume) as DatasetState
    const target = source.snapshots.find(({ guid }) => guid === result.guid)
    assert.ok(target, 'the source has what was sent')
    assert.is(target?.pendingFor, undefined, 'what was sent is confirmed')
    if (choice.snapshot !== undefined) assert.is(target?.name, choice.snapshot)
    const arrived = replica.snapshots.find(({ guid }) => guid === result.guid)
    assert.ok(arrived, 'the destination has it')
    if (what === 'current') return
    assert.is(newestOf(replica)?.guid, result.guid, 'it is the newest there')
    assert.is(replica.head, this.#contents.hash(result.guid), 'its content is what the replica has')
    assert.is(replica.partial, undefined, 'nothing unfinished is left')
  }

  async #replicateTree(number: number, dice: Dice, route: Route, broken: Break | undefined): Promise<void> {
    const before = { source: this.#states[route.from], destination: this.#states[route.to] }
    const options = anyTreeOptions(dice)
    this.log.push(`${number}: replicate from ${route.from}, asked by ${route.driver} ${show(options)}${show(broken)}`)
    const end = await replicateTree(this.lane, route, `${this.place}/${root}`, options, broken)
    this.log.push(...describe(end))
    const after = await this.#checkUntouched(before, route, true)
    if (end.error !== undefined) {
      if (isBreak(broken, end.error)) return this.#count(`replicate, ${broken?.how}`)
      this.#count(`replicate, ${end.error.code}`)
      if (end.error.code === 'NOT_FOUND' && !before.source.has(root)) return
      throw new Error(`replicate failed: ${told(end.error)}`, { cause: end.error })
    }
    this.#count('replicate')
    if (broken !== undefined && end.result.failed + end.result.leftOut > 0) return
    this.#judgeTree(before.destination, after, options, end.result)
  }

  #judgeTree(
    before: State,
    after: { source: State; destination: State },
    options: Parameters<typeof replicateTree>[3],
    result: TreeReplicationResult,
  ): void {
    const names = modifiedOf(before, this.#contents)
    const modified = new Set([...names].map((name) => (before.get(name) as DatasetState).guid))
    for (const { kind } of result.findings) this.#count(`finding, ${kind}`)
    judgeTree({ ...after, modified, root, options }, result)
  }

  /** Does what the findings ask for until there is nothing left to do; then both hosts have the same. */
  async #settle(dice: Dice): Promise<void> {
    if (!this.#states.alpha.has(root)) return
    const route: Route = { from: 'alpha', to: 'beta', driver: dice.of(sides) }
    for (let round = 0; ; round++) {
      assert.ok(round < 12, 'the findings can be dealt with')
      const before = { source: this.#states.alpha, destination: this.#states.beta }
      const options = { initial: 'all', partial: round % 2 === 0 ? 'resume' : 'discard' } as const
      this.log.push(`settling, asked by ${route.driver} ${show(options)}`)
      const end = await replicateTree(this.lane, route, `${this.place}/${root}`, options, undefined)
      this.log.push(...describe(end))
      const after = await this.#checkUntouched(before, route, true)
      if (end.error !== undefined) throw new Error(`replicate failed: ${told(end.error)}`, { cause: end.error })
      this.#judgeTree(before.destination, after, options, end.result)
      if (!(await this.#decide(dice, route, end.result))) {
        await this.#checkConverged(route, after)
        return
      }
    }
  }

  /** What a person would do with what a replication has found. Returns whether there was anything to do. */
  async #decide(
    dice: Dice,
    route: Route,
    { findings, outcomes, destination }: TreeReplicationResult,
  ): Promise<boolean> {
    const diverged = findings.find(
      (finding): finding is Extract<Finding, { kind: 'diverged' }> => finding.kind === 'diverged',
    )
    const volumeOf = (full: string): string => `${this.place}/${root}${full.slice(destination.length)}`
    if (diverged !== undefined) {
      await this.#reconcile(dice, route, volumeOf(diverged.destination), diverged.common, diverged.onlyOnDestination)
      return true
    }
    for (const outcome of outcomes) {
      if (outcome.kind !== 'failed') continue
      // The judge has found that it was written to.
      const volume = volumeOf(outcome.step.destination)
      const replica = this.#states.beta.get(volume.slice(this.place.length + 1))
      await this.#reconcile(dice, route, volume, replica && newestOf(replica), [])
      return true
    }
    return findings.some(({ kind }) => kind === 'partial-stale')
  }

  /** Gives up what only the replica has, or keeps it under another name. */
  async #reconcile(
    dice: Dice,
    { driver, to }: Route,
    volume: string,
    common: NamedPoint | undefined,
    losing: readonly NamedPoint[],
  ): Promise<void> {
    const owner = driver === to ? this.lane.field.hosts[to] : this.lane.links[driver].peer
    const before = this.#states.beta
    if (common !== undefined && dice.chance(0.5)) {
      this.log.push(`roll ${volume} back to ${common.name}, losing ${losing.map(({ name }) => name)}`)
      const error = await codeOf(owner.rollbackReplica(volume, common, losing))
      const after = await this.#look('beta')
      this.#count(`roll back, ${error ?? 'done'}`)
      if (error === undefined) {
        checkKept(
          before,
          after,
          losing.map(({ guid }) => guid),
          'the replica',
        )
        return
      }
      this.log.push(`    ${error}`)
      assert.ok(['HAS_DEPENDENTS', 'BUSY', 'NOT_LATEST'].includes(error), error)
      checkKept(before, after, [], 'the replica')
    }
    this.log.push(`preserve ${volume}`)
    await owner.preserveReplica(volume)
    this.#count('preserve')
    checkKept(before, await this.#look('beta'), [], 'the replica')
  }

  async #checkConverged(
    { driver }: Route,
    { source, destination }: { source: State; destination: State },
  ): Promise<void> {
    const host = this.lane.field.hosts[driver]
    const { peer } = this.lane.links[driver]
    const ends = driver === 'alpha' ? { from: host, to: peer } : { from: peer, to: host }
    const plan = await planReplication(`${this.place}/${root}`, ends, { snapshot: 'existing' })
    assert.equal(plan.steps, [], 'nothing is left to do')
    const blocked = plan.findings.some(({ kind }) => kind === 'blocked')
    for (const { name, snapshots } of source.values()) {
      if (blocked || (name !== root && !name.startsWith(`${root}/`))) continue
      const replica = destination.get(name)
      const newest = replica && newestOf(replica)
      assert.is(newest?.guid, snapshots.at(-1)?.guid, `the replica of ${name} is current`)
      assert.is(replica?.partial, undefined, `${name} has nothing unfinished`)
      if (newest !== undefined) assert.is(replica?.head, this.#contents.hash(newest.guid), `the content of ${name}`)
    }
    this.#count(blocked ? 'converged but for names' : 'converged')
  }
}

/** Whether an error is what a replication that was broken off ends with. */
function isBreak(broken: Break | undefined, { code }: FlockerError): boolean {
  if (broken === undefined) return false
  return broken.how === 'cut' ? ['PEER_LOST', 'GARBLED'].includes(code) : code === 'ABORTED'
}

async function codeOf(promise: Promise<void>): Promise<string | undefined> {
  try {
    await promise
    return undefined
  } catch (error) {
    if (error instanceof Error && 'code' in error) return String(error.code)
    throw error
  }
}

function describe({ result, error }: Ended<TreeReplicationResult>): string[] {
  if (result === undefined) return [`    ${told(error as FlockerError)}`]
  const steps = result.outcomes.map((outcome) => {
    const how = outcome.kind === 'failed' ? told(outcome.error as FlockerError) : outcome.kind
    return `    ${outcome.step.kind} ${outcome.step.destination}: ${how}`
  })
  return [...steps, ...result.findings.map(({ kind, destination, why }) => `    ${kind} ${destination}: ${why}`)]
}

function show(value: unknown): string {
  return value === undefined ? '' : ` ${JSON.stringify(value)}`
}
