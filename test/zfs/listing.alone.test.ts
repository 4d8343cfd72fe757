/** How long a list of very many snapshots takes beside `zfs list`, and what it does to the event loop. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type ListedSnapshot, listSnapshots } from '../../src/datasets/index.js'
import * as lzc from '../../src/lzc/index.js'
import { fresh, zfs } from './pool.js'

// The oldest profile's guest is there for what it answers, not for how fast: it gets a tenth.
const [count, rounds] = process.env.TEST_PROFILE === 'oldest' ? [1000, 5] : [10_000, 3]
/** How much longer the slowest round of zfs list may take than its fastest, on a machine that is steady enough to compare on. */
const steady = 1.3
const datasets = 50
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

interface Measured {
  milliseconds: number
  /** The longest that the event loop was late, in milliseconds. */
  late: number
}

async function measure(work: () => Promise<unknown>): Promise<Measured> {
  const delay = monitorEventLoopDelay({ resolution })
  delay.enable()
  const started = performance.now()
  await work()
  const milliseconds = performance.now() - started
  delay.disable()
  return { milliseconds, late: delay.max / 1e6 - resolution }
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

const ratioOf = (list: Measured[], command: Measured[]): number =>
  median(list.map(({ milliseconds }) => milliseconds)) / median(command.map(({ milliseconds }) => milliseconds))

const shown = (all: Measured[]): string =>
  all.map(({ milliseconds, late }) => `${milliseconds.toFixed(0)} ms (loop late by ${late.toFixed(0)})`).join(', ')

test(`${count} snapshots with five properties`, async () => {
  const root = await manySnapshots()
  const list: Measured[] = []
  const command: Measured[] = []
  let [snapshots, output]: [ListedSnapshot[], string] = [[], '']
  const work = [
    async () => command.push(await measure(async () => (output = await theirs(root)))),
    async () => list.push(await measure(async () => (snapshots = await ours(root)))),
  ]
  for (let round = 0; round < rounds; round++) {
    for (const each of round % 2 === 0 ? work : [...work].reverse()) await each()
  }
  const inOrder = (text: string[]): string => text.sort().join('\n')
  assert.is(snapshots.length, count)
  assert.is(inOrder(lines(snapshots)), inOrder(output.trimEnd().split('\n')))
  const ratio = ratioOf(list, command)
  const times = command.map(({ milliseconds }) => milliseconds)
  const spread = Math.max(...times) / Math.min(...times)
  const verdict =
    spread > steady ? ` (zfs list itself varies by ${spread.toFixed(1)}: no verdict on a machine this busy)` : ''
  const text = `ratio of medians ${ratio.toFixed(2)}${verdict}; ${shown(list)}; zfs list ${shown(command)}`
  console.log(`measured: ${count} snapshots, five properties: ${text}`)
  assert.ok(spread > steady || ratio <= 1, text)
  // Others make the loop late now and then, and as much while zfs list runs; what a list itself does is there every time.
  const late = Math.min(...list.map((each) => each.late))
  assert.ok(late <= Math.max(20, ...command.map((each) => each.late)), text)
})

test.run()
