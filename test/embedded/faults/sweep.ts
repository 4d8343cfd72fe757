/** Runs an operation with a fault at one place, recovers, runs it again, and looks at what there is then. */
import { setTimeout as wait } from 'node:timers/promises'
import * as assert from 'uvu/assert'
import type { Case, Recording } from './cases.js'
import { type Fault, within } from './faults.js'
import { PowerCut } from './host-process.js'
import type { Strike } from './link.js'
import { checkConverged, checkDiscarded } from './look.js'
import { changedBytes, type Ended, type Operation } from './operations.js'
import { directionOf, otherSide, type Pair } from './pair.js'

const sides = ['alpha', 'beta'] as const

/** How long anything may take: whoever is lost is noticed within ten seconds, and the machine may be busy. */
const longestMilliseconds = 60_000

/** How often a volume is used: its snapshots become more. */
const mostUses = 4

/** What came of a case: whether the fault struck, and what the operation ended with, `power cut` where its own host did. */
export interface Outcome {
  struck: boolean
  codes: readonly string[]
}

export class Sweep {
  #number = 0
  readonly #converged = new Map<Operation, { volume: string; uses: number }>()
  /** Volumes that are of no use any more. */
  readonly #used: string[] = []
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
    const ended = await this.#endOf(operation, volume, fault)
    const { codes } = ended
    if (struck !== undefined) outcome.struck = await struck()
    this.#judge(ended, fault, place.where, outcome.struck)
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

  async #endOf(operation: Operation, volume: string, { options, name }: Fault): Promise<Ended> {
    try {
      return await within(longestMilliseconds, name, this.pair.run(operation, volume, options))
    } catch (error) {
      if (error instanceof PowerCut) return { codes: ['power cut'], messages: [], bytes: 0n }
      throw error
    }
  }

  #judge({ codes, messages }: Ended, { codes: allowed, certain }: Fault, where: string, struck: boolean): void {
    const others = codes.filter((code) => code !== 'power cut' && !allowed.includes(code))
    assert.equal(others, [], `ends with ${codes}, not with one of ${allowed}: ${messages.join('; ')}`)
    if (struck && certain === where) assert.ok(codes.length > 0, 'it is noticed')
  }

  async #run(operation: Operation, volume: string): Promise<Ended> {
    return within(longestMilliseconds, operation.name, this.pair.run(operation, volume))
  }

  /** Makes what there is before the operation; the volume's name. */
  async #prepare(operation: Operation): Promise<string> {
    const { content, source, state } = operation
    const change = () => this.pair.host(source).ask('changeContent', content, volume)
    const removed = this.#removeUsed()
    const volume = this.#converged.get(operation)?.volume ?? (await this.#create(operation))
    if (state !== 'nothing') await change()
    if (state === 'part') {
      await this.#leavePart(operation, volume)
      await change()
    }
    // It would take steps of its own.
    await removed
    return volume
  }

  async #create(operation: Operation): Promise<string> {
    const { content, source, state } = operation
    this.#number += 1
    const volume = content === 'disk' ? `case-${this.#number}/disk` : `case-${this.#number}`
    await this.pair.host(source).ask('createContent', content, volume)
    if (state !== 'nothing') checkWent(await this.#run(operation, volume))
    return volume
  }

  /** Cuts the link when most of the data is over. What the destination has not taken by then is lost, on a busy machine all of it. */
  async #leavePart(operation: Operation, volume: string): Promise<void> {
    const { pair } = this
    const destination = pair.host(otherSide(operation.source))
    const spot = { connection: 1, direction: directionOf(operation), offset: (changedBytes * 3) / 4 }
    const strike: Strike = async (record) => {
      await wait(300)
      pair.link.cut()
      return record
    }
    for (let i = 0; i < 5; i++) {
      pair.link.begin({ spot, strike })
      const { codes } = await this.#run(operation, volume)
      assert.is(codes.length, 1, 'it was cut')
      pair.link.mend()
      if (await holdsWithin(2000, async () => (await destination.ask('kept', volume)) > 0n)) return
    }
    throw new Error('no part of a stream that was cut is left')
  }

  /** Both have the same, nothing is left, and no process has more descriptors than before. */
  async #check(operation: Operation, volume: string): Promise<void> {
    const { pair } = this
    checkConverged(await pair.look(operation, volume))
    this.#keep(operation, volume)
    for (const side of sides) {
      const host = pair.host(side)
      const most = this.#descriptors.get(host.pid)
      if (most === undefined) this.#descriptors.set(host.pid, await host.descriptors())
      // Sockets may take a second for their last words.
      else if (!(await holdsWithin(10_000, async () => (await host.descriptors()) <= most))) {
        throw new Error(`${side} has ${await host.descriptors()} descriptors, and had ${most}`)
      }
    }
  }

  /** A disk that has converged is where the next case of the operation begins, for some times. */
  #keep(operation: Operation, volume: string): void {
    const uses = (this.#converged.get(operation)?.uses ?? 0) + 1
    if (operation.state !== 'nothing' && operation.content === 'disk' && uses < mostUses) {
      this.#converged.set(operation, { volume, uses })
      return
    }
    this.#converged.delete(operation)
    this.#used.push(volume)
  }

  async #removeUsed(): Promise<void> {
    for (const volume of this.#used.splice(0)) {
      await Promise.all(sides.map((side) => this.pair.host(side).ask('remove', volume.replace(/\/.*/, ''))))
    }
  }
}

async function holdsWithin(milliseconds: number, holds: () => Promise<boolean>): Promise<boolean> {
  for (const deadline = performance.now() + milliseconds; ; ) {
    if (await holds()) return true
    if (performance.now() > deadline) return false
    await wait(100)
  }
}

function checkWent({ codes, messages }: Ended): void {
  assert.equal(codes, [], messages.join('; '))
}

function unlessPowerCut(error: unknown): void {
  if (!(error instanceof PowerCut)) throw error
}
