/** A peer that is alive, and slow or stuck: what its sink has taken is told, and tells one from the other. */
import { PassThrough, Readable, Writable } from 'node:stream'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { stalledOn, Watchdog } from '../../src/replication/watchdog.js'
import { Cluster, endless, failure, pair, type Scope, scoped, until } from './transport-fixtures.js'

const HEARTBEAT = { intervalMilliseconds: 50, timeoutMilliseconds: 400 }

let cluster: Cluster

test.before(async () => {
  cluster = await Cluster.create()
})

test.after(() => cluster.destroy())

/** Takes a chunk, then waits; says nothing of its end until that was let come. */
class SlowSink extends Writable {
  bytes = 0
  finish: (() => void) | undefined
  #release: (() => void) | undefined

  constructor(
    /** How long a chunk takes; undefined for ever. */
    public milliseconds: number | undefined,
    readonly holdFinish = false,
  ) {
    super()
  }

  override _write(chunk: Buffer, _: string, done: () => void): void {
    const taken = () => {
      this.bytes += chunk.length
      done()
    }
    if (this.milliseconds === undefined) this.#release = taken
    else setTimeout(taken, this.milliseconds)
  }

  override _final(done: () => void): void {
    if (this.holdFinish) this.finish = done
    else done()
  }

  /** Takes the chunk that it has held. */
  goOn(): void {
    this.#release?.()
  }
}

/** A transfer watched as a push watches its own. */
async function watched(scope: Scope, source: Readable, sink: Writable, stallMilliseconds: number) {
  const { channels } = await pair(scope, cluster, { near: { heartbeat: HEARTBEAT }, far: { heartbeat: HEARTBEAT } })
  const { near, far } = await channels()
  const standing = { sent: 0n, taken: 0n }
  const reports: bigint[] = []
  const dog = new Watchdog('push', undefined, stallMilliseconds)
  scope.defer(() => dog[Symbol.dispose]())
  dog.explain = () => stalledOn({ ...standing, ended: source.readableEnded }, 'beta')
  const sending = near.send(source, {
    signal: dog.signal,
    onBytes: (bytes) => {
      standing.sent = bytes
    },
    onTaken: (bytes) => {
      standing.taken = bytes
      reports.push(bytes)
      dog.touch()
    },
  })
  return { sending, receiving: far.receive(sink), standing, reports }
}

const bytes = (length: number): Readable => Readable.from([Buffer.alloc(length, 1)])

test(
  'a slow sink is progress, long after everything has left, and all that it has taken is told',
  scoped(async (scope) => {
    const sink = new SlowSink(40)
    const transfer = await watched(scope, bytes(800_000), sink, 1500)
    await until(() => transfer.standing.sent === 800_000n)
    assert.ok(sink.bytes < 400_000)
    assert.equal(await Promise.all([transfer.sending, transfer.receiving]), [800_000n, 800_000n])
    const { reports } = transfer
    assert.ok(reports.length >= 4, `${reports}`)
    assert.ok(
      reports.every((taken, index) => index === 0 || taken > (reports[index - 1] as bigint)),
      `${reports}`,
    )
    assert.is(reports[reports.length - 1], 800_000n)
  }),
)

test(
  'a sink that takes nothing while its host is alive ends in TIMEOUT, not PEER_LOST; the other end learns it',
  scoped(async (scope) => {
    const sink = new SlowSink(undefined)
    const transfer = await watched(scope, endless(), sink, 1200)
    const started = performance.now()
    const [sender, receiver] = await Promise.all([failure(transfer.sending), failure(transfer.receiving)])
    assert.is(sender.code, 'TIMEOUT')
    assert.match(sender.message, /no progress for 1.2 s: beta is alive and has taken 0 of the \d+ bytes sent/)
    assert.ok(performance.now() - started > 1100)
    // It reads nothing, so it learns no more than that the sender has gone.
    assert.ok(['TIMEOUT', 'PEER_LOST'].includes(receiver.code), receiver.code)
  }),
)

test(
  'a sink that stands still for less than the deadline, again and again, is not given up on',
  scoped(async (scope) => {
    const sink = new SlowSink(undefined)
    const transfer = await watched(scope, bytes(200_000), sink, 1500)
    for (let n = 0; n < 4; n += 1) {
      if (n === 3) sink.milliseconds = 1
      sink.goOn()
      await new Promise((resolve) => setTimeout(resolve, 700))
    }
    assert.equal(await Promise.all([transfer.sending, transfer.receiving]), [200_000n, 200_000n])
  }),
)

test(
  'a source that gives no more, and a confirmation that does not come, are named as what they are',
  scoped(async (scope) => {
    const source = new PassThrough()
    source.write(Buffer.alloc(1000))
    const stalled = await watched(scope, source, new SlowSink(0), 600)
    const [error] = await Promise.all([failure(stalled.sending), failure(stalled.receiving)])
    assert.match(error.message, /beta has taken the 1000 bytes there were, and this host's ZFS gives no more/)

    const sink = new SlowSink(0, true)
    const unconfirmed = await watched(scope, bytes(5000), sink, 600)
    const [late] = await Promise.all([failure(unconfirmed.sending), failure(unconfirmed.receiving)])
    assert.match(late.message, /beta is alive, has taken all 5000 bytes, and does not confirm them/)
    assert.is(unconfirmed.standing.taken, 5000n)
  }),
)

test(
  'a confirmation that takes longer than heartbeats may be silent is waited for',
  scoped(async (scope) => {
    const sink = new SlowSink(0, true)
    const transfer = await watched(scope, bytes(5000), sink, 10_000)
    await until(() => sink.finish !== undefined)
    await new Promise((resolve) => setTimeout(resolve, 3 * HEARTBEAT.timeoutMilliseconds))
    sink.finish?.()
    assert.equal(await Promise.all([transfer.sending, transfer.receiving]), [5000n, 5000n])
  }),
)

test.run()
