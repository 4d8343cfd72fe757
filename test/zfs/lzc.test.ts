import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ArgumentError } from '../../src/errors.js'
import * as lzc from '../../src/lzc/index.js'
import { failure, fresh, pool, zfs } from './pool.js'

test('version and features', async () => {
  const { module, userland } = await lzc.version()
  assert.match(module, /^2\.\d+\.\d+$/)
  assert.match(userland, /^2\.[1-3]$/)
  assert.type(lzc.features().lzc_receive_with_heal, 'boolean')
  console.log(`measured: OpenZFS module ${module}, libzfs_core of ${userland} or later`)
})

test('create: filesystem and volume, with properties of each kind', async () => {
  const fs = fresh()
  await lzc.create(fs, {
    properties: { readonly: 'on', recordsize: '16K', compression: 'gzip-9', 'org.example:x': 'y' },
  })
  assert.is(
    await zfs('get', '-Hpo', 'value', 'readonly,recordsize,compression,org.example:x', fs),
    'on\n16384\ngzip-9\ny\n',
  )
  const volume = fresh()
  await lzc.create(volume, { type: 'volume', properties: { volsize: 8n * 1024n * 1024n } })
  assert.is(await zfs('get', '-Hpo', 'value', 'volsize', volume), '8388608\n')
  assert.ok(await lzc.exists(fs))
})

test('create: each error', async () => {
  const fs = fresh()
  await lzc.create(fs)
  assert.is((await failure(lzc.create(fs))).code, 'EXISTS')
  const orphan = await failure(lzc.create(`${fresh()}/child`))
  assert.is(orphan.code, 'NOT_FOUND')
  assert.match(orphan.next ?? '', /parent/)
  for (const properties of [
    { nosuch: '1' },
    { readonly: 'maybe' },
    { quota: 'much' },
    { 'Bad:Name': 'x' },
    { recordsize: 1000n },
  ]) {
    assert.instance(await failure(lzc.create(fresh(), { properties })), ArgumentError)
  }
  assert.instance(await failure(lzc.create(fresh(), { type: 'volume' })), ArgumentError)
  const tooMuch = { properties: { reservation: '1P' } }
  assert.is((await failure(lzc.create(fresh(), tooMuch))).code, 'NO_SPACE')
})

test('names are refused before the kernel sees them', async () => {
  for (const name of [
    '',
    '/tank',
    `${pool}/`,
    `${pool}//a`,
    `${pool}/..`,
    `${pool}/a*`,
    `${pool}/${'x'.repeat(255)}`,
    '1x',
  ]) {
    assert.instance(await failure(lzc.create(name)), ArgumentError, name)
  }
  assert.instance(await failure(lzc.snapshot(`${pool}/a`)), ArgumentError)
  assert.instance(await failure(lzc.snapshot([`${pool}/a@x`, 'other/b@x'])), ArgumentError)
})

test('snapshot: several at once, with user properties; all or none', async () => {
  const [a, b] = [fresh(), fresh()]
  await lzc.create(a)
  await lzc.create(b)
  await lzc.snapshot([`${a}@1`, `${b}@1`], { 'com.example:why': 'nightly' })
  assert.is(
    await zfs('get', '-Hpo', 'value', 'createtxg', `${a}@1`),
    await zfs('get', '-Hpo', 'value', 'createtxg', `${b}@1`),
  )
  assert.is(await zfs('get', '-Hpo', 'value', 'com.example:why', `${a}@1`), 'nightly\n')
  const error = await failure(lzc.snapshot([`${a}@2`, `${b}@1`]))
  assert.instance(error, lzc.ManyError)
  assert.is((error as lzc.ManyError).failures.get(`${b}@1`)?.code, 'EXISTS')
  assert.is(await lzc.exists(`${a}@2`), false)
  assert.is((await failure(lzc.snapshot(`${fresh()}@1`))).code, 'NOT_FOUND')
})

test('exists', async () => {
  assert.is(await lzc.exists(pool), true)
  assert.is(await lzc.exists(fresh()), false)
  assert.is(await lzc.exists('nosuchpool/x'), false)
  assert.is(await lzc.exists(`${pool}@none`), false)
  assert.is(await lzc.exists(`${pool}#none`), false)
})

test('hold and release', async () => {
  const fs = fresh()
  await lzc.create(fs)
  await lzc.snapshot([`${fs}@1`])
  const holds = await lzc.hold({ [`${fs}@1`]: 'mine' })
  const { mine } = await lzc.getHolds(`${fs}@1`)
  assert.ok(Math.abs(Number(mine) - Date.now() / 1000) < 60)
  assert.is((await failure(lzc.hold({ [`${fs}@1`]: 'mine' }))).code, 'EXISTS')
  assert.is((await failure(lzc.destroySnapshots([`${fs}@1`]))).code, 'BUSY')
  await holds.release()
  await holds.release()
  assert.equal(Object.keys(await lzc.getHolds(`${fs}@1`)), [])
  await lzc.hold({ [`${fs}@1`]: 'a' })
  await lzc.hold({ [`${fs}@1`]: 'b' })
  await lzc.release({ [`${fs}@1`]: ['a', 'b'] })
  assert.is((await failure(lzc.release({ [`${fs}@1`]: 'a' }))).code, 'NOT_FOUND')
  assert.is((await failure(lzc.getHolds(`${fs}@2`))).code, 'NOT_FOUND')
})

