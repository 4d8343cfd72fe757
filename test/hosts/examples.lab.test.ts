/** The examples that need hosts with container engines. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { livePostgres } from '../../examples/live-postgres/lab.js'
import { drainAndFail } from '../../examples/orchestrator/lab.js'
import { eventually } from '../zfs/pool.js'
import { Stage } from './stage.js'

test('the examples with containers: a PostgreSQL moves there and back, leaves a drained host, and comes back from a dead one', async () => {
  await using stage = await Stage.open()
  const said: string[] = []
  const show = (text: string): void => void said.push(text)
  try {
    const live = await livePostgres(stage, 2, show)
    assert.match(live, /^alpha → beta( +\d+){9}$/m)
    assert.match(live, /^beta → alpha( +\d+){9}$/m)
    assert.match(live, /^[1-9]\d* transactions acknowledged, 0 lost, 0 failed;/m)

    const report = await drainAndFail(stage, show)
    assert.equal([report.failed, report.lost], [0, 0])
    assert.match(said.join(''), /alpha: 0 applications, drained/)
    assert.match(said.join(''), /moved db to beta/)
    await eventually(async () => (await stage.running(['alpha'])).join() === 'db on alpha', 60_000)
  } catch (error) {
    console.error(said.join(''))
    throw error
  }
})

test.run()
