/** Planning and retention, over the number of snapshots on both sides. */
import { formatPlan } from '../../src/replication/planner/format-plan.js'
import { planTree } from '../../src/replication/planner/plan-tree.js'
import type { Tree } from '../../src/replication/planner/tree.js'
import { decideRetention } from '../../src/replication/retention.js'
import type { Benchmark } from '../frame/benchmark.js'
import { type Case, measure, milliseconds } from './measure.js'

const perDataset = 100

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
    guid: 10n ** 18n + BigInt(dataset) * 10n ** 6n + BigInt(n),
    createtxg: BigInt(n + 1),
    creation: 1_700_000_000n + 600n * BigInt(n),
  }))
}

/** So many snapshots in so many datasets. */
function cases(x: number, datasets: number): Case[] {
  const each = x / datasets
  const source = tree('tank/a', datasets, each)
  const same = tree('pool/a', datasets, each)
  const behind = tree('pool/a', datasets, each / 2)
  const moved = { ...same, datasets: same.datasets.map((d) => ({ ...d, name: d.name && `was-${d.name}` })) }
  const all = { initial: 'all', intermediate: 'all' } as const
  const plan = planTree(source, behind, all)
  return [
    { label: 'all is there', x, run: () => planTree(source, same, all) },
    { label: 'half is there', x, run: () => planTree(source, behind, all) },
    { label: 'nothing is there', x, run: () => planTree(source, { root: 'pool/a', datasets: [] }, all) },
    ...(datasets > 1 ? [{ label: 'all were renamed', x, run: () => planTree(source, moved, all) }] : []),
    { label: 'formatting the plan', x, run: () => formatPlan(plan) },
  ]
}

function retention(x: number): Case {
  const snapshots = history(0, x)
  const now = new Date('2030-01-01')
  const policy = { last: 10, hourly: 24, daily: 30, weekly: 8, monthly: 12, yearly: 5 }
  return { label: 'retention', x, run: () => decideRetention(snapshots, policy, { now }) }
}

export const planner: Benchmark = {
  name: 'planner',
  title: 'Planning over 1,000 to 100,000 snapshots',
  async run(context) {
    const sizes = context.quick ? [1000, 10_000] : [1000, 10_000, 100_000]
    const sampleOf = (seconds: number) => ({ milliseconds: seconds * 1000 })
    const section = (title: string, about: string, list: Case[]) => ({
      ...{ title, about, measures: [milliseconds], axis: 'snapshots' },
      rows: measure(list, context, sampleOf),
    })
    return {
      sections: [
        section(
          'One dataset',
          'A plan of what is to be sent, all snapshots being in one dataset; and retention, which decides what of them to keep.',
          sizes.flatMap((x) => [...cases(x, 1), retention(x)]),
        ),
        section(
          `${perDataset} snapshots a dataset`,
          'The same for a tree.',
          sizes.flatMap((x) => cases(x, x / perDataset)),
        ),
      ],
    }
  },
}
