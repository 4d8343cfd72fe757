/** What bounds a push to a peer in another process is measured, and nothing of it stays behind. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { listDatasets } from '../../src/datasets/index.js'
import { type Host, type MeasureOptions, measurePath } from '../../src/index.js'
import * as lzc from '../../src/lzc/index.js'
import { failure } from '../zfs/pool.js'
import { type Agent, fill, mebibyte, openAlpha, openBeta, startBeta } from './cluster.js'
import { useEngine, withDirectory } from './engine.js'

const dataset = 'alpha/flocker/disk'

async function measure(alpha: Host, agent: Agent, options: MeasureOptions = {}) {
  await using beta = await alpha.connect(`127.0.0.1:${agent.port}`)
  return await measurePath(beta, { milliseconds: 1000, ...options })
}

/** One volume with a snapshot of so many MiB, and a small one. */
async function equipVolumes(alpha: Host, mebibytes: number): Promise<void> {
  for (const [name, size] of [
    ['disk', mebibytes],
    ['small', 1],
  ] as const) {
    const volume = await alpha.createVolume(name, { size: 256 * mebibyte })
    await fill(volume, 0, size)
    await lzc.snapshot([`${volume.dataset}@now`])
  }
}

/** Nothing but what was there is there, and nothing is held. */
async function checkNothingLeft(directory: string): Promise<void> {
  assert.equal(Object.keys(await lzc.getHolds(`${dataset}@now`)), [])
  await using _ = await openBeta(directory)
  const names: string[] = []
  for await (const { name } of listDatasets('beta', { recursive: true })) names.push(name)
  assert.equal(
    names.filter((name) => name.includes('measure')),
    [],
  )
}

test('every stage has a rate, and nothing stays', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    await equipVolumes(alpha, 96)
    {
      await using agent = await startBeta(directory)
      const stages: string[] = []
      const report = await measure(alpha, agent, { onStage: (stage) => stages.push(stage) })
      assert.equal(stages, ['cipher', 'source', 'wire', 'whole'])
      assert.is(report.peer, 'beta')
      assert.is(report.snapshot, `${dataset}@now`)
      assert.ok(report.cipher.here > 1_000_000n && report.cipher.there > 1_000_000n)
      for (const { bytes, milliseconds } of [report.source, report.wire, report.whole]) {
        assert.ok(bytes > 1_000_000n)
        assert.ok(milliseconds > 0 && milliseconds < 3000)
      }
      const { here, there } = report.wire
      for (const { process, machine, cores } of [here, there]) {
        assert.ok(process > 0 && process <= cores + 0.5)
        assert.ok(machine > 0 && machine <= 1)
      }
      assert.type(report.why, 'string')

      // Cut off in the middle, where ZFS itself forgets what has arrived; and whole.
      const short = await measure(alpha, agent, { milliseconds: 100 })
      assert.ok(short.whole.bytes > 0n)
      const whole = await measure(alpha, agent, { volume: 'small' })
      assert.ok(whole.whole.bytes > BigInt(mebibyte))
      await agent.end('SIGTERM')
    }
    await checkNothingLeft(directory)
  }))

test('an abort ends it, in every stage', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    await equipVolumes(alpha, 96)
    {
      await using agent = await startBeta(directory)
      for (const stage of ['source', 'wire', 'whole']) {
        const stop = new AbortController()
        const onStage = (begun: string): void => {
          if (begun === stage) setTimeout(() => stop.abort(), 50)
        }
        const error = await failure(measure(alpha, agent, { milliseconds: 1500, signal: stop.signal, onStage }))
        assert.is(error.code, 'ABORTED', stage)
      }
      await agent.end('SIGTERM')
    }
    await checkNothingLeft(directory)
  }))

test('what the peer does not allow, what is not there, and what makes no sense', () =>
  withDirectory(async (directory) => {
    await using alpha = await openAlpha(directory)
    const rules = [{ peer: 'alpha', verbs: ['receive'], datasets: ['beta/flocker/disk'] }]
    await writeFile(join(directory, 'rules.json'), JSON.stringify(rules))
    await using agent = await startBeta(directory)
    assert.is((await failure(measure(alpha, agent))).code, 'NOT_FOUND', 'there is no snapshot')
    assert.is((await failure(measure(alpha, agent, { milliseconds: 0 }))).code, 'INVALID_ARGUMENT')
    await equipVolumes(alpha, 1)
    assert.is((await failure(measure(alpha, agent))).code, 'NOT_AUTHORIZED')
    assert.is((await failure(measure(alpha, agent, { volume: 'none' }))).code, 'NOT_FOUND')
  }))

test.before(async () => {
  await useEngine()
})

test.run()
