import { spawnSync } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { Worker } from 'node:worker_threads'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ArgumentError, NotSupportedError } from '../../src/errors.js'
import * as lzc from '../../src/lzc/index.js'
import { extraPool, moduleParameter, zpool } from './extra-pool.js'
import { eventually, failure, fill, filled, fresh, pause, pool, threads, zfs } from './pool.js'

const missing = 'nosuchpool'
const lzcPath = require.resolve('../../src/lzc/index.js')

test('initialize: started, suspended, cancelled; and each error', async () => {
  await using extra = await extraPool(['mirror', '0', '1'])
  await using _slow = await moduleParameter('zfs_initialize_chunk_size', '4096')
  const { name } = extra
  const state = (): Promise<string> => zpool('status', '-i', name)
  await lzc.initialize(name, 'start', { vdevs: ['disk0'] })
  assert.match(await state(), /disk0.*% initialized/)
  assert.not.match(await state(), /disk1.*% initialized/)
  const busy = (await failure(lzc.initialize(name, 'start'))) as lzc.ManyError
  assert.equal(
    [...busy.failures].map(([device, { code }]) => `${device} ${code}`),
    [`${extra.files[0]} BUSY`],
  )
  await lzc.initialize(name, 'suspend', { vdevs: ['disk0'] })
  assert.match(await state(), /disk0.*suspended/)
  await lzc.initialize(name, 'cancel')
  const idle = (await failure(lzc.initialize(name, 'cancel'))) as lzc.ManyError
  assert.is(idle.code, 'NOT_ACTIVE')
  assert.is(idle.failures.size, 2)
  assert.is((await failure(lzc.initialize(name, 'start', { vdevs: ['mirror-0'] }))).code, 'INVALID_ARGUMENT')
  assert.is((await failure(lzc.initialize(name, 'start', { vdevs: [77n] }))).code, 'NOT_FOUND')
  assert.is((await failure(lzc.initialize(name, 'start', { vdevs: ['disk9'] }))).code, 'NOT_FOUND')
  assert.is((await failure(lzc.initialize(missing, 'start'))).code, 'NOT_FOUND')
  assert.instance(await failure(lzc.initialize(name, 'stop' as 'start')), ArgumentError)
  if (lzc.features().lzc_scrub) await lzc.initialize(name, 'uninit')
  else assert.instance(await failure(lzc.initialize(name, 'uninit')), NotSupportedError)
})

test('initialize and trim: a pool that is read-only', async () => {
  await using extra = await extraPool()
  const { name } = extra
  await zpool('export', name)
  await zpool('import', '-o', 'readonly=on', '-d', extra.directory, name)
  assert.is((await failure(lzc.initialize(name, 'start'))).code, 'READ_ONLY')
  assert.is((await failure(lzc.trim(name, 'start'))).code, 'READ_ONLY')
})

test('trim: started, waited for, cancelled; and each error', async () => {
  await using extra = await extraPool(['mirror', '0', '1'])
  const { name } = extra
  await lzc.trim(name, 'start')
  await lzc.wait(name, 'trim')
  assert.match(await zpool('status', '-t', name), /disk1.*100% trimmed/)
  assert.is((await failure(lzc.trim(name, 'start', { secure: true }))).code, 'NOT_SUPPORTED')
  assert.is((await failure(lzc.trim(name, 'cancel'))).code, 'NOT_ACTIVE')
  assert.is((await failure(lzc.trim(missing, 'start'))).code, 'NOT_FOUND')
  assert.instance(await failure(lzc.trim(name, 'uninit' as 'start')), ArgumentError)
  for (const rate of [-1n, 2n ** 64n, 5 as unknown as bigint]) {
    assert.instance(await failure(lzc.trim(name, 'start', { rate })), ArgumentError)
  }
})

test('trim: not of what is being trimmed, nor of what is no device', async () => {
  await using extra = await extraPool(['mirror', '0', '1'])
  const { name } = extra
  await using _pieces = await moduleParameter('zfs_trim_extent_bytes_max', '65536')
  await lzc.trim(name, 'start', { vdevs: ['disk0'], rate: 1n })
  const busy = (await failure(lzc.trim(name, 'start', { vdevs: ['disk0', 'mirror-0', 77n] }))) as lzc.ManyError
  assert.equal(
    [...busy.failures].map(([device, { code }]) => `${device} ${code}`).sort(),
    [`${extra.files[0]} BUSY`, '77 NOT_FOUND', 'mirror-0 INVALID_ARGUMENT'].sort(),
  )
  assert.is((await failure(lzc.trim(name, 'start', { vdevs: ['disk9'] }))).code, 'NOT_FOUND')
  await lzc.trim(name, 'cancel', { vdevs: ['disk0'] })
})

