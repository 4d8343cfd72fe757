/** What src/lzc makes is what the zfs command sees. How its functions answer is in test/conformance. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as lzc from '../../src/lzc/index.js'
import { fresh, zfs } from './pool.js'

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
})

test('snapshot: several at once, with user properties', async () => {
  const [a, b] = [fresh(), fresh()]
  await lzc.create(a)
  await lzc.create(b)
  await lzc.snapshot([`${a}@1`, `${b}@1`], { 'com.example:why': 'nightly' })
  assert.is(
    await zfs('get', '-Hpo', 'value', 'createtxg', `${a}@1`),
    await zfs('get', '-Hpo', 'value', 'createtxg', `${b}@1`),
  )
  assert.is(await zfs('get', '-Hpo', 'value', 'com.example:why', `${a}@1`), 'nightly\n')
})

test('holds and bookmarks', async () => {
  const fs = fresh()
  await lzc.create(fs)
  await lzc.snapshot(`${fs}@1`)
  await lzc.hold({ [`${fs}@1`]: 'mine' })
  assert.match(await zfs('holds', '-H', `${fs}@1`), /@1\tmine\t/)
  await lzc.bookmark({ [`${fs}#b`]: `${fs}@1` })
  const properties = ['get', '-Hpo', 'value', 'guid,createtxg,creation']
  assert.is(await zfs(...properties, `${fs}#b`), await zfs(...properties, `${fs}@1`))
})

test.run()
