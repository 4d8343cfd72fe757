/** Worker threads: each has the addon to itself, and all have one OpenZFS. */
import { Worker } from 'node:worker_threads'
import * as assert from 'uvu/assert'
import * as lzc from '../../src/lzc/index.js'
import { fresh, leavesNothing, pause } from '../zfs/pool.js'
import { conformance } from './engine.js'
import { digestOf, newVolume, sent } from './streams.js'

const lzcPath = require.resolve('../../src/lzc/index.js')

const workers: Record<string, string> = {
  'mid-send': 'lzc.send(snapshot).once("readable", ready)',
  'mid-receive': `const to = lzc.receive(target); to.on("error", () => {}); to.write(workerData.head, ready)`,
  'with both at work': 'lzc.send(snapshot).pipe(lzc.receive(target)); setTimeout(ready, 100)',
  'with a temporary hold': 'lzc.hold({ [snapshot]: "worker" }, { temporary: true }).then(ready)',
  'in the middle of short calls': '(async () => { for (;;) await lzc.exists(snapshot) })(); setTimeout(ready, 100)',
  'just after starting a send': 'lzc.send(snapshot); lzc.receive(target); ready()',
}

/** Starts a worker that has `lzc` and workerData, and waits for its first message. */
async function startWorker<Message>(body: string, workerData: object): Promise<{ worker: Worker; message: Message }> {
  const source = `
    const { parentPort, workerData } = require('node:worker_threads')
    const lzc = require(workerData.lzcPath)
    const { snapshot, target } = workerData
    const ready = () => parentPort.postMessage('ready');
    ${body}`
  const worker = new Worker(source, { eval: true, workerData: { lzcPath, ...workerData } })
  const message = await new Promise<Message>((resolve, reject) => worker.once('message', resolve).once('error', reject))
  return { worker, message }
}

conformance('workers', (test, engine) => {
  for (const [when, body] of Object.entries(workers)) {
    test(`a worker is terminated ${when}`, async () => {
      const snapshot = `${await newVolume(engine, 8)}@1`
      await lzc.snapshot(snapshot)
      const head = (await sent(snapshot)).subarray(0, 2_000_000)
      const endSome = async (): Promise<void> => {
        for (let i = 0; i < 5; i++) {
          const { worker } = await startWorker(body, { snapshot, target: `${fresh()}@1`, head })
          await pause(i * 20)
          const started = performance.now()
          await worker.terminate()
          assert.ok(performance.now() - started < 2000, 'it does not hang')
        }
      }
      await leavesNothing(endSome, engine.kind === 'kernel')
      assert.equal(Object.keys(await lzc.getHolds(snapshot)), [])
    })
  }

  test('several workers at once', async () => {
    const snapshot = `${await newVolume(engine, 2)}@1`
    await lzc.snapshot(snapshot)
    const body = `
      const hash = require('node:crypto').createHash('sha256')
      const done = () => parentPort.postMessage(hash.digest('hex'))
      lzc.send(snapshot).on('data', (data) => hash.update(data)).once('end', done)`
    const started = await Promise.all(Array.from({ length: 4 }, () => startWorker<string>(body, { snapshot })))
    const expected = digestOf(await sent(snapshot))
    assert.equal(
      started.map(({ message }) => message),
      Array(4).fill(expected),
    )
    await Promise.all(started.map(({ worker }) => worker.terminate()))
  })
})