test('scrub: started, paused, gone on with, stopped; and each error', async () => {
  if (!lzc.features().lzc_scrub) {
    const error = await failure(lzc.scrub(pool, 'start'))
    assert.instance(error, NotSupportedError)
    assert.match(error.message, /OpenZFS 2\.2/)
    return
  }
  await using extra = await extraPool()
  const { name } = extra
  await fill(name, 'a', 8)
  assert.is((await failure(lzc.scrub(name, 'stop'))).code, 'NOT_ACTIVE')
  assert.is((await failure(lzc.scrub(name, 'pause'))).code, 'NOT_ACTIVE')
  {
    await using _slow = await moduleParameter('zfs_scan_suspend_progress', '1')
    await lzc.scrub(name, 'start')
    assert.is((await failure(lzc.scrub(name, 'start'))).code, 'BUSY')
    await lzc.scrub(name, 'pause')
    assert.match(await zpool('status', name), /scrub paused/)
    await lzc.scrub(name, 'start')
    assert.match(await zpool('status', name), /scrub in progress/)
    await lzc.scrub(name, 'stop')
    assert.match(await zpool('status', name), /scrub canceled/)
  }
  await lzc.scrub(name, 'start')
  await lzc.wait(name, 'scrub')
  assert.match(await zpool('status', name), /scrub repaired 0B/)
  await lzc.scrub(name, 'start', { kind: 'errors' })
  await lzc.scrub(name, 'from-last')
  await lzc.wait(name, 'scrub')
  await lzc.scrub(name, 'start', { start: 0n, end: 4_000_000_000n })
  await lzc.wait(name, 'scrub')
  assert.is((await failure(lzc.scrub(missing, 'start'))).code, 'NOT_FOUND')
  assert.is((await failure(lzc.scrub(missing, 'stop'))).code, 'NOT_FOUND')
  assert.instance(await failure(lzc.scrub(name, 'resume' as 'start')), ArgumentError)
  assert.instance(await failure(lzc.scrub(name, 'start', { kind: 'all' as 'scrub' })), ArgumentError)
})

test('a wait ends when its activity does', async () => {
  await using extra = await extraPool(['mirror', '0', '1'])
  const { name } = extra
  assert.is(await lzc.wait(name, 'initialize'), false)
  await fill(name, 'a', 4)
  const resume = await moduleParameter('zfs_scan_suspend_progress', '1')
  await zpool('scrub', name)
  let done = false
  const waiting = lzc.wait(name, 'scrub').then((waited) => {
    done = true
    return waited
  })
  await pause(200)
  assert.is(done, false)
  await resume[Symbol.asyncDispose]()
  assert.is(await waiting, true)
})

/** A pool of its own, whose scrub makes no progress. */
async function standingScrub(): Promise<AsyncDisposable & { name: string }> {
  const extra = await extraPool(['mirror', '0', '1'])
  await fill(extra.name, 'a', 4)
  const slow = await moduleParameter('zfs_scan_suspend_progress', '1')
  await zpool('scrub', extra.name)
  return {
    name: extra.name,
    async [Symbol.asyncDispose]() {
      await slow[Symbol.asyncDispose]()
      await extra[Symbol.asyncDispose]()
    },
  }
}

test('waits are ended by their signals, and leave no thread', async () => {
  await using scrub = await standingScrub()
  const { name } = scrub
  await lzc.exists(name)
  const before = threads()
  for (let i = 0; i < 50; i++) {
    const abort = new AbortController()
    const waits = [0, 1, 2].map(() => failure(lzc.wait(name, 'scrub', { signal: abort.signal })))
    // At every moment of a wait's beginning.
    if (i % 5 > 0) await pause(i % 5)
    const started = performance.now()
    abort.abort()
    for (const { code } of await Promise.all(waits)) assert.is(code, 'ABORTED')
    const milliseconds = performance.now() - started
    assert.ok(milliseconds < 1000, `it took ${milliseconds} ms`)
  }
  assert.is((await failure(lzc.wait(name, 'scrub', { signal: AbortSignal.timeout(50) }))).code, 'TIMEOUT')
  assert.is((await failure(lzc.wait(name, 'scrub', { signal: AbortSignal.abort() }))).code, 'ABORTED')
  await eventually(() => threads() <= before)
})

test('a worker that waits can be terminated', async () => {
  await using scrub = await standingScrub()
  const { name } = scrub
  const before = threads()
  for (let i = 0; i < 5; i++) {
    const source = `
      const { parentPort, workerData } = require('node:worker_threads')
      const lzc = require(workerData.lzcPath)
      lzc.wait(workerData.name, 'scrub')
      parentPort.postMessage('ready')`
    const worker = new Worker(source, { eval: true, workerData: { lzcPath, name } })
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    await pause(i * 10)
    const started = performance.now()
    await worker.terminate()
    assert.ok(performance.now() - started < 2000, 'it does not hang')
  }
  await eventually(() => threads() <= before)
})

