/** How long a volume is out of service while it changes hands, over its size. */
import { join } from 'node:path'
import { build } from '../../test/embedded/engine.js'
import type { Benchmark } from '../frame/benchmark.js'
import { ask } from '../frame/child.js'
import { format } from '../frame/numbers.js'
import type { Row } from '../frame/result.js'
import type { Handed, Order } from './handoff-program.js'

const release = '2.3'

const measures = [
  { key: 'pause', label: 'out of service', unit: 'ms', better: 'less' as const },
  { key: 'whole', label: 'whole handoff', unit: 'ms', better: 'less' as const },
]

export const handoff: Benchmark = {
  name: 'handoff',
  title: 'Handoff of a volume',
  async run({ quick, say }) {
    const environment = { FLOCKER_ZFS_EMBEDDED_LIBRARY: (await build(release)).library }
    const rows: Row[] = []
    for (const x of quick ? [16, 64] : [16, 64, 256, 1024]) {
      const order: Order = { mebibytes: x, rounds: quick ? 1 : 3 }
      const samples = await ask<Handed>(join(__dirname, 'handoff-program.js'), order, environment)
      const told = samples.map(({ pause, whole }) => `${format(pause)} of ${format(whole)} ms`)
      say(`${x} MiB: out of service for ${told.join(', ')}`)
      rows.push({ label: 'flocker-zfs', x, samples })
    }
    const about =
      'A full volume that nobody writes to any more goes to a host that has nothing of it; both hosts are in one process, with the embedded engine and pools in files. The time out of service must not grow with the volume: what is copied then is what was written since the last round.'
    return {
      sections: [{ title: 'Time out of service over volume size', about, measures, axis: 'MiB', rows }],
      versions: { OpenZFS: release },
    }
  },
}
