/** Hands a volume over between two embedded hosts, so many times, each a new one. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { handoffVolume } from '../../src/index.js'
import { TwoHosts } from '../../test/embedded/two-hosts.js'
import { fill } from '../embedded/fill.js'
import { answer } from '../frame/child.js'

export interface Order {
  mebibytes: number
  rounds: number
}

/** In milliseconds. */
export type Handed = { pause: number; whole: number }[]

async function work({ mebibytes, rounds }: Order): Promise<Handed> {
  const directory = await mkdtemp(join(tmpdir(), 'flocker-zfs-handoff-'))
  try {
    await using two = await TwoHosts.open(directory)
    const handed: Handed = []
    for (let round = 0; round < rounds; round++) {
      const volume = await fill(two.alpha, `volume${round}`, mebibytes, 'mixed')
      const { pauseMilliseconds, milliseconds } = await handoffVolume(volume, two.toBeta)
      handed.push({ pause: pauseMilliseconds, whole: milliseconds })
    }
    return handed
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

if (require.main === module) answer(work)