/** How many real-time signals have a handler. The first few are glibc's own. */
async function realTimeHandlers(): Promise<number> {
  const caught = /^SigCgt:\s*([0-9a-f]+)$/m.exec(await readFile('/proc/self/status', 'utf8'))?.[1] ?? ''
  const beyondFirst = BigInt(`0x${caught}`) >> 34n
  return beyondFirst.toString(2).replaceAll('0', '').length
}

test('waits in several workers at once are ended by one and the same signal', async () => {
  await using scrub = await standingScrub()
  const { name } = scrub
  const source = `
    const { parentPort, workerData } = require('node:worker_threads')
    const lzc = require(workerData.lzcPath)
    const wait = () => lzc.wait(workerData.name, 'scrub', { signal: AbortSignal.timeout(20) }).catch(({ code }) => code)
    const rounds = async () => { for (let i = 0; i < 10; i++) parentPort.postMessage(await wait()) }
    rounds().then(() => parentPort.close())`
  const codes: unknown[] = []
  const workers = Array.from({ length: 4 }, () => new Worker(source, { eval: true, workerData: { lzcPath, name } }))
  const ends = workers.map((worker) => {
    worker.on('message', (code) => codes.push(code))
    return new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject))
  })
  for (let i = 0; i < 10; i++) {
    codes.push((await failure(lzc.wait(name, 'scrub', { signal: AbortSignal.timeout(20) }))).code)
  }
  await Promise.all(ends)
  assert.equal(codes, Array(50).fill('TIMEOUT'))
  assert.is(await realTimeHandlers(), 1)
})

test('a process that waits can exit', async () => {
  await using scrub = await standingScrub()
  const { name } = scrub
  const source = `
    require(${JSON.stringify(lzcPath)}).wait(${JSON.stringify(name)}, 'scrub')
    setTimeout(() => process.exit(7), 200)`
  const { status } = spawnSync(process.execPath, ['-e', source], { timeout: 20_000 })
  assert.is(status, 7)
})

test('waitTag: one device', async () => {
  await using extra = await extraPool(['mirror', '0', '1'])
  await using _slow = await moduleParameter('zfs_initialize_chunk_size', '4096')
  const { name } = extra
  await lzc.initialize(name, 'start', { vdevs: ['disk0'] })
  assert.is(await lzc.waitTag(name, 'initialize', 'disk1'), false)
  const signal = AbortSignal.timeout(100)
  assert.is((await failure(lzc.waitTag(name, 'initialize', 'disk0', { signal }))).code, 'TIMEOUT')
  await lzc.initialize(name, 'cancel', { vdevs: ['disk0'] })
  assert.is((await failure(lzc.waitTag(name, 'trim', 'disk9'))).code, 'NOT_FOUND')
  assert.is((await failure(lzc.waitTag(name, 'trim', 77n))).code, 'INVALID_ARGUMENT')
})

test('waitFs: until deleted files are freed', async () => {
  const name = await filled(1)
  assert.is(await lzc.waitFs(name, 'deleteq'), false)
  {
    await using _slow = await moduleParameter('zfs_unlink_suspend_progress', '1')
    await rm(`/${name}/a0`)
    const signal = AbortSignal.timeout(200)
    assert.is((await failure(lzc.waitFs(name, 'deleteq', { signal }))).code, 'TIMEOUT')
  }
  // They are freed when it is next mounted.
  await zfs('unmount', name)
  await zfs('mount', name)
  await lzc.waitFs(name, 'deleteq', { signal: AbortSignal.timeout(10_000) })
  assert.is(await lzc.waitFs(name, 'deleteq'), false)
  assert.is((await failure(lzc.waitFs(fresh(), 'deleteq'))).code, 'NOT_FOUND')
  assert.instance(await failure(lzc.waitFs(`${name}@1`, 'deleteq')), ArgumentError)
})

test('wait: each error', async () => {
  assert.is((await failure(lzc.wait(missing, 'scrub'))).code, 'NOT_FOUND')
  assert.instance(await failure(lzc.wait(pool, 'lunch' as 'scrub')), ArgumentError)
  assert.instance(await failure(lzc.wait(`${pool}/a`, 'scrub')), ArgumentError)
  if (process.env.TEST_PROFILE === 'oldest') {
    assert.instance(await failure(lzc.wait(pool, 'raidz_expand')), NotSupportedError)
  } else {
    assert.is(await lzc.wait(pool, 'raidz_expand'), false)
  }
})

test.run()