test('hold: a missing snapshot is an error, and nothing stays held', async () => {
  const fs = fresh()
  await lzc.create(fs)
  await lzc.snapshot([`${fs}@1`])
  for (const temporary of [false, true]) {
    const error = await failure(lzc.hold({ [`${fs}@1`]: 'x', [`${fs}@none`]: 'x' }, { temporary }))
    assert.is((error as lzc.ManyError).failures.get(`${fs}@none`)?.code, 'NOT_FOUND')
    assert.equal(Object.keys(await lzc.getHolds(`${fs}@1`)), [], `temporary: ${temporary}`)
  }
})

test('a temporary hold ends with its release', async () => {
  const fs = fresh()
  await lzc.create(fs)
  await lzc.snapshot([`${fs}@1`])
  {
    await using _holds = await lzc.hold({ [`${fs}@1`]: 'temp' }, { temporary: true })
    assert.equal(Object.keys(await lzc.getHolds(`${fs}@1`)), ['temp'])
    assert.is((await failure(lzc.destroySnapshots([`${fs}@1`]))).code, 'BUSY')
  }
  assert.equal(Object.keys(await lzc.getHolds(`${fs}@1`)), [])
})

test('bookmarks', async () => {
  const fs = fresh()
  await lzc.create(fs)
  await lzc.snapshot([`${fs}@1`])
  await lzc.bookmark({ [`${fs}#b`]: `${fs}@1` })
  await lzc.bookmark({ [`${fs}#c`]: `${fs}#b` })
  const bookmarks = await lzc.getBookmarks(fs)
  assert.equal(Object.keys(bookmarks).sort(), ['b', 'c'])
  const [guid, createtxg, creation] = (await zfs('get', '-Hpo', 'value', 'guid,createtxg,creation', `${fs}@1`)).split(
    '\n',
  )
  assert.is(String(bookmarks.b?.guid), guid)
  assert.is(String(bookmarks.b?.createtxg), createtxg)
  assert.is(String(bookmarks.b?.creation), creation)
  assert.is(await lzc.exists(`${fs}#b`), true)
  assert.is((await failure(lzc.bookmark({ [`${fs}#b`]: `${fs}@1` }))).code, 'EXISTS')
  assert.is((await failure(lzc.bookmark({ [`${fs}#d`]: `${fs}@none` }))).code, 'NOT_FOUND')
  await lzc.destroyBookmarks([`${fs}#b`, `${fs}#c`])
  assert.equal(await lzc.getBookmarks(fs), {})
  assert.is((await failure(lzc.getBookmarks(fresh()))).code, 'NOT_FOUND')
})

test('destroy', async () => {
  const fs = fresh()
  await lzc.create(fs)
  await lzc.create(`${fs}/child`)
  assert.is((await failure(lzc.destroy(fs))).code, 'HAS_DEPENDENTS')
  await lzc.destroy(`${fs}/child`)
  await lzc.snapshot([`${fs}@1`])
  await lzc.destroySnapshots([`${fs}@1`, `${fs}@never`])
  await lzc.destroy(fs)
  assert.is((await failure(lzc.destroy(fs))).code, 'NOT_FOUND')
})

test('destroySnapshots: deferred where it is held', async () => {
  const fs = fresh()
  await lzc.create(fs)
  await lzc.snapshot([`${fs}@1`])
  const holds = await lzc.hold({ [`${fs}@1`]: 'x' })
  await lzc.destroySnapshots([`${fs}@1`], { defer: true })
  assert.is(await lzc.exists(`${fs}@1`), true)
  await holds.release()
  assert.is(await lzc.exists(`${fs}@1`), false)
})

test('rename, clone, promote, roll back', async () => {
  const [fs, to, copy] = [fresh(), fresh(), fresh()]
  await lzc.create(fs)
  await lzc.rename(fs, to)
  assert.is(await lzc.exists(fs), false)
  assert.is((await failure(lzc.rename(fs, to))).code, 'NOT_FOUND')
  await lzc.snapshot([`${to}@1`])
  await lzc.clone(`${to}@1`, copy)
  assert.is((await failure(lzc.clone(`${to}@none`, fresh()))).code, 'NOT_FOUND')
  assert.is((await failure(lzc.promote(to))).code, 'NOT_A_CLONE')
  await lzc.promote(copy)
  assert.is(await lzc.exists(`${copy}@1`), true)
  await lzc.rollbackTo(copy, `${copy}@1`)
  await lzc.snapshot([`${copy}@2`])
  assert.is((await failure(lzc.rollbackTo(copy, `${copy}@1`))).code, 'NOT_LATEST')
  assert.is((await failure(lzc.rollbackTo(copy, `${copy}@none`))).code, 'NOT_FOUND')
})

test.run()
