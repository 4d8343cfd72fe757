/** One load, by every way. */
import type { Context } from '../frame/benchmark.js'
import type { Row, Section } from '../frame/result.js'
import { type Contender, interleave } from '../frame/rounds.js'
import { changeVolumes, destroyVolumes, type Load, makeVolumes } from './load.js'
import type { Stage } from './stage.js'
import { type Move, pushLabel, ways } from './ways.js'

const measures = [
  { key: 'seconds', label: 'time', unit: 's', better: 'less' as const },
  { key: 'throughput', label: 'throughput', unit: 'MB/s', better: 'more' as const },
  { key: 'whole', label: 'time with start-up', unit: 's', better: 'less' as const },
]

/**
 * Full streams, round by round into nothing; then as many incremental ones, each of a part written anew.
 * @param ready runs once the volumes are there
 */
export async function compare(
  { cluster, missing }: Stage,
  load: Load,
  { about, goals }: Pick<Section, 'about' | 'goals'>,
  context: Context,
  ready: () => Promise<void> = async () => undefined,
): Promise<Section[]> {
  const rounds = context.quick ? 1 : 3
  await makeVolumes(cluster, load)
  await ready()
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
