import { randomBytes } from 'node:crypto'
import { open, readFile, truncate, writeFile } from 'node:fs/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { getProperties, inheritProperty, setProperties } from '../../src/datasets/index.js'
import { ArgumentError, NotSupportedError } from '../../src/errors.js'
import * as lzc from '../../src/lzc/index.js'
import { openAddon } from '../../src/lzc/native.js'
import { feed } from '../conformance/streams.js'
import { extraPool, fileBytes, moduleParameter, zpool } from './extra-pool.js'
import { collect, failure, fill, pause, pool } from './pool.js'

const missing = 'nosuchpool'
const has = lzc.features()

/** Where the library lacks the function, it must say which release has it; else the test goes on. */
async function lacks(name: lzc.LzcFunction, release: string, call: () => Promise<unknown>): Promise<boolean> {
  if (has[name]) return false
  const error = await failure(call())
  assert.instance(error, NotSupportedError)
  assert.match(error.message, new RegExp(`${name}.*OpenZFS ${release}`))
  return true
}

/** Leaves no space in a pool that anybody but what it is reserved for can use. */
async function takeAllSpace(pool: string): Promise<void> {
  const available = async (): Promise<bigint> => (await getProperties(pool)).available?.value as bigint
  await lzc.create(`${pool}/reserved`, { properties: { reservation: (await available()) - 1_000_000n } })
  const own = (await getProperties(`${pool}/reserved`)).reservation?.value as bigint
  await setProperties(`${pool}/reserved`, { reservation: own + (await available()) })
}

test('features: each function, and the release that makes', () => {
  const { version, ...functions } = has
  assert.is(Object.keys(functions).length, 55)
  const absent = Object.keys(functions).filter((name) => !functions[name as lzc.LzcFunction])
  assert.is(version, process.env.TEST_PROFILE === 'oldest' ? '2.1' : '2.3')
  assert.is(absent.length, process.env.TEST_PROFILE === 'oldest' ? 9 : 0, absent.join())
})

test('the library exports no function that is not known', async () => {
  const native = openAddon()
  // Zero-terminated names, of which some are those of functions that it doesn't export.
  const library = await readFile(native.features().path, 'latin1')
  const names = new Set(library.match(/(?<=\0)lzc_[a-z_]+(?=\0)/g))
  for (const name of names) if (native.has(name)) assert.ok(Object.hasOwn(has, name), name)
  assert.ok(names.has('lzc_create'))
})

test('sync', async () => {
  await lzc.sync(pool)
  await lzc.sync(pool, { force: true })
  assert.is((await failure(lzc.sync(missing))).code, 'NOT_FOUND')
  assert.instance(await failure(lzc.sync(`${pool}/a`)), ArgumentError)
})

test('reopen sees that a device has grown', async () => {
  await using extra = await extraPool()
  await truncate(extra.files[0] as string, 2 * fileBytes)
  assert.is(await zpool('get', '-Hpo', 'value', 'expandsize', extra.name), '-\n')
  await lzc.reopen(extra.name)
  assert.is(await zpool('get', '-Hpo', 'value', 'expandsize', extra.name), `${fileBytes}\n`)
  await lzc.reopen(extra.name, { restartScrub: false })
  assert.is((await failure(lzc.reopen(missing))).code, 'NOT_FOUND')
})

test('checkpoint and discard', async () => {
  await using extra = await extraPool()
  const { name } = extra
  assert.is((await failure(lzc.poolCheckpointDiscard(name))).code, 'NOT_FOUND')
  await lzc.poolCheckpoint(name)
  assert.is.not(await zpool('get', '-Hpo', 'value', 'checkpoint', name), '-\n')
  assert.is((await failure(lzc.poolCheckpoint(name))).code, 'EXISTS')
  await lzc.poolCheckpointDiscard(name)
  await lzc.wait(name, 'discard')
  assert.is(await zpool('get', '-Hpo', 'value', 'checkpoint', name), '-\n')
  for (const call of [lzc.poolCheckpoint, lzc.poolCheckpointDiscard]) {
    assert.is((await failure(call(missing))).code, 'NOT_FOUND')
    assert.instance(await failure(call('a/b')), ArgumentError)
  }
})

test('checkpoint: a pool without the feature', async () => {
  await using extra = await extraPool(['0'], ['-d'])
  assert.instance(await failure(lzc.poolCheckpoint(extra.name)), NotSupportedError)
})

