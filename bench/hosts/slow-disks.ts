/** From pool to pool where the disks are slower than the processors. */
import type { Benchmark } from '../frame/benchmark.js'
import type { Section } from '../frame/result.js'
import { compare } from './compare.js'
import { bringInjector, delayWrites, endDelays } from './delay.js'
import { about, goals } from './index.js'
import type { Load } from './load.js'
import { lacks, openStage } from './stage.js'

/** With writes of so many KiB at most (zfs(4), zfs_vdev_aggregation_limit), a pool takes 31 MiB/s. */
const millisecondsPerWrite = 4
const kibibytesPerWrite = 128

const slow = `As between two hosts, but each disk does one write after the other and needs ${millisecondsPerWrite} ms for each of up to ${kibibytesPerWrite} KiB, by OpenZFS's own fault injector: the processors wait for the disks, and whoever writes to them gets ${((kibibytesPerWrite / 1024) * 1000) / millisecondsPerWrite} MiB/s. What a push waits for besides its stream, transactions of either pool for holds and the cursor, costs the same whatever the size: it is what the short stream shows. ${about}`

function loads(quick: boolean): Load[] {
  const load = (mebibytes: number): Load => ({
    title: `${mebibytes.toLocaleString('en')} MiB in one volume`,
    ...{ volumes: 1, files: 1, bytes: mebibytes * 1024 ** 2, every: 1 },
  })
  return quick ? [load(64)] : [load(1024), load(16)]
}

export const slowDisks: Benchmark = {
  name: 'slow-disks',
  title: 'From pool to pool, limited by disks',
  lacks,
  async run(context) {
    await using stage = await openStage('24 GiB')
    await bringInjector(stage.cluster)
    const sections: Section[] = []
    for (const load of loads(context.quick)) {
      context.say(load.title)
      const ready = (): Promise<void> => delayWrites(stage.cluster, millisecondsPerWrite, kibibytesPerWrite)
      sections.push(...(await compare(stage, load, { about: slow, goals }, context, ready)))
      await endDelays(stage.cluster)
    }
    return { sections, versions: stage.versions }
  },
}
