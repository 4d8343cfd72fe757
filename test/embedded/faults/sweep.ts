/** Runs an operation with a fault at one place, recovers, runs it again, and looks at what there is then. */
import { setTimeout as wait } from 'node:timers/promises'
import * as assert from 'uvu/assert'
import { type Case, dataFlow, type Recording } from './cases.js'
import { type Fault, within } from './faults.js'
import { PowerCut } from './host-process.js'
import type { Strike } from './link.js'
import { checkConverged, checkDiscarded } from './look.js'
import type { Ended, Operation } from './operations.js'
import { directionOf, otherSide, type Pair } from './pair.js'

const sides = ['alpha', 'beta'] as const

/** How long anything may take: whoever is lost is noticed within ten seconds, and the machine may be busy. */
const longestMilliseconds = 60_000

/** What came of a case: whether the fault struck, and what the operation ended with, `power cut` where its own host did. */
export interface Outcome {
  struck: boolean
  codes: readonly string[]
}

export class Sweep {
  #number = 0
  /** The descriptors of each process that has done something. */
  readonly #descriptors = new Map<number, number>()

  constructor(private readonly pair: Pair) {}

  /** Runs an operation to which nothing happens. */
  async record(operation: Operation): Promise<Recording> {
    const { pair } = this
    const volume = await this.#prepare(operation)
    pair.link.begin()
    for (const side of sides) await pair.host(side).ask('beginSteps')
    checkWent(await this.#run(operation, volume))
    const flows = pair.link.flows.map((flow) => ({ ...flow }))
    const [alpha, beta] = [await pair.host('alpha').ask('endSteps'), await pair.host('beta').ask('endSteps')]
    await this.#check(operation, volume)
    return { operation, steps: { alpha, beta }, flows }
  }

  async run({ operation, fault, place }: Case): Promise<Outcome> {
    const { pair } = this
    const volume = await this.#prepare(operation)
    const struck = place.where === 'step' ? this.#strikeAtStep(operation, fault, place) : undefined
    const outcome = { struck: false }
    const strike: Strike = async (record, at) => {
      outcome.struck = true
      await fault.strike?.(pair, operation)
      return fault.garble?.(record, at) ?? record
    }
    pair.link.begin('spot' in place ? { spot: place.spot, strike } : undefined)
    for (const side of sides) {
      await pair.host(side).ask('beginSteps', place.where === 'step' && place.side === side ? place.step : undefined)
    }
    const codes = await this.#endOf(operation, volume, fault)
    if (struck !== undefined) outcome.struck = await struck()
    this.#judge(codes, fault, place.where, outcome.struck)
    if (codes.includes('NO_SPACE')) checkDiscarded(await pair.look(operation, volume))
    await pair.recover()
    checkWent(await this.#run(operation, volume))
    await this.#check(operation, volume)
    return { ...outcome, codes }
  }

  /** Has a host stand still at a step, and the fault strike then. Call the result once the operation has ended. */
  #strikeAtStep(operation: Operation, fault: Fault, { side }: { side: 'alpha' | 'beta' }): () => Promise<boolean> {
    const host = this.pair.host(side)
    let striking: Promise<void> | undefined
    host.onStanding = () => {
      striking = Promise.resolve(fault.strike?.(this.pair, operation)).then(() => host.go())
    }
    return async () => {
      // What a host does once the other one has its answer is waited for as long as it takes to be asked something.
      if (host.alive) await host.ask('endSteps').catch(unlessPowerCut)
      host.onStanding = () => undefined
      await striking
      return striking !== undefined
    }
  }

  async #endOf(operation: Operation, volume: string, { options, name }: Fault): Promise<readonly string[]> {
    try {
      return (await within(longestMilliseconds, name, this.pair.run(operation, volume, options))).codes
    } catch (error) {
      if (error instanceof PowerCut) return ['power cut']
      throw error
    }
  }

  #judge(codes: readonly string[], { codes: allowed, certain }: Fault, where: string, struck: boolean): void {
    const others = codes.filter((code) => code !== 'power cut' && !allowed.includes(code))
    assert.equal(others, [], `ends with one of ${allowed}`)
    if (struck && certain === where) assert.ok(codes.length > 0, 'it is noticed')
  }

  async #run(operation: Operation, volume: string): Promise<Ended> {
    return within(longestMilliseconds, operation.name, this.pair.run(operation, volume))
  }

  /** Makes a volume for the operation; its name. */
  async #prepare(operation: Operation): Promise<string> {
    const { content, source, state } = operation
    const { pair } = this
    this.#number += 1
    const volume = content === 'disk' ? `case-${this.#number}/disk` : `case-${this.#number}`
    const host = pair.host(source)
    await host.ask('createContent', content, volume)
    if (state === 'nothing') return volume
    pair.link.begin()
    checkWent(await this.#run(operation, volume))
    await host.ask('changeContent', content, volume)
    if (state === 'part') {
      await this.#leavePart(operation, volume, dataFlow(operation, pair.link.flows).bytes / 2)
      await host.ask('changeContent', content, volume)
    }
    return volume
  }

  async #leavePart(operation: Operation, volume: string, offset: number): Promise<void> {
    const { pair } = this
    const spot = { connection: 1, direction: directionOf(operation), offset: Math.floor(offset) }
    const strike: Strike = (record) => {
      pair.link.cut()
      return record
    }
    pair.link.begin({ spot, strike })
    const { codes } = await this.#run(operation, volume)
    assert.is(codes.length, 1, 'a part is left')
    pair.link.mend()
    const destination = pair.host(otherSide(operation.source))
    await eventually('a part is left', async () => (await destination.ask('kept', volume)) > 0n)
  }

  /** Both have the same, nothing is left, and no process has more descriptors than before. */
  async #check(operation: Operation, volume: string): Promise<void> {
    const { pair } = this
    checkConverged(await pair.look(operation, volume))
    for (const side of sides) {
      const host = pair.host(side)
      const key = host.pid
      const most = this.#descriptors.get(key)
      if (most === undefined) this.#descriptors.set(key, await host.descriptors())
      // Sockets may take a second for their last words.
      else await eventually(`${side} has at most ${most} descriptors`, async () => (await host.descriptors()) <= most)
      await host.ask('remove', volume.replace(/\/.*/, ''))
    }
  }
}

/** Waits up to ten seconds. */
async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 100; i++) {
    if (await holds()) return
    await wait(100)
  }
  throw new Error(`${what}: not within ten seconds`)
}

function checkWent({ codes, messages }: Ended): void {
  assert.equal(codes, [], messages.join('; '))
}

function unlessPowerCut(error: unknown): void {
  if (!(error instanceof PowerCut)) throw error
}
