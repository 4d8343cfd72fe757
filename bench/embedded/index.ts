/** pushVolume between two processes with pools in files, at this machine's own speed, beside the same stream through less. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createCa, createHostCertificate } from '../../src/index.js'
import { build } from '../../test/embedded/engine.js'
import type { Benchmark, Context } from '../frame/benchmark.js'
import type { Section } from '../frame/result.js'
import { interleave } from '../frame/rounds.js'
import type { Content } from './fill.js'
import { type Place, pushLabel, startEnd, ways } from './ways.js'

const release = '2.3'
const sharedMemory = '/dev/shm'
const contents: readonly Content[] = ['random', 'compressible']

const measures = [
  { key: 'throughput', label: 'throughput', unit: 'MB/s', better: 'more' as const },
  { key: 'cpu', label: 'CPU, both ends', unit: 's/GB', better: 'less' as const },
]

async function makePlace(mebibytes: number): Promise<Place> {
  const needed = 4 * contents.length * mebibytes * 1024 ** 2
  const { bavail, bsize } = existsSync(sharedMemory) ? await statfs(sharedMemory) : { bavail: 0, bsize: 0 }
  const base = bavail * bsize > needed ? sharedMemory : tmpdir()
  const directory = await mkdtemp(join(base, 'flocker-zfs-bench-'))
  await createCa(join(directory, 'ca'))
  for (const identity of ['alpha', 'beta']) {
    const addresses = ['127.0.0.1']
    await createHostCertificate(join(directory, 'ca'), join(directory, 'certs', identity), { identity, addresses })
  }
  return { directory, engine: await build(release), mebibytes }
}

async function compare(place: Place, name: Content, context: Context): Promise<Section> {
  await startEnd(place, { role: 'fill', name }).ended()
  const contenders = Object.entries(ways).map(([label, way]) => ({
    label,
    run: async () => {
      await rm(join(place.directory, 'beta'), { recursive: true, force: true })
      return way(place, name)
    },
  }))
  const rows = await interleave(contenders, context.quick ? 1 : 5, measures, context)
  const where = place.directory.startsWith(sharedMemory) ? 'memory (/dev/shm)' : 'files on disk'
  const about = `${place.mebibytes} MiB of ${name} data in a volume, sent compressed as it is stored, into a new pool; pools in ${where}, the embedded engine in both processes. Throughput is of bytes of the stream.`
  return { title: `A volume of ${name} data`, about, measures, rows, ours: pushLabel }
}

export const embedded: Benchmark = {
  name: 'embedded',
  title: 'A push between embedded hosts',
  async run(context) {
    const place = await makePlace(context.quick ? 64 : 512)
    try {
      const sections: Section[] = []
      for (const name of contents) sections.push(await compare(place, name, context))
      return { sections, versions: { OpenZFS: release } }
    } finally {
      await rm(place.directory, { recursive: true, force: true })
    }
  },
}