test('checkpoint: not while the last one is being discarded', async () => {
  await using extra = await extraPool(['0'], ['-O', 'recordsize=512', '-O', 'compression=off'])
  const { name } = extra
  const rewrite = async (): Promise<void> => {
    await writeFile(`/${name}/file`, randomBytes(1024 * 1024))
    await lzc.sync(name)
  }
  await rewrite()
  await lzc.poolCheckpoint(name)
  await rewrite()
  {
    // One entry of what is to be freed in each transaction group.
    await using _slow = await moduleParameter('zfs_spa_discard_memory_limit', '8')
    await lzc.poolCheckpointDiscard(name)
    for (const call of [lzc.poolCheckpoint, lzc.poolCheckpointDiscard]) {
      const error = await failure(call(name))
      assert.is(error.code, 'BUSY')
      assert.match(error.next ?? '', /discard/)
    }
  }
  await lzc.wait(name, 'discard')
  await lzc.poolCheckpoint(name)
})

test('checkpoint: a pool without space', async () => {
  await using extra = await extraPool()
  const { name } = extra
  await takeAllSpace(name)
  // These may still use a part of what is kept in reserve.
  for (let i = 0; i < 20; i++) await setProperties(name, { [`com.example:${i}`]: 'x'.repeat(8000) })
  assert.is((await failure(lzc.poolCheckpoint(name))).code, 'NO_SPACE')
})

test('a pool without space: what needs some', async () => {
  await using extra = await extraPool()
  const { name } = extra
  await lzc.create(`${name}/fs`)
  await lzc.snapshot(`${name}/fs@1`)
  const stream = await collect(lzc.send(`${name}/fs@1`))
  await takeAllSpace(name)
  const calls = {
    create: () => lzc.create(`${name}/new`),
    clone: () => lzc.clone(`${name}/fs@1`, `${name}/clone`),
    snapshot: () => lzc.snapshot(`${name}/fs@2`),
    setProperties: () => setProperties(`${name}/fs`, { reservation: '1M' }),
    receive: () => feed(stream, `${name}/received@1`),
  }
  for (const [call, ask] of Object.entries(calls)) {
    const { code, next } = await failure(ask())
    assert.is(code, 'NO_SPACE', call)
    assert.ok(next, call)
  }
  await lzc.destroy(`${name}/fs@1`)
})

test('a pool that was imported read-only: what changes something', async () => {
  await using extra = await extraPool()
  const { name } = extra
  await lzc.snapshot(`${name}@1`)
  const stream = await collect(lzc.send(`${name}@1`))
  await lzc.bookmark({ [`${name}#b`]: `${name}@1` })
  await lzc.hold({ [`${name}@1`]: 'held' })
  await zpool('export', name)
  await zpool('import', '-o', 'readonly=on', '-d', extra.directory, name)
  const calls: Record<string, () => Promise<unknown>> = {
    bookmark: () => lzc.bookmark({ [`${name}#c`]: `${name}@1` }),
    clone: () => lzc.clone(`${name}@1`, `${name}/clone`),
    create: () => lzc.create(`${name}/new`),
    ddtPrune: () => lzc.ddtPrune(name, { percentage: 1 }),
    destroy: () => lzc.destroy(`${name}@1`),
    destroyBookmarks: () => lzc.destroyBookmarks([`${name}#b`]),
    destroySnapshots: () => lzc.destroySnapshots([`${name}@1`]),
    hold: () => lzc.hold({ [`${name}@1`]: 'x' }),
    inheritProperty: () => inheritProperty(name, 'compression'),
    poolCheckpoint: () => lzc.poolCheckpoint(name),
    poolCheckpointDiscard: () => lzc.poolCheckpointDiscard(name),
    receive: () => feed(stream, `${name}/received@1`),
    release: () => lzc.release({ [`${name}@1`]: 'held' }),
    rename: () => lzc.rename(`${name}@1`, `${name}@2`),
    rollback: () => lzc.rollback(name),
    rollbackTo: () => lzc.rollbackTo(name, `${name}@1`),
    scrub: () => lzc.scrub(name, 'start'),
    setBootenv: () => lzc.setBootenv(name, {}),
    setProperties: () => setProperties(name, { 'com.example:a': 'b' }),
    setVdevProps: () => lzc.setVdevProps(name, 'disk0', { comment: 'x' }),
    snapshot: () => lzc.snapshot(`${name}@2`),
    sync: () => lzc.sync(name),
  }
  for (const [call, ask] of Object.entries(calls)) {
    const error = await failure(ask())
    if (error instanceof NotSupportedError && process.env.TEST_PROFILE === 'oldest') continue
    assert.is(error.code, 'READ_ONLY', call)
    assert.ok(error.next, call)
  }
})

test('a pool without features: what needs one', async () => {
  await using extra = await extraPool(['0'], ['-d'])
  const { name } = extra
  await lzc.snapshot(`${name}@1`)
  assert.instance(await failure(lzc.bookmark({ [`${name}#b`]: `${name}@1` })), NotSupportedError)
  const properties = { encryption: 'on', keyformat: 'raw', keylocation: 'prompt' }
  const key = randomBytes(lzc.keyBytes)
  assert.instance(await failure(lzc.create(`${name}/secret`, { properties, key })), NotSupportedError)
  assert.instance(await failure(lzc.ddtPrune(name, { percentage: 1 })), NotSupportedError)
})

