import * as assert from 'uvu/assert'
import type { Cluster, PushRun, RunningPush } from './cluster.js'
import type { Resumed } from './guest/push.js'

/** How long the surviving side may take to tell its caller, in milliseconds. */
const noticeMilliseconds = 10_000

/** A volume of so many MiB whose first state beta has, and so many MiB more that it has not. */
export async function volumeWithReplica(cluster: Cluster, name: string, mebibytes = 48): Promise<void> {
  await cluster.createVolume(name)
  await cluster.fill(name, 'a', 2)
  const first = await cluster.push({ volume: name })
  assert.equal(first.error, undefined)
  await cluster.fill(name, 'b', mebibytes)
}

/** Starts a push over a slow link and waits until it is well under way. */
export async function pushHalfWay(cluster: Cluster, order: Parameters<Cluster['startPush']>[0]): Promise<RunningPush> {
  await cluster.link('alpha').throttle(8 * 1024 * 1024)
  const running = cluster.startPush(order)
  await running.reached(8 * 1024 * 1024)
  return running
}

/**
 * What must hold on both sides after any failed push: one typed error in time, the replica as it was, no hold, no descriptor or
 * thread too many. After an interruption the one snapshot that is to be gone on with, and its part on the peer; else nothing.
 */
export class Unharmed {
  private constructor(
    private readonly cluster: Cluster,
    private readonly ours: string[],
    private readonly theirs: string[],
    private readonly datasets: string[],
    private readonly holds: string[],
    private readonly agent: string,
  ) {}

  static async remember(cluster: Cluster): Promise<Unharmed> {
    return new Unharmed(
      cluster,
      await cluster.snapshots(cluster.alpha),
      await cluster.snapshots(cluster.beta),
      await cluster.datasets(cluster.beta),
      await cluster.holds(cluster.beta),
      await cluster.agentLeftover(),
    )
  }

  checkSender(run: PushRun): void {
    assert.is(run.events.filter(({ event }) => event === 'error').length, 1, 'one error')
    assert.is(run.result, undefined)
    assert.ok(
      (run.error?.afterMilliseconds ?? Number.NaN) < noticeMilliseconds,
      `told after ${run.error?.afterMilliseconds} ms`,
    )
    assert.equal(run.end?.after, run.end?.before, 'descriptors and threads')
  }

  async checkSource(after: 'refusal' | 'interruption'): Promise<void> {
    const snapshots = await this.cluster.snapshots(this.cluster.alpha)
    assert.equal(snapshots.slice(0, this.ours.length), this.ours)
    assert.is(snapshots.length, this.ours.length + (after === 'interruption' ? 1 : 0))
    const tags = (await this.cluster.holds(this.cluster.alpha)).map((line) => line.split('\t')[1])
    assert.equal(tags, after === 'interruption' ? ['flocker:to:beta'] : [])
  }

  async checkReplica(
    after: 'refusal' | 'interruption',
    agent: 'same agent' | 'new agent' = 'same agent',
  ): Promise<void> {
    const { beta } = this.cluster
    if (agent === 'same agent') await eventually(async () => assert.is(await this.cluster.agentLeftover(), this.agent))
    assert.equal(await this.cluster.snapshots(beta), this.theirs)
    const strip = (lines: string[]) => (after === 'refusal' ? lines : lines.map((line) => line.split('\t')[0]))
    assert.equal(strip(await this.cluster.datasets(beta)), strip(this.datasets))
    assert.equal(await this.cluster.holds(beta), this.holds)
  }
}

/** The receiving side has ten seconds too. */
export async function eventually(check: () => Promise<void>): Promise<void> {
  const deadline = Date.now() + noticeMilliseconds
  for (;;) {
    try {
      return await check()
    } catch (error) {
      if (Date.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
  }
}

/** After whatever happened, a push must simply work again, and leave nothing unfinished. Returns what it went on with. */
export async function checkRecovers(cluster: Cluster, volume: string): Promise<Resumed | undefined> {
  const { error, result } = await cluster.push({ volume })
  assert.equal(error, undefined)
  assert.is(result?.kind, 'incremental')
  assert.is(await cluster.replicaHashes(volume), await cluster.hashes(cluster.alpha, `/flocker/${volume}`))
  assert.equal(await cluster.holds(cluster.alpha), [])
  assert.not(
    (await cluster.datasets(cluster.beta)).some((line) => !line.endsWith('\t-')),
    'a part is left on beta',
  )
  const kept = (await cluster.snapshots(cluster.alpha)).map((line) => line.split('\t')[1])
  for (const line of await cluster.snapshots(cluster.beta)) assert.ok(kept.includes(line.split('\t')[1]), line)
  return result?.resumed
}
