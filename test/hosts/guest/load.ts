/**
 * A load on a database through the front, until standard input ends. Each line of that asks how many transactions were acknowledged, and
 * how long the longest took that ended since the last line.
 *
 *     node load.js {"host":..., "port":..., "clients":8}
 */
import { Writers, type WritersOptions, type WritersReport } from '../../../examples/live-postgres/writers.js'

export interface LoadReport extends WritersReport {
  /** The longest transactions from line to line, in milliseconds. */
  stalls: number[]
}

async function main(order: WritersOptions): Promise<void> {
  const writers = await Writers.start(order)
  const stalls: number[] = []
  console.log('running')
  for await (const chunk of process.stdin) {
    for (const _ of String(chunk).matchAll(/\n/g)) {
      const stall = Math.round(writers.takeLongest())
      stalls.push(stall)
      console.log(JSON.stringify({ acknowledged: writers.acknowledged, stall }))
    }
  }
  const report: LoadReport = { ...(await writers.end()), stalls }
  console.log(JSON.stringify(report))
}

void main(JSON.parse(process.argv[2] as string))