test('checkpoint: not while a device is being removed', async () => {
  await using extra = await extraPool(['0', '1'])
  const { name } = extra
  await fill(name, 'a', 8)
  {
    await using _slow = await moduleParameter('zfs_removal_suspend_progress', '1')
    await zpool('remove', name, extra.files[1] as string)
    assert.is((await failure(lzc.poolCheckpoint(name))).code, 'BUSY')
    const signal = AbortSignal.timeout(100)
    assert.is((await failure(lzc.wait(name, 'remove', { signal }))).code, 'TIMEOUT')
  }
  await lzc.wait(name, 'remove')
  await lzc.poolCheckpoint(name)
})

test('the boot environment', async () => {
  await using extra = await extraPool()
  const { name } = extra
  await lzc.setBootenv(name, { 'freebsd:bootonce': 'zfs:a:', 'org.example:n': 5n })
  assert.equal({ ...(await lzc.getBootenv(name)) }, { version: 1n, 'freebsd:bootonce': 'zfs:a:', 'org.example:n': 5n })
  await lzc.setBootenv(name, { version: 0n, 'grub:envmap': 'a=b' })
  assert.equal({ ...(await lzc.getBootenv(name)) }, { version: 0n, 'grub:envmap': 'a=b' })
  assert.is((await failure(lzc.setBootenv(name, { 'a:b': 'x'.repeat(200_000) }))).code, 'TOO_LARGE')
  await lzc.setBootenv(name, { 'a:b': 'x'.repeat(8000) })
  assert.is((await failure(lzc.setBootenv(name, { 'a:b': 'x'.repeat(8192) }))).code, 'TOO_LARGE')
  for (const bad of [{ version: 2n }, { version: 1 }, { version: 0n }, { version: 0n, 'grub:envmap': 5n }]) {
    assert.instance(await failure(lzc.setBootenv(name, bad)), ArgumentError)
  }
  assert.is((await failure(lzc.getBootenv(missing))).code, 'NOT_FOUND')
  assert.is((await failure(lzc.setBootenv(missing, {}))).code, 'NOT_FOUND')
})

test('the boot environment: every copy of it is damaged', async () => {
  await using extra = await extraPool()
  const { name } = extra
  await lzc.setBootenv(name, { 'a:b': 'c' })
  await zpool('export', name)
  {
    await using file = await open(extra.files[0] as string, 'r+')
    const label = 256 * 1024
    // Two labels at each end of a device; the environment is at 8 KiB in each.
    for (const at of [0, label, fileBytes - 2 * label, fileBytes - label]) {
      await file.write(randomBytes(8192), 0, 8192, at + 8192)
    }
  }
  await zpool('import', '-d', extra.directory, name)
  assert.is((await failure(lzc.getBootenv(name))).code, 'CHECKSUM')
  await lzc.setBootenv(name, { 'a:b': 'd' })
  assert.is((await lzc.getBootenv(name))['a:b'], 'd')
})

test("a pool's properties", async () => {
  if (await lacks('lzc_get_props', '2.3', () => lzc.getPoolProps(pool))) return
  await zpool('set', 'comment=hello', pool)
  const properties = await lzc.getPoolProps(pool)
  assert.equal(properties.comment, { value: 'hello', source: 'local' })
  assert.equal(properties.name, { value: pool, source: 'none' })
  assert.is(String(properties.guid?.value), (await zpool('get', '-Hpo', 'value', 'guid', pool)).trim())
  assert.is((await failure(lzc.getPoolProps(missing))).code, 'NOT_FOUND')
})

