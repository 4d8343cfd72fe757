/**
 * `node build/bench/plan.js`: how long planning takes for 100,000 snapshots on both sides, in one dataset and in a thousand, and
 * retention for as many.
 */
import { cpus } from 'node:os'
import Benchmark from 'benchmark'
import { formatPlan } from '../src/replication/planner/format-plan.js'
import { planTree } from '../src/replication/planner/plan-tree.js'
import type { Tree } from '../src/replication/planner/tree.js'
import { decideRetention } from '../src/replication/retention.js'

const total = 100_000

/** A tree whose datasets have the first so many snapshots of their histories. */
function tree(root: string, datasets: number, snapshots: number): Tree {
  const names = ['', ...Array.from({ length: datasets - 1 }, (_, i) => `d${i}`)]
  return {
    root,
    datasets: names.map((name, d) => ({
      ...{ name, type: 'filesystem' as const, guid: BigInt(d), encrypted: false, bookmarks: [] },
      snapshots: history(d, snapshots),
    })),
  }
}

function history(dataset: number, snapshots: number) {
  return Array.from({ length: snapshots }, (_, n) => ({
    name: `flocker-20260101T000000.000Z-${(n % 65536).toString(16).padStart(4, '0')}`,
    guid: 10n ** 18n + BigInt(dataset * total + n),
    createtxg: BigInt(n + 1),
    creation: 1_700_000_000n + 600n * BigInt(n),
  }))
}

function main(): void {
  console.log(`${cpus()[0]?.model} x ${cpus().length}; Node.js ${process.version}\n`)
  const suite = new Benchmark.Suite()
  for (const datasets of [1, 1000]) {
    const each = total / datasets
    const label = `${datasets.toLocaleString('en')} x ${each.toLocaleString('en')}`
    const source = tree('tank/a', datasets, each)
    const same = tree('pool/a', datasets, each)
    const behind = tree('pool/a', datasets, each / 2)
    const nothing: Tree = { root: 'pool/a', datasets: [] }
    const all = { initial: 'all', intermediate: 'all' } as const
    suite.add(`${label}: current`, () => planTree(source, same, all))
    suite.add(`${label}: half is there`, () => planTree(source, behind, all))
    suite.add(`${label}: nothing is there, all is sent`, () => planTree(source, nothing, all))
    const moved = { ...same, datasets: same.datasets.map((d) => ({ ...d, name: d.name && `was-${d.name}` })) }
    if (datasets > 1) suite.add(`${label}: all were renamed`, () => planTree(source, moved, all))
    const plan = planTree(source, behind, all)
    suite.add(`${label}: formatting the plan`, () => formatPlan(plan))
  }
  const snapshots = history(0, total)
  const now = new Date('2030-01-01')
  const policy = { last: 10, hourly: 24, daily: 30, weekly: 8, monthly: 12, yearly: 5 }
  suite.add(`retention of ${total.toLocaleString('en')}`, () => decideRetention(snapshots, policy, { now }))
  suite.on('cycle', ({ target }: Benchmark.Event) => {
    const { name, stats } = target as unknown as Benchmark
    const milliseconds = ((stats?.mean ?? Number.NaN) * 1000).toFixed(1)
    console.log(
      `${name?.padEnd(50)} ${milliseconds.padStart(8)} ms  ±${stats?.rme.toFixed(0)} %, ${stats?.sample.length} runs`,
    )
  })
  suite.run()
}

main()
