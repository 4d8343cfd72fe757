/**
 * A stream of some tens of MiB that breaks off in the middle: the next run sends what is missing, and less than a tenth more, as counted on
 * the wire.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { useEngine, withDirectory } from './engine.js'
import { type Fault, faults } from './faults/faults.js'
import { PowerCut } from './faults/host-process.js'
import { checkConverged } from './faults/look.js'
import { type Ended, type Operation, operations } from './faults/operations.js'
import { directionOf, otherSide, Pair } from './faults/pair.js'

const mebibytes = 32
const volume = 'large/disk'
/** Slow enough for the pool to have written out most of it, which it does every five seconds, when its power is cut. */
const slowBytesPerSecond = 5 * 1024 * 1024

class Resuming {
  constructor(
    private readonly pair: Pair,
    private readonly operation: Operation,
  ) {}

  /** Runs the operation; what went over the wire with the data. */
  async run(): Promise<{ ended: Ended; wire: number }> {
    this.pair.link.begin()
    const ended = await this.pair.run(this.operation, volume)
    assert.equal(ended.codes, [], ended.messages.join())
    return { ended, wire: this.#wire() }
  }

  /** Runs it with a fault after some bytes of data; what has arrived before. */
  async interrupt(fault: Fault, offset: number): Promise<number> {
    const { pair, operation } = this
    let arrived = 0
    const strike = async (record: Buffer): Promise<Buffer> => {
      arrived = this.#wire()
      await fault.strike?.(pair, operation)
      return record
    }
    pair.link.begin({ spot: { connection: 1, direction: directionOf(operation), offset }, strike })
    try {
      assert.is((await pair.run(operation, volume)).codes.length, 1)
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error
    }
    await pair.recover()
    return arrived
  }

  #wire(): number {
    const flows = this.pair.link.flows.filter(({ direction }) => direction === directionOf(this.operation))
    return flows.reduce((sum, { bytes }) => sum + bytes, 0)
  }
}

function sweep(operationName: string, faultNames: readonly string[]): void {
  test(`${operationName}: what was missing is sent, and little more`, () =>
    withDirectory(async (directory) => {
      const operation = operations.find(({ name }) => name === operationName) as Operation
      await using pair = await Pair.open(directory)
      const resuming = new Resuming(pair, operation)
      const rewrite = () => pair.host(operation.source).ask('rewrite', volume, mebibytes)
      await rewrite()
      await resuming.run()
      await rewrite()
      const whole = await resuming.run()
      for (const faultName of faultNames) {
        const fault = faults.find(({ name }) => name === faultName) as Fault
        const dies = faultName === 'power cut of the destination'
        const part = dies ? 0.9 : 0.3 + Math.random() * 0.5
        await rewrite()
        pair.link.bytesPerSecond = dies ? slowBytesPerSecond : Number.POSITIVE_INFINITY
        const arrived = await resuming.interrupt(fault, Math.floor(part * whole.wire))
        pair.link.bytesPerSecond = Number.POSITIVE_INFINITY
        const kept = Number(await pair.host(otherSide(operation.source)).ask('kept', volume))
        const { ended, wire } = await resuming.run()
        const ratios = [wire / (whole.wire - kept), Number(ended.bytes) / (Number(whole.ended.bytes) - kept)]
        const numbers = { whole: whole.wire, arrived, kept, sent: wire, sentAsTold: Number(ended.bytes) }
        console.log(
          `\nmeasured: ${operationName}, ${faultName}: ${ratios.map((ratio) => ratio.toFixed(3))} of what was missing, ${JSON.stringify(numbers)}`,
        )
        for (const ratio of ratios) assert.ok(ratio < 1.1, `${ratio} of what was missing`)
        assert.ok(kept > 0, 'there is something to go on with')
        checkConverged(await pair.look(operation, 'large'))
      }
    }))
}

sweep('push', ['cut link', 'power cut of the destination', 'power cut of the source'])
sweep('pull', ['cut link'])

test.before(useEngine)

test.run()
