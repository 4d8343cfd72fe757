import { readFile, truncate } from 'node:fs/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ArgumentError, NotSupportedError } from '../../src/errors.js'
import * as lzc from '../../src/lzc/index.js'
import { openAddon } from '../../src/lzc/native.js'
import { extraPool, fileBytes, moduleParameter, zpool } from './extra-pool.js'
import { failure, fill, pool } from './pool.js'

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
  for (const bad of [{ version: 2n }, { version: 1 }, { version: 0n }, { version: 0n, 'grub:envmap': 5n }]) {
    assert.instance(await failure(lzc.setBootenv(name, bad)), ArgumentError)
  }
  assert.is((await failure(lzc.getBootenv(missing))).code, 'NOT_FOUND')
  assert.is((await failure(lzc.setBootenv(missing, {}))).code, 'NOT_FOUND')
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
  await using extra = await extraPool(['0'], ['-O', 'dedup=on'])
  await fill(extra.name, 'a', 4)
  await lzc.sync(extra.name)
  await lzc.ddtPrune(extra.name, { seconds: 3600n })
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
