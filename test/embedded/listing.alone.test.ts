/** What a list of very many snapshots does to the event loop, at this machine's own speed. FLOCKER_ZFS_LISTING says how many. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { listSnapshots } from '../../src/datasets/index.js'
import * as lzc from '../../src/lzc/index.js'
import { useEngine, withDirectory } from './engine.js'

const count = Number(process.env.FLOCKER_ZFS_LISTING ?? 3000)
/** Those of one dataset are put in order at once. */
const ofEach = 100
const properties = ['used', 'referenced', 'written', 'userrefs', 'creation']
const resolution = 2
const mostMilliseconds = 20
/** Others on the machine make a loop late too: what a list does itself is there every time. */
const rounds = 3

async function lateness(): Promise<number> {
  const delay = monitorEventLoopDelay({ resolution })
  delay.enable()
  let seen = 0
  for await (const { properties: read } of listSnapshots('listing', { recursive: true, properties })) {
    seen += Object.keys(read).length === properties.length ? 1 : 0
  }
  delay.disable()
  assert.is(seen, count)
  return delay.max / 1e6 - resolution
}

test(`the event loop during a list of ${count} snapshots with five properties`, () =>
  withDirectory(async (directory) => {
    process.env.FLOCKER_ZFS_ENGINE = 'embedded'
    await lzc.openPool(directory, 'listing')
    const names = Array.from({ length: count / ofEach }, (_, i) => `listing/d${i}`)
    for (const name of names) await lzc.create(name)
    for (let i = 0; i < ofEach; i++) await lzc.snapshot(names.map((name) => `${name}@s${i}`))
    const late: number[] = []
    for (let round = 0; round < rounds; round++) late.push(await lateness())
    const text = late.map((milliseconds) => milliseconds.toFixed(0)).join(', ')
    console.log(`measured: a list of ${count} snapshots: event loop late by ${text} ms at most`)
    assert.ok(Math.min(...late) <= mostMilliseconds, text)
    await lzc.closePool('listing')
  }))

test.before(useEngine)

test.run()
