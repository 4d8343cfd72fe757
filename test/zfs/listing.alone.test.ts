/** How long a list of very many snapshots takes beside `zfs list`, and what it does to the event loop. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type ListedSnapshot, listSnapshots } from '../../src/datasets/index.js'
import * as lzc from '../../src/lzc/index.js'
import { fresh, zfs } from './pool.js'

// The oldest profile's guest is there for what it answers, not for how fast: it gets a tenth.
const [count, rounds] = process.env.TEST_PROFILE === 'oldest' ? [1000, 5] : [10_000, 3]
const datasets = 20
const properties = ['used', 'referenced', 'written', 'userrefs', 'creation']
const resolution = 5

/** Snapshots can't be taken faster than one of a dataset in a transaction group, but of many datasets at once. */
async function manySnapshots(): Promise<string> {
  const root = fresh()
  const names = Array.from({ length: datasets }, (_, i) => `${root}/d${i}`)
  for (const name of [root, ...names]) await lzc.create(name)
  for (let i = 0; i < count / datasets; i++) await lzc.snapshot(names.map((name) => `${name}@s${i}`))
  return root
}

interface Measured<T> {
  value: T
  milliseconds: number
  /** The longest that the event loop was late, in milliseconds. */
  late: number
}

async function measure<T>(work: () => Promise<T>): Promise<Measured<T>> {
  const delay = monitorEventLoopDelay({ resolution })
  delay.enable()
  const started = performance.now()
  const value = await work()
  const milliseconds = performance.now() - started
  delay.disable()
  return { value, milliseconds, late: delay.max / 1e6 - resolution }
}

async function ours(root: string): Promise<ListedSnapshot[]> {
  const snapshots: ListedSnapshot[] = []
  for await (const snapshot of listSnapshots(root, { recursive: true, properties })) snapshots.push(snapshot)
  return snapshots
}

const theirs = (root: string): Promise<string> =>
  zfs('list', '-Hpr', '-t', 'snapshot', '-o', `name,${properties.join()}`, root)

const lines = (snapshots: ListedSnapshot[]): string[] =>
  snapshots.map(({ name, properties: read }) => [name, ...properties.map((each) => read[each]?.value)].join('\t'))

const median = (numbers: number[]): number => numbers.sort((a, b) => a - b)[numbers.length >> 1] ?? 0

test(`${count} snapshots with five properties`, async () => {
  const root = await manySnapshots()
  const list: Measured<ListedSnapshot[]>[] = []
  const command: Measured<string>[] = []
  for (let round = 0; round < rounds; round++) {
    command.push(await measure(() => theirs(root)))
    list.push(await measure(() => ours(root)))
  }
  assert.is(list[0]?.value.length, count)
  assert.is(
    lines(list[0]?.value ?? [])
      .sort()
      .join('\n'),
    command[0]?.value.trimEnd().split('\n').sort().join('\n'),
  )
  const times = [list, command].map((each) => median(each.map(({ milliseconds }) => milliseconds)))
  const [own = 0, other = 0] = times
  const ratio = own / other
  // What the machine does to the loop comes and goes; what a list does to it is there in every round.
  const late = Math.min(...list.map((each) => each.late))
  const lateOther = Math.max(...command.map((each) => each.late))
  const rows = [list, command].map((each) =>
    each.map(({ milliseconds, late }) => `${milliseconds.toFixed(0)} (${late.toFixed(1)})`).join(', '),
  )
  console.log(
    `measured: ${count} snapshots, five properties: ${own.toFixed(0)} ms, zfs list ${other.toFixed(0)} ms, ratio ${ratio.toFixed(2)}; ` +
      `event loop late by ${late.toFixed(1)} ms at most (each: ${rows[0]}; zfs list: ${rows[1]})`,
  )
  assert.ok(ratio <= 1.05, `ratio ${ratio}`)
  assert.ok(late <= Math.max(20, lateOther), `late by ${late} ms`)
})

test.run()
