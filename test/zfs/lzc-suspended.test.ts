/**
 * A pool whose device fails: a file that can't grow any more. ZFS then suspends the pool (failmode=wait), until the file can grow and
 * somebody says zpool clear.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  discardPartialReceive,
  getPool,
  getProperties,
  getReceivedProperties,
  inheritProperty,
  listBookmarks,
  listDatasets,
  listPools,
  listSnapshots,
  mount,
  mountAll,
  readResumeToken,
  setProperties,
  unmountAll,
} from '../../src/datasets/index.js'
import { type FlockerError, NotSupportedError } from '../../src/errors.js'
import * as lzc from '../../src/lzc/index.js'
import { feed } from '../conformance/streams.js'
import { destroyPool, moduleParameter, zpool } from './extra-pool.js'
import { all, collect, eventually, failure, fill, pause, pool, threads } from './pool.js'

const name = `failing${process.pid}`
const directory = `/tmp/${name}`

const sh = (script: string): Promise<unknown> => promisify(execFile)('sh', ['-ec', script])

const health = async (): Promise<string> => (await zpool('list', '-Ho', 'health', name)).trim()

let stream: Buffer

/** A pool that has 512 MiB by its own account, and room for a part of them. */
async function makePool(): Promise<void> {
  await sh(`mkdir ${directory}; mount -t tmpfs -o size=120m tmpfs ${directory}; truncate -s 512M ${directory}/disk`)
  await zpool('create', '-O', `mountpoint=/${name}`, '-O', 'compression=off', name, `${directory}/disk`)
  await fill(name, 'a', 8)
  await lzc.snapshot(`${name}@1`)
  await lzc.bookmark({ [`${name}#b`]: `${name}@1` })
  stream = await collect(lzc.send(`${name}@1`))
}

/** Writes more than there is room for, which suspends the pool. Disposed of, the pool is mended, and all is written. */
async function suspend(): Promise<AsyncDisposable> {
  const writer = spawn('sh', ['-c', `dd if=/dev/zero of=/${name}/x bs=1M count=200; sync`], { stdio: 'ignore' })
  const written = once(writer, 'exit')
  await eventually(async () => (await health()) === 'SUSPENDED', 60_000)
  return {
    async [Symbol.asyncDispose]() {
      await sh(`mount -o remount,size=600m ${directory}`)
      await zpool('clear', name)
      await written
    },
  }
}

/** All that asks the kernel for something of a pool. */
const asked: Readonly<Record<string, () => Promise<unknown>>> = {
  bookmark: () => lzc.bookmark({ [`${name}#c`]: `${name}@1` }),
  changeKey: () => lzc.changeKey(name, { command: 'inherit' }),
  channelProgram: () => lzc.channelProgram(name, 'return 1'),
  channelProgramNosync: () => lzc.channelProgramNosync(name, 'return 1'),
  clone: () => lzc.clone(`${name}@1`, `${name}/clone`),
  create: () => lzc.create(`${name}/new`),
  ddtPrune: () => lzc.ddtPrune(name, { percentage: 1 }),
  destroy: () => lzc.destroy(`${name}@1`),
  destroyBookmarks: () => lzc.destroyBookmarks([`${name}#b`]),
  destroySnapshots: () => lzc.destroySnapshots([`${name}@1`]),
  discardPartialReceive: () => discardPartialReceive(name),
  exists: () => lzc.exists(name),
  getBookmarkProps: () => lzc.getBookmarkProps(`${name}#b`),
  getBookmarks: () => lzc.getBookmarks(name),
  getBootenv: () => lzc.getBootenv(name),
  getHolds: () => lzc.getHolds(`${name}@1`),
  getProperties: () => getProperties(name),
  getReceivedProperties: () => getReceivedProperties(name),
  hold: () => lzc.hold({ [`${name}@1`]: 'x' }),
  inheritProperty: () => inheritProperty(name, 'compression'),
  initialize: () => lzc.initialize(name, 'start'),
  listBookmarks: () => all(listBookmarks(name)),
  listDatasets: () => all(listDatasets(name)),
  listSnapshots: () => all(listSnapshots(name)),
  loadKey: () => lzc.loadKey(name, Buffer.alloc(32)),
  mount: () => mount(name),
  mountAll: () => mountAll(name),
  poolCheckpoint: () => lzc.poolCheckpoint(name),
  poolCheckpointDiscard: () => lzc.poolCheckpointDiscard(name),
  poolPrefetch: () => lzc.poolPrefetch(name, 'ddt'),
  promote: () => lzc.promote(name),
  readResumeToken: () => readResumeToken(name),
  receive: () => feed(stream, `${name}/received@1`),
  redact: () => lzc.redact(`${name}@1`, 'r', [`${name}@1`]),
  release: () => lzc.release({ [`${name}@1`]: 'x' }),
  reopen: () => lzc.reopen(name),
  rename: () => lzc.rename(`${name}@1`, `${name}@2`),
  rollback: () => lzc.rollback(name),
  rollbackTo: () => lzc.rollbackTo(name, `${name}@1`),
  scrub: () => lzc.scrub(name, 'start'),
  send: () => collect(lzc.send(`${name}@1`)),
  sendSpace: () => lzc.sendSpace(`${name}@1`),
  setBootenv: () => lzc.setBootenv(name, {}),
  setVdevProps: () => lzc.setVdevProps(name, 'disk', { comment: 'x' }),
  setProperties: () => setProperties(name, { 'com.example:a': 'b' }),
  snapshot: () => lzc.snapshot(`${name}@2`),
  snaprangeSpace: () => lzc.snaprangeSpace(`${name}@1`, `${name}@1`),
  sync: () => lzc.sync(name),
  trim: () => lzc.trim(name, 'start'),
  unloadKey: () => lzc.unloadKey(name),
  unmountAll: () => unmountAll(name),
  wait: () => lzc.wait(name, 'scrub'),
  waitFs: () => lzc.waitFs(name, 'deleteq'),
  waitTag: () => lzc.waitTag(name, 'trim', 'disk'),
}

