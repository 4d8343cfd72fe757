import * as assert from 'uvu/assert'
import { getProperties, getReceivedProperties, keepLocalProperties } from '../../src/datasets/index.js'
import * as lzc from '../../src/lzc/index.js'
import { failure, fresh } from '../zfs/pool.js'
import { conformance } from './engine.js'
import { contentOf, feed, guidOf, refusal, sent } from './streams.js'

conformance('encrypted', (test, engine) => {
  test('raw streams are received, told apart and sent on without a key', async () => {
    const { full, increment } = await engine.encryptedStreams()
    const to = fresh()
    assert.ok(lzc.parseBeginRecord(full).features.includes('raw'))
    await feed(full, `${to}@1`, { raw: true })
    await feed(increment, `${to}@2`, { raw: true })
    const { encryption, keystatus, encryptionroot, keyformat } = await getProperties(to)
    assert.equal([encryption?.value, keystatus?.value, keyformat?.value], ['aes-256-gcm', 'unavailable', 'raw'])
    assert.is(encryptionroot?.value, to)
    assert.is(await guidOf(`${to}@2`), lzc.parseBeginRecord(increment).toguid)
    const flags = { raw: true }
    assert.is(contentOf(await sent(`${to}@1`, { flags })), contentOf(full))
    assert.is(contentOf(await sent(`${to}@2`, { from: `${to}@1`, flags })), contentOf(increment))
    assert.ok((await lzc.sendSpace(`${to}@1`, { flags })) > 1n << 20n)
    const again = fresh()
    await feed(await sent(`${to}@1`, { flags }), `${again}@1`, { raw: true })
    await lzc.bookmark({ [`${to}#1`]: `${to}@1` })
    await lzc.destroySnapshots([`${to}@1`])
    await feed(await sent(`${to}@2`, { from: `${to}#1`, flags }), `${again}@2`, { raw: true })
    assert.is(contentOf(await sent(`${again}@1`, { flags })), contentOf(full))
    assert.ok(Object.hasOwn((await lzc.getBookmarks(to, ['ivsetguid']))['1'] ?? {}, 'ivsetguid'))
  })

  test('properties come with a raw stream, and the place of the key stays', async () => {
    const { full, increment } = await engine.encryptedStreams()
    const to = fresh()
    await feed(full, `${to}@1`, { raw: true, overrides: { readonly: 'on' } })
    await keepLocalProperties(to)
    const properties = { compression: 'gzip-2', 'com.example:note': 'n' }
    await feed(increment, `${to}@2`, { raw: true, properties })
    assert.equal({ ...(await getReceivedProperties(to)) }, properties)
    const { keylocation, readonly } = await getProperties(to)
    assert.equal([keylocation?.value, readonly?.value], ['prompt', 'on'])
  })

  test('each error', async () => {
    const { full, increment } = await engine.encryptedStreams()
    const to = fresh()
    assert.is(await refusal(increment, `${to}@2`), 'NOT_FOUND')
    await feed(full, `${to}@1`)
    assert.is((await failure(sent(`${to}@1`))).code, 'KEY_NOT_LOADED')
    assert.is((await failure(lzc.create(`${to}-child`, { properties: { encryption: 'on' } }))).code, 'INVALID_ARGUMENT')
    assert.is(await refusal(full, `${to}@1`), 'EXISTS')
    const damaged = Buffer.from(increment)
    damaged.writeUInt8(damaged.readUInt8(increment.length >> 1) ^ 1, increment.length >> 1)
    assert.is(await refusal(damaged, `${to}@2`), 'STREAM_CORRUPT')
    assert.is(await refusal(increment.subarray(0, increment.length >> 1), `${to}@2`), 'STREAM_TRUNCATED')
    const none = fresh()
    assert.is(await refusal(full.subarray(0, full.length >> 1), `${none}@1`), 'STREAM_TRUNCATED')
    assert.is(await lzc.exists(none), false)
    await feed(increment, `${to}@2`, { raw: true })
  })
})
