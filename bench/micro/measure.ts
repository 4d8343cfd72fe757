/** Functions in one process, timed by `benchmark`. */
import Bench from 'benchmark'
import type { Context } from '../frame/benchmark.js'
import { format } from '../frame/numbers.js'
import type { Row, Sample } from '../frame/result.js'
import { spread } from '../frame/statistics.js'

export interface Case {
  label: string
  x?: number
  run(): unknown
}

/** Times each case for a while; a sample is made of the seconds that one run takes. */
export function measure(cases: readonly Case[], { quick, say }: Context, sampleOf: (seconds: number) => Sample): Row[] {
  return cases.map(({ label, x, run }) => {
    const timed = new Bench(label, run, { maxTime: quick ? 0.1 : 1.5, minSamples: 5 }).run()
    // What the library catches would else be a row of nothing.
    const failure = (timed as { error?: Error }).error
    if (failure !== undefined) throw failure
    const samples = timed.stats?.sample.map(sampleOf) ?? []
    const medians = Object.keys(samples[0] ?? {}).map((key) => {
      const found = spread(samples.flatMap((sample) => sample[key] ?? []))
      return `${key} ${format(found?.median ?? Number.NaN)}`
    })
    say(`${label}${x === undefined ? '' : `, ${format(x)}`}: ${medians.join(', ')} (${samples.length} samples)`)
    return { label, ...(x === undefined ? {} : { x }), samples }
  })
}

/** For what moves a number of bytes in one run. */
export const megabytesPerSecond = (bytes: number) => (seconds: number) => ({ throughput: bytes / 1e6 / seconds })

export const throughput = { key: 'throughput', label: 'throughput', unit: 'MB/s', better: 'more' } as const
export const milliseconds = { key: 'milliseconds', label: 'time', unit: 'ms', better: 'less' } as const
