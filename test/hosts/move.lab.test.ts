/** A PostgreSQL under load moves between two hosts; its clients, at the front, only wait a moment. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Application } from '../../src/index.js'
import { agentPort } from '../lab/pair.js'
import { checkout } from '../lab/paths.js'
import { eventually } from '../zfs/pool.js'
import { type Load, Stage } from './stage.js'

const moves = Number(process.env.FLOCKER_ZFS_MOVES ?? 2)
/** On a machine that does nothing else: 10 s. */
const longestStall = 30_000

/** What a move is refused with. */
async function refusal(moving: Promise<unknown>): Promise<string> {
  try {
    await moving
    return 'moved'
  } catch (error) {
    return /\[([A-Z_]+)\]/.exec((error as Error).message)?.[1] ?? String(error)
  }
}

const leaseProgram = `
const { openHost } = require('./build/src/index.js')
const main = async () => {
  const host = await openHost({ pool: 'tank', credentials: '/etc/flocker-zfs', recovery: 'none' })
  const lease = await host.acquireLease('pgdata', 'backup')
  process.stdin.on('end', async () => { await host.releaseLease(lease); await host.close() }).resume()
  console.log('leased')
}
main()`

/** It runs on where it is, untouched, and its clients notice nothing. */
async function checkRefusals(stage: Stage, load: Load): Promise<void> {
  const [alpha, beta] = [stage.host('alpha'), stage.host('beta')]
  assert.is(await refusal(stage.move('alpha', 'beta', 'db', '--image', 'require')), 'IMAGE_MISSING')
  assert.is(await refusal(stage.move('alpha', 'nobody')), 'PEER_UNREACHABLE')
  assert.is(await refusal(stage.move('alpha', 'front')), 'DESTINATION_UNREADY')

  // Far off, it can't be told whose word is the later one.
  await beta.run(['date', '-s', '+1 hour'])
  assert.is(await refusal(stage.move('alpha', 'beta')), 'CLOCK_DIFFERS')
  await beta.run(['date', '-s', '-1 hour'])

  const server = beta.spawn([
    'node',
    '-e',
    'require("net").createServer().listen(5432, () => console.log("listening"))',
  ])
  await server.nextLine()
  assert.is(await refusal(stage.move('alpha', 'beta')), 'DESTINATION_UNREADY')
  server.kill()

  const lease = alpha.spawn(['node', '-e', leaseProgram], { cwd: checkout })
  assert.is(await lease.nextLine(), 'leased')
  assert.is(await refusal(stage.move('alpha', 'beta')), 'LEASED')
  assert.is(await refusal(stage.flocker(alpha, 'volumes', 'destroy', 'pgdata')), 'LEASED')
  lease.stdin.end()
  await lease.exit
  assert.is(await refusal(stage.flocker(alpha, 'volumes', 'destroy', 'pgdata')), 'IN_USE')
  assert.is(await refusal(stage.flocker(alpha, 'handoff', 'pgdata', `beta:${agentPort}`)), 'IN_USE')
  assert.equal(await stage.running(), ['db on alpha'])
  assert.ok((await load.look()).acknowledged > 0)
}

/** What has more than one volume takes them all along. */
async function checkCompanions(stage: Stage): Promise<void> {
  const [alpha, beta] = [stage.host('alpha'), stage.host('beta')]
  const application: Application = {
    name: 'pair',
    image: 'localhost/lab/busybox:1',
    command: ['sh', '-c', 'echo "$(hostname)" >> /one/log; echo x >> /two/log; exec sleep 100000'],
    volumes: [
      { volume: 'one', path: '/one' },
      { volume: 'two', path: '/two' },
    ],
    stopSeconds: 0,
  }
  for (const name of ['one', 'two']) await stage.flocker(alpha, 'volumes', 'create', name)
  await alpha.writeFile('/etc/pair.json', JSON.stringify(application))
  await stage.flocker(alpha, 'containers', 'start', '/etc/pair.json', '--engine', '/run/docker.sock')
  assert.is(await refusal(stage.flocker(alpha, 'handoff', 'two', `beta:${agentPort}`)), 'IN_USE')
  await stage.move('alpha', 'beta', 'pair')
  const { stdout } = await beta.run(['sh', '-c', 'wc -l < /flocker/one/log; wc -l < /flocker/two/log'])
  assert.is(stdout, '2\n2\n')
  assert.equal(
    (await stage.running()).filter((each) => each.startsWith('pair')),
    ['pair on beta'],
  )
}

/** Aborted while it is stopped, it runs on where it was. */
async function checkAbort(stage: Stage, load: Load): Promise<void> {
  const seen = stage.logs.get('alpha')?.length ?? 0
  const moving = stage.startMove('alpha', 'beta')
  await stage.says('alpha', '"phase":"stop"', seen)
  moving.kill('SIGINT')
  assert.is((await moving.exit).status, 1)
  const { acknowledged } = await load.look()
  await eventually(async () => (await stage.running()).includes('db on alpha'), 60_000)
  await eventually(async () => (await load.look()).acknowledged > acknowledged, 60_000)
  assert.equal(await stage.running(), ['db on alpha'])
}

test(`${moves} moves under load lose no transaction`, async () => {
  await using stage = await Stage.open({ images: ['alpha'] })
  await stage.startDatabase()
  const load = stage.startLoad()
  await load.started()
  await checkRefusals(stage, load)
  await checkAbort(stage, load)
  let [from, to] = ['alpha', 'beta']
  const pauses: string[] = []
  for (let i = 0; i < moves; i++) {
    const moved = await stage.move(from, to)
    const { acknowledged, stall } = await load.look()
    const split = Object.entries(moved.phases).map(([phase, milliseconds]) => `${phase} ${Math.round(milliseconds)}`)
    console.log(
      `measured: move ${i + 1}: clients waited ${Math.round(moved.pauseMilliseconds)} ms, longest transaction ${stall} ms, ` +
        `${acknowledged} acknowledged (${split.join(', ')})`,
    )
    pauses.push(`${stall}`)
    assert.equal(await stage.running(), [`db on ${to}`])
    ;[from, to] = [to, from]
  }
  await checkCompanions(stage)
  const report = await load.end()
  console.log(`measured: ${JSON.stringify(report)}`)
  assert.equal([report.failed, report.lost], [0, 0])
  assert.ok(report.acknowledged > moves * 8, `${report.acknowledged} transactions`)
  assert.ok(report.longestStall < longestStall, `the longest stall: ${report.longestStall} ms`)
})

test.run()
