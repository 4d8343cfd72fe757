/**
 * How long a list of very many snapshots takes beside `zfs list`. FLOCKER_ZFS_LISTING says how many. What a list does to the event
 * loop is measured at the machine's own speed, in test/embedded.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type ListedSnapshot, listSnapshots } from '../../src/datasets/index.js'
import * as lzc from '../../src/lzc/index.js'
import { fresh, zfs } from './pool.js'

// The oldest profile's guest is there for what it answers: every system call of Node's own threads is dear in it.
const isOldest = process.env.TEST_PROFILE === 'oldest'
const count = Number(process.env.FLOCKER_ZFS_LISTING ?? (isOldest ? 500 : 1500))
const rounds = 3
/** How much longer the slowest round of zfs list may take than its fastest, on a machine that is steady enough to compare on. */
const steady = 1.3
const datasets = 50
const properties = ['used', 'referenced', 'written', 'userrefs', 'creation']

/** Snapshots can't be taken faster than one of a dataset in a transaction group, but of many datasets at once. */
async function manySnapshots(): Promise<string> {
  const root = fresh()
  const names = Array.from({ length: datasets }, (_, i) => `${root}/d${i}`)
  for (const name of [root, ...names]) await lzc.create(name)
  for (let i = 0; i < count / datasets; i++) await lzc.snapshot(names.map((name) => `${name}@s${i}`))
  return root
}

async function measure(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
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

const median = (numbers: number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? 0

const shown = (all: number[]): string => all.map((milliseconds) => `${milliseconds.toFixed(0)} ms`).join(', ')

test(`${count} snapshots with five properties`, async () => {
  const root = await manySnapshots()
  const list: number[] = []
  const command: number[] = []
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
  const spread = Math.max(...command) / Math.min(...command)
  const ratio = median(list) / median(command)
  const verdict =
    spread > steady ? ` (zfs list itself varies by ${spread.toFixed(1)}: no verdict on a machine this busy)` : ''
  const text = `ratio of medians ${ratio.toFixed(2)}${verdict}; ${shown(list)}; zfs list ${shown(command)}`
  console.log(`measured: ${count} snapshots, five properties: ${text}`)
  // At 10,000 it takes no longer than zfs list; fewer are over before everything is compiled. This is for what would be far off.
  assert.ok(isOldest || spread > steady || ratio <= 1.5, text)
})

test.run()
