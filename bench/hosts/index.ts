/** From pool to pool between two lab hosts: ours, syncoid, ssh, and a pipe within one host. */
import type { Benchmark } from '../frame/benchmark.js'
import type { Section } from '../frame/result.js'
import { compare } from './compare.js'
import type { Load } from './load.js'
import { lacks, openStage } from './stage.js'
import { localLabel, syncoidLabel } from './ways.js'

/** Small files in all, in place of 100,000; and MiB of the large file. */
const filesVariable = 'FLOCKER_ZFS_BENCH_FILES'
const sizeVariable = 'FLOCKER_ZFS_BENCH_LARGE'

export const about =
  'Two hosts of the lab, User-Mode Linux on one machine: trust the ratios, not the rates. Ours counts from connecting to the confirmation of the last volume, in a program that has started already; that start is in the last measure. Others are commands, with whatever they start. Volumes are pushed side by side by us, one after the other by syncoid (`--recursive`), and in one stream (`-R`) by `zfs send`. syncoid runs with its mbuffer, without compression, both ssh with aes128-gcm. The pipe in one host has no network, and one kernel where the others have two. Throughput is of the bytes of our own stream for all.'

export const goals = [
  { measure: 'seconds', to: syncoidLabel, atMost: 1 },
  { measure: 'seconds', to: localLabel, atMost: 1.15 },
]

function loads(quick: boolean): Load[] {
  const large = Number(process.env[sizeVariable] ?? (quick ? 16 : 256)) * 1024 ** 2
  const small = Number(process.env[filesVariable] ?? (quick ? 800 : 100_000))
  const [bytes, every] = [1024, 10]
  return [
    { title: 'One large file, one volume', volumes: 1, files: 1, bytes: large, every },
    { title: 'One large file in each of sixteen volumes', volumes: 16, files: 1, bytes: large / 16, every },
    { title: `${small.toLocaleString('en')} small files, one volume`, volumes: 1, files: small, bytes, every },
    {
      title: `${small.toLocaleString('en')} small files in sixteen volumes`,
      volumes: 16,
      files: small / 16,
      bytes,
      every,
    },
  ]
}

export const hosts: Benchmark = {
  name: 'hosts',
  title: 'From pool to pool between two hosts',
  lacks,
  async run(context) {
    await using stage = await openStage()
    const sections: Section[] = []
    for (const load of loads(context.quick)) {
      context.say(load.title)
      sections.push(...(await compare(stage, load, { about, goals }, context)))
    }
    return { sections, versions: stage.versions }
  },
}