test('prefetch and prune', async () => {
  if (await lacks('lzc_pool_prefetch', '2.3', () => lzc.poolPrefetch(pool, 'ddt'))) {
    assert.ok(await lacks('lzc_ddt_prune', '2.3', () => lzc.ddtPrune(pool, { percentage: 1 })))
    return
  }
  await lzc.poolPrefetch(pool, 'ddt')
  await lzc.poolPrefetch(pool, 'brt')
  assert.is((await failure(lzc.poolPrefetch(missing, 'ddt'))).code, 'NOT_FOUND')
  assert.instance(await failure(lzc.poolPrefetch(pool, 'arc' as 'ddt')), ArgumentError)
  await using extra = await extraPool(['0'], ['-O', 'dedup=on', '-O', 'recordsize=4k'])
  await fill(extra.name, 'a', 24)
  // The table is written some transaction groups later.
  for (let i = 0; i < 6; i++) await lzc.sync(extra.name, { force: true })
  await lzc.ddtPrune(extra.name, { seconds: 3600n })
  await pause(2100)
  const prunes = Array.from({ length: 8 }, () => lzc.ddtPrune(extra.name, { seconds: 1n }))
  const codes = (await Promise.allSettled(prunes)).map((each) =>
    each.status === 'fulfilled' ? 'ok' : each.reason.code,
  )
  assert.equal([...new Set(codes)].sort(), ['BUSY', 'ok'])
  await lzc.ddtPrune(extra.name, { percentage: 100 })
  assert.is((await failure(lzc.ddtPrune(missing, { seconds: 1n }))).code, 'NOT_FOUND')
  const bad = [{ percentage: 0 }, { percentage: 101 }, { percentage: 1.5 }, { seconds: 0n }, { seconds: 5 as never }]
  for (const amount of bad) assert.instance(await failure(lzc.ddtPrune(pool, amount)), ArgumentError)
})

test('the devices of a pool', async () => {
  await using extra = await extraPool(['raidz', '0', '1', '2', 'mirror', '3', '4'], ['-f'])
  const root = await lzc.getVdevs(extra.name)
  assert.is(root.type, 'root')
  assert.equal(
    root.children.map(({ name }) => name),
    ['raidz1-0', 'mirror-1'],
  )
  const paths = root.children.flatMap(({ children }) => children.map(({ path }) => path))
  assert.equal(paths, extra.files)
  assert.is((await failure(lzc.getVdevs(missing))).code, 'NOT_FOUND')
})

test("a device's properties", async () => {
  await using extra = await extraPool(['mirror', '0', '1'])
  const { name } = extra
  if (await lacks('lzc_get_vdev_prop', '2.2', () => lzc.getVdevProps(name, 'disk0'))) {
    assert.ok(await lacks('lzc_set_vdev_prop', '2.2', () => lzc.setVdevProps(name, 'disk0', { comment: 'x' })))
    return
  }
  await lzc.setVdevProps(name, 'disk0', { comment: 'shelf 3', failfast: 'off', checksum_n: 5, 'com.example:x': 'y' })
  await lzc.setVdevProps(name, extra.files[0] as string, { io_n: 'none', io_t: '7' })
  const properties = await lzc.getVdevProps(name, 'disk0', [
    'comment',
    'failfast',
    'checksum_n',
    'com.example:x',
    'path',
  ])
  assert.equal(properties.comment, { value: 'shelf 3', source: 'local' })
  assert.equal(properties.failfast, { value: 0n, source: 'local' })
  assert.equal(properties.checksum_n, { value: 5n, source: 'local' })
  assert.equal(properties['com.example:x'], { value: 'y', source: 'local' })
  assert.equal(properties.path, { value: extra.files[0], source: 'none' })
  const { size } = await lzc.getVdevProps(name, 'mirror-0', ['size'])
  assert.is(String(size?.value), (await zpool('get', '-Hpo', 'value', 'size', name, 'mirror-0')).trim())
  await lzc.setVdevProps(name, 'disk0', { 'com.example:x': '' })
  assert.is((await lzc.getVdevProps(name, 'disk0', ['com.example:x']))['com.example:x'], undefined)
  assert.is((await failure(lzc.setVdevProps(name, 'mirror-0', { allocating: 'off' }))).code, 'INVALID_ARGUMENT')
  assert.is((await failure(lzc.setVdevProps(name, 'disk0', { allocating: 'off' }))).code, 'NOT_SUPPORTED')
  assert.is((await failure(lzc.setVdevProps(name, 'mirror-0', { path: '/x' }))).code, 'READ_ONLY')
  assert.is((await failure(lzc.getVdevProps(name, 5n))).code, 'NOT_FOUND')
  assert.is((await failure(lzc.setVdevProps(name, 5n, { comment: 'x' }))).code, 'NOT_FOUND')
  assert.is((await failure(lzc.getVdevProps(name, 'disk9'))).code, 'NOT_FOUND')
  assert.is((await failure(lzc.getVdevProps(missing, 5n))).code, 'NOT_FOUND')
  for (const bad of [{ size: 5n }, { failfast: 'maybe' }, { checksum_n: -1n }, { checksum_n: 'x' }, { 'Bad:x': 'y' }]) {
    assert.instance(await failure(lzc.setVdevProps(name, 'disk0', bad as never)), ArgumentError)
  }
  for (const bad of ['', 'a\0', -1n, 2n ** 64n, 5]) {
    assert.instance(await failure(lzc.getVdevProps(name, bad as string)), ArgumentError)
  }
  assert.instance(await failure(lzc.getVdevProps(name, 'disk0', ['a b'])), ArgumentError)
})

test.run()
