/** What a replication's status and pruning go by, on the kernel's ZFS. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { discardPartialReceive } from '../../src/datasets/index.js'
import * as lzc from '../../src/lzc/index.js'
import { cursorName, pendingProperty, receivedTag, sendingTag } from '../../src/replication/names.js'
import { readTraces } from '../../src/replication/read-traces.js'
import { judgeStale } from '../../src/replication/stale.js'
import { collect, eventually, failure, fill, filled, fresh, pause } from './pool.js'

test('reads marks, holds, clones and cursors; holds of others are counted, not judged', async () => {
  const name = await filled(1)
  await lzc.snapshot(`${name}@1`, { [pendingProperty]: 'beta' })
  await lzc.snapshot(`${name}@2`)
  await lzc.clone(`${name}@2`, fresh())
  await lzc.hold({ [`${name}@1`]: sendingTag('beta') })
  await lzc.hold({ [`${name}@1`]: 'backup' })
  const { snapshots, holds, cursors, partial } = await readTraces(name)
  const [first, second] = snapshots
  assert.equal([first?.pendingFor, first?.userrefs, first?.cloned], ['beta', 2n, false])
  assert.equal([second?.pendingFor, second?.userrefs, second?.cloned], [undefined, 0n, true])
  assert.equal(
    holds.map(({ snapshot, tag, kind, peer }) => [snapshot, tag, kind, peer]),
    [['1', sendingTag('beta'), 'to', 'beta']],
  )
  assert.ok(Math.abs(Date.now() - (holds[0]?.created.getTime() ?? 0)) < 60_000)
  assert.equal([cursors, partial], [[], undefined])

  await lzc.bookmark({ [`${name}#${cursorName('beta', first?.guid ?? 0n)}`]: `${name}@1` })
  const traces = await readTraces(name)
  assert.equal(
    traces.cursors.map(({ peer, guid }) => [peer, guid]),
    [['beta', first?.guid]],
  )
  const stale = judgeStale(traces, { now: new Date(), staleMilliseconds: 1e9, receiving: false })
  assert.equal(
    stale.map(({ kind, name: of }) => [kind, of]),
    [
      ['hold', `${name}@1`],
      ['mark', `${name}@1`],
    ],
  )
})

test('tells when the receive began that has left a part, also of a replica that was there before; one under way is not discarded', async () => {
  const name = await filled(4)
  await lzc.snapshot(`${name}@1`)
  const replica = fresh()
  const full = await collect(lzc.send(`${name}@1`))
  await receive(`${replica}@1`, full, full.length)
  await pause(1100)
  await fill(name, 'b', 8)
  await lzc.snapshot(`${name}@2`)
  const increment = await collect(lzc.send(`${name}@2`, { from: `${name}@1` }))
  const { receiving, result } = begin(`${replica}@2`)
  receiving.write(increment.subarray(0, 6_000_000))
  await eventually(async () => (await readTraces(replica)).partial !== undefined)
  assert.is((await failure(discardPartialReceive(replica))).code, 'BUSY')
  receiving.end()
  assert.is((await failure(result)).code, 'STREAM_TRUNCATED')

  const { partial, snapshots, holds } = await readTraces(replica)
  assert.is(partial?.decoded?.toname, `${name}@2`)
  const [source] = (await readTraces(name)).snapshots.slice(-1)
  assert.ok((partial?.since?.getTime() ?? 0) >= Number(source?.creation) * 1000)
  assert.equal([snapshots.map((each) => each.name), holds], [['1'], []])
  await lzc.hold({ [`${replica}@1`]: receivedTag('alpha') })
  await discardPartialReceive(replica)
  assert.is((await readTraces(replica)).partial, undefined)

  const fresher = fresh()
  await failure(receive(`${fresher}@1`, full, 3_000_000))
  const { partial: only } = await readTraces(fresher)
  assert.ok(Math.abs(Date.now() - (only?.since?.getTime() ?? 0)) < 60_000)
})

function begin(snapshot: string) {
  const receiving = lzc.receive(snapshot, { resumable: true })
  // The result says it all.
  receiving.on('error', () => undefined)
  return { receiving, result: receiving.result }
}

async function receive(snapshot: string, stream: Buffer, bytes: number): Promise<unknown> {
  const { receiving, result } = begin(snapshot)
  receiving.end(stream.subarray(0, bytes))
  return result
}

test.run()
