/**
 * The power of either host goes in a phase of a move: afterwards the application runs once, on the owner of its volume, its clients go on,
 * and nothing that was acknowledged is lost. Some cases by default; all of them with FLOCKER_ZFS_PHASES=all, or those whose name has a text.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { movePhases } from '../../src/containers/move-phases.js'
import type { MovePhase } from '../../src/index.js'
import { eventually } from '../zfs/pool.js'
import { database, type Load, Stage } from './stage.js'

const all = movePhases.flatMap((phase) => [`giver in ${phase}`, `taker in ${phase}`])
/** The taker comes back only once the giver has given up waiting for it. */
const late = 'taker in start late'
const some = ['giver in push', 'taker in start']
const wanted = process.env.FLOCKER_ZFS_PHASES
const cases =
  wanted === undefined
    ? some
    : wanted === 'all'
      ? [...all, late]
      : [...all, late].filter((name) => name.includes(wanted))
const settleMilliseconds = 150_000

interface Listed {
  name: string
  served: boolean
  owner: { host: string }
}

/** Who says to own and serve the volume. */
async function owners(stage: Stage): Promise<string[]> {
  const found: string[] = []
  for (const name of ['alpha', 'beta']) {
    const volumes = JSON.parse(await stage.flocker(stage.host(name), 'volumes', 'list', '--json')) as Listed[]
    if (volumes.some(({ name: volume, served }) => volume === 'pgdata' && served)) found.push(name)
  }
  return found
}

async function isSettled(stage: Stage, load: Load, before: number, stalls: number[]): Promise<boolean> {
  const [running, owner] = [await stage.running(), await owners(stage)]
  assert.ok(running.length <= 1, `it runs twice: ${running}`)
  assert.ok(owner.length <= 1, `two own it: ${owner}`)
  if (running.length === 0 || running[0] !== `db on ${owner[0]}`) return false
  const { acknowledged, stall } = await load.look()
  stalls.push(stall)
  return acknowledged > before
}

test(`power cuts in ${cases.length} phases of moves`, async () => {
  await using stage = await Stage.open()
  await stage.startDatabase()
  const load = stage.startLoad(4)
  await load.started()
  for (const name of cases) {
    const [victim = '', phase = ''] = name.replace(' late', '').split(' in ')
    const [running = ''] = await stage.running()
    const from = running.replace('db on ', '')
    const to = from === 'alpha' ? 'beta' : 'alpha'
    // Each case moves from where it runs: what is cut is the giver or the taker.
    const cut = victim === 'giver' ? from : to
    // So that it is sent.
    if (phase === 'image') await stage.engines.get(to)?.docker(['rmi', '-f', database.image])
    const seen = stage.logs.get(from)?.length ?? 0
    const moving = stage.move(from, to).then(
      () => 'moved',
      (error: Error) => error.message.split('\n').find((line) => line.includes('[')) ?? error.message,
    )
    const ended = moving.then(() => undefined)
    await Promise.race([stage.says(from, `"phase":"${phase}"`, seen), ended])
    await stage.host(cut).cutPower()
    const began = performance.now()
    const { acknowledged } = await load.look()
    const stalls: number[] = []
    // Before the volume's owner has changed, the giver goes on without the taker; later it waits for it.
    const alone = cut === to && movePhases.indexOf(phase as MovePhase) < movePhases.indexOf('start')
    if (!alone && name !== late) await stage.revive(cut)
    const outcome = await moving
    if (name === late) await stage.revive(cut)
    if (alone) {
      await eventually(async () => (await stage.running([from])).length === 1, 60_000)
      await stage.revive(cut)
    }
    await eventually(() => isSettled(stage, load, acknowledged, stalls), settleMilliseconds).catch((error) => {
      throw new Error(`${name}: not settled (${outcome})\n${stage.lastWords()}`, { cause: error })
    })
    const seconds = ((performance.now() - began) / 1000).toFixed(0)
    // The first that ends is the one that has waited.
    const stall = Math.max(...stalls, (await load.look()).stall)
    console.log(
      `measured: ${victim} off in ${phase}: ${(await stage.running())[0]} after ${seconds} s, ` +
        `longest transaction ${(stall / 1000).toFixed(0)} s; ${outcome}`,
    )
  }
  const report = await load.end()
  console.log(`measured: ${JSON.stringify(report)}`)
  assert.equal([report.failed, report.lost], [0, 0])
})

test.run()
