/** A PostgreSQL under load moves between two hosts; its clients, at the front, only wait a moment. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Stage } from './stage.js'

const moves = Number(process.env.FLOCKER_ZFS_MOVES ?? 10)
const longestStall = 10_000

test(`${moves} moves under load lose no transaction`, async () => {
  await using stage = await Stage.open({ images: ['alpha'] })
  await stage.startDatabase()
  const load = stage.startLoad()
  await load.started()
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
  const report = await load.end()
  console.log(`measured: ${JSON.stringify(report)}`)
  assert.equal([report.failed, report.lost], [0, 0])
  assert.ok(report.acknowledged > moves * 8, `${report.acknowledged} transactions`)
  assert.ok(report.longestStall < longestStall, `the longest stall: ${report.longestStall} ms`)
})

test.run()
