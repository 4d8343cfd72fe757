/** From pool to pool between two lab hosts: ours, syncoid, ssh, and a pipe within one host. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Cluster } from '../../test/hosts/cluster.js'
import type { Benchmark, Context } from '../frame/benchmark.js'
import type { Row, Section } from '../frame/result.js'
import { type Contender, interleave } from '../frame/rounds.js'
import { ensureTools } from '../tools/packages.js'
import { changeVolumes, destroyVolumes, type Load, makeVolumes } from './load.js'
import { equip } from './peers.js'
import { localLabel, type Move, pushLabel, syncoidLabel, ways } from './ways.js'

/** Small files in all, in place of 100,000; and MiB of the large file. */
const filesVariable = 'FLOCKER_ZFS_BENCH_FILES'
const sizeVariable = 'FLOCKER_ZFS_BENCH_LARGE'

const measures = [
  { key: 'seconds', label: 'time', unit: 's', better: 'less' as const },
  { key: 'throughput', label: 'throughput', unit: 'MB/s', better: 'more' as const },
  { key: 'whole', label: 'time with start-up', unit: 's', better: 'less' as const },
]

const about =
  'Two hosts of the lab, User-Mode Linux on one machine: trust the ratios, not the rates. Ours counts from connecting to the confirmation of the last volume, in a program that has started already; that start is in the last measure. Others are commands, with whatever they start. Volumes are pushed side by side by us, one after the other by syncoid (`--recursive`), and in one stream (`-R`) by `zfs send`. syncoid runs with its mbuffer, without compression, both ssh with aes128-gcm. The pipe in one host has no network, and one kernel where the others have two. Throughput is of the bytes of our own stream for all.'

const goals = [
  { measure: 'seconds', to: syncoidLabel, atMost: 1 },
  { measure: 'seconds', to: localLabel, atMost: 1.15 },
]

function loads(quick: boolean): Load[] {
  const large = Number(process.env[sizeVariable] ?? (quick ? 16 : 256)) * 1024 ** 2
  const small = Number(process.env[filesVariable] ?? (quick ? 800 : 100_000))
  const bytes = 1024
  return [
    { title: 'One large file, one volume', volumes: 1, files: 1, bytes: large },
    { title: 'One large file in each of sixteen volumes', volumes: 16, files: 1, bytes: large / 16 },
    { title: `${small.toLocaleString('en')} small files, one volume`, volumes: 1, files: small, bytes },
    { title: `${small.toLocaleString('en')} small files in sixteen volumes`, volumes: 16, files: small / 16, bytes },
  ]
}

/** Full streams, round by round into nothing; then as many incremental ones, each of a tenth written anew. */
async function compare(
  cluster: Cluster,
  load: Load,
  missing: string | undefined,
  context: Context,
): Promise<Section[]> {
  const rounds = context.quick ? 1 : 3
  await makeVolumes(cluster, load)
  const now: Move = { snapshot: 'base' }
  const contenders = ways.map(
    (way): Contender => ({
      label: way.label,
      missing: way.foreign && missing,
      run: () => way.move(cluster, load, now),
    }),
  )
  const clear = async (): Promise<void> => {
    for (const way of ways) await way.clear(cluster)
  }
  const full = await interleave(contenders, rounds, measures, context, clear)
  const next = async (round: number): Promise<void> => {
    now.from = now.snapshot
    now.snapshot = `round${round}`
    await changeVolumes(cluster, load, now.snapshot)
  }
  const incremental = await interleave(contenders, rounds, measures, context, next)
  await clear()
  await destroyVolumes(cluster)
  const section = (kind: string, rows: Row[]): Section => ({
    ...{ title: `${load.title}, ${kind}`, about, measures, ours: pushLabel, goals },
    rows: withThroughput(rows),
  })
  return [section('full', full), section('incremental', incremental)]
}

/** Ours tells how long its stream was: so is everybody's. */
function withThroughput(rows: Row[]): Row[] {
  const ours = rows.find(({ label }) => label === pushLabel)
  return rows.map((row) => ({
    ...row,
    samples: row.samples.map(({ seconds = Number.NaN, whole = Number.NaN }, round) => {
      const megabytes = ours?.samples[round]?.megabytes
      return { seconds, whole, ...(megabytes === undefined ? {} : { throughput: megabytes / seconds }) }
    }),
  }))
}

/** Builds what a lab host is made of, where it is not there: minutes, once. */
function prepareLab(): void {
  const program = join(__dirname, '../../test/lab/build/main.js')
  const built = spawnSync(process.execPath, [program, 'newest'], { stdio: 'inherit' })
  if (built.status !== 0) throw new Error('the lab could not be built')
}

export const hosts: Benchmark = {
  name: 'hosts',
  title: 'From pool to pool between two hosts',
  async lacks() {
    // Tools and an sshd go into the hosts, which must not be this machine.
    if (process.env.FLOCKER_ZFS_LAB === 'local') return 'FLOCKER_ZFS_LAB=local has no hosts of its own'
    return existsSync('/usr/bin/apt-get') ? undefined : 'the lab is built from Debian packages'
  },
  async run(context) {
    prepareLab()
    await using cluster = await Cluster.open({ disk: '8 GiB', memory: '2 GiB' })
    const tools = await ensureTools().catch((error: Error) => ({ missing: `can't be had: ${error.message}` }))
    const missing = 'missing' in tools ? tools.missing : undefined
    if (missing === undefined) await equip(cluster)
    const sections: Section[] = []
    for (const load of loads(context.quick)) {
      context.say(load.title)
      sections.push(...(await compare(cluster, load, missing, context)))
    }
    const { stdout } = await cluster.alpha.run(['sh', '-c', 'zfs version | head -1; uname -r'])
    const [zfs = '', kernel = ''] = stdout.trim().split('\n')
    const others =
      'missing' in tools ? {} : { sanoid: tools.versions.sanoid ?? '', ssh: tools.versions['openssh-client'] ?? '' }
    return { sections, versions: { OpenZFS: zfs, 'Linux of the hosts': kernel, ...others } }
  },
}