test.before(makePool)

test.after(async () => {
  await destroyPool(name)
  await sh(`umount ${directory}; rmdir ${directory}`)
})

test('each function says that the pool is suspended, and that what waits can be ended', async () => {
  const before = threads()
  await using _stopped = await moduleParameter('zfs_scan_suspend_progress', '1')
  await zpool('scrub', name)
  const abort = new AbortController()
  const waiting = failure(lzc.wait(name, 'scrub', { signal: abort.signal }))
  {
    await using _suspended = await suspend()
    assert.equal((await Promise.all(Object.entries(asked).map(otherAnswer))).filter(Boolean), [])
    assert.ok((await listPools()).includes(name))
    assert.is((await getPool(name)).vdevs[0]?.path, `${directory}/disk`)
    assert.is((await lzc.getVdevs(name)).type, 'root')
    if (process.env.TEST_PROFILE !== 'oldest') {
      assert.ok((await lzc.getVdevProps(name, 'disk', ['size'])).size)
      assert.ok((await lzc.getPoolProps(name)).guid)
    }
    assert.ok(await lzc.exists(pool), 'the other pool is as it was')
    const started = performance.now()
    abort.abort()
    assert.is((await waiting).code, 'ABORTED')
    const milliseconds = performance.now() - started
    // Dozens of calls have just ended on the host's one processor.
    assert.ok(milliseconds < 5000, `a wait was ended in ${milliseconds} ms`)
  }
  await eventually(() => threads() <= before)
})

test('once it is mended, it goes on', async () => {
  assert.is(await health(), 'ONLINE')
  await lzc.sync(name, { force: true })
  await lzc.wait(name, 'scrub')
  await lzc.snapshot(`${name}@2`)
  assert.ok(await lzc.exists(`${name}@2`))
  for (const gone of ['new', 'clone', 'received']) assert.is(await lzc.exists(`${name}/${gone}`), false)
})

/** What a call came to, where that is not the error that it should be. */
async function otherAnswer([call, ask]: [string, () => Promise<unknown>]): Promise<string> {
  try {
    await Promise.race([ask(), pause(60_000)])
    return `${call}: no error, or none in time`
  } catch (error) {
    if (error instanceof NotSupportedError && process.env.TEST_PROFILE === 'oldest') return ''
    const { code, next = '' } = error as FlockerError
    return code === 'POOL_SUSPENDED' && next.includes('zpool clear') ? '' : `${call}: ${error}`
  }
}

test.run()
