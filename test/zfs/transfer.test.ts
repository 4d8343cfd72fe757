/** Streams of files, mounted at both ends. How sends and receives answer is in test/conformance. */
import { pipeline } from 'node:stream/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { mount } from '../../src/datasets/index.js'
import * as lzc from '../../src/lzc/index.js'
import { feed } from '../conformance/streams.js'
import { collect, digest, failure, fill, filled, fresh, zfs } from './pool.js'

test('full, incremental and from a bookmark, with equal content', async () => {
  const [from, to] = [await filled(), fresh()]
  await lzc.snapshot([`${from}@1`])
  const sending = lzc.send(`${from}@1`)
  const receiving = lzc.receive(`${to}@1`)
  await pipeline(sending, receiving)
  const { bytes, begin } = await receiving.result
  assert.is(bytes, sending.bytes)
  assert.is(receiving.bytes, sending.bytes)
  assert.is(begin.toname, `${from}@1`)
  assert.is(begin.type, 'filesystem')
  assert.is(begin.fromguid, 0n)
  assert.is(String(begin.toguid), (await zfs('get', '-Hpo', 'value', 'guid', `${to}@1`)).trim())

  await fill(from, 'b', 1)
  await lzc.snapshot([`${from}@2`])
  await pipeline(lzc.send(`${from}@2`, { from: `${from}@1` }), lzc.receive(`${to}@2`))

  await lzc.bookmark({ [`${from}#2`]: `${from}@2` })
  await fill(from, 'c', 1)
  await lzc.snapshot([`${from}@3`])
  await lzc.destroySnapshots([`${from}@2`])
  await pipeline(lzc.send(`${from}@3`, { from: `${from}#2` }), lzc.receive(`${to}@3`))

  assert.is(await mount(to), `/${to}`)
  assert.is(await digest(`/${to}`), await digest(`/${from}`))
})

test('flags', async () => {
  const name = fresh()
  await zfs('create', '-o', 'compression=lz4', '-o', 'recordsize=1M', name)
  await fill(name, 'a', 1)
  const { writeFile } = await import('node:fs/promises')
  await writeFile(`/${name}/zeros`, 'the same again and again. '.repeat(100_000))
  await lzc.snapshot([`${name}@1`])
  const plain = await collect(lzc.send(`${name}@1`))
  const packed = await collect(
    lzc.send(`${name}@1`, { flags: { largeBlocks: true, embedded: true, compressed: true } }),
  )
  assert.ok(packed.length < plain.length - 1_000_000, `${packed.length} < ${plain.length}`)
  const { features } = lzc.parseBeginRecord(packed)
  for (const feature of ['large_blocks', 'embed_data', 'compressed', 'lz4'])
    assert.ok(features.includes(feature), feature)
  assert.not(lzc.parseBeginRecord(plain).features.includes('compressed'))
  const to = fresh()
  await feed(packed, `${to}@1`)
  await mount(to)
  assert.is(await digest(`/${to}`), await digest(`/${name}`))
})

test('encrypted: raw without a key', async () => {
  const name = fresh()
  await zfs('create', '-o', 'encryption=on', '-o', 'keyformat=hex', '-o', 'keylocation=file:///dev/null', name).catch(
    (e) => e,
  )
  const { writeFile } = await import('node:fs/promises')
  await writeFile('/tmp/key', '0'.repeat(64))
  await zfs('create', '-o', 'encryption=on', '-o', 'keyformat=hex', '-o', 'keylocation=file:///tmp/key', name)
  await fill(name, 'a', 1)
  await lzc.snapshot([`${name}@1`])
  const to = fresh()
  await pipeline(lzc.send(`${name}@1`, { flags: { raw: true } }), lzc.receive(`${to}@1`, { raw: true }))
  const again = fresh()
  assert.is((await failure(collect(lzc.send(`${to}@1`)))).code, 'KEY_NOT_LOADED')
  await pipeline(lzc.send(`${to}@1`, { flags: { raw: true } }), lzc.receive(`${again}@1`, { raw: true }))
})

test.run()
