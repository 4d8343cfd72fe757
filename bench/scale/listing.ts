/** Listing snapshots, over their number. */
import { join } from 'node:path'
import { build } from '../../test/embedded/engine.js'
import type { Benchmark } from '../frame/benchmark.js'
import { ask } from '../frame/child.js'
import { format } from '../frame/numbers.js'
import type { Row } from '../frame/result.js'
import type { Listed, Order } from './listing-program.js'

const release = '2.3'

const measures = [
  { key: 'rate', label: 'snapshots', unit: '1/s', better: 'more' as const },
  { key: 'delayP99', label: 'event loop delay, p99', unit: 'ms', better: 'less' as const, limit: 10 },
  { key: 'delayMaximum', label: 'event loop delay, worst', unit: 'ms', better: 'less' as const },
  { key: 'rss', label: 'memory', unit: 'MiB', better: 'less' as const },
]

export const listing: Benchmark = {
  name: 'listing',
  title: 'Listing snapshots',
  async run({ quick, say }) {
    const environment = {
      FLOCKER_ZFS_ENGINE: 'embedded',
      FLOCKER_ZFS_EMBEDDED_LIBRARY: (await build(release)).library,
    }
    const rows: Row[] = []
    for (const x of quick ? [1000] : [1000, 3000, 10_000]) {
      const order: Order = { snapshots: x, rounds: 3 }
      const listed = await ask<Listed>(join(__dirname, 'listing-program.js'), order, environment)
      const samples = listed.map(({ seconds, delayP99, delayMaximum, peakRss }) => ({
        ...{ rate: x / seconds, delayP99, delayMaximum, rss: peakRss / 1024 ** 2 },
      }))
      say(`${format(x)}: ${samples.map(({ rate }) => format(rate)).join(', ')} a second`)
      rows.push({ label: 'flocker-zfs', x, samples })
    }
    const about =
      'A recursive list with five properties of each snapshot, 100 in a dataset, from the embedded engine. Memory is the whole process with the engine in it, and its caches.'
    return {
      sections: [{ title: 'Snapshots listed', about, measures, axis: 'snapshots', rows }],
      versions: { OpenZFS: release },
    }
  },
}
