import * as assert from 'uvu/assert'
import { ArgumentError } from '../../src/errors.js'
import * as lzc from '../../src/lzc/index.js'
import { collect, endsAtOnce, failure, fresh, pause, pool } from '../zfs/pool.js'
import { conformance } from './engine.js'
import { change, contentOf, digestOf, guidOf, mebibyte, newHistory, newVolume, sent } from './streams.js'

conformance('send', (test, engine) => {
  test('the same snapshot gives the same bytes, and says what it is', async () => {
    const { name, full, second } = await newHistory(engine)
    assert.is(digestOf(await sent(`${name}@1`)), digestOf(full))
    assert.is(digestOf(await sent(`${name}@2`, { from: `${name}@1` })), digestOf(second))
    const [first, increment] = [lzc.parseBeginRecord(full), lzc.parseBeginRecord(second)]
    assert.equal([first.type, first.toname, first.fromguid], ['volume', `${name}@1`, 0n])
    assert.equal([first.toguid, increment.fromguid], [await guidOf(`${name}@1`), await guidOf(`${name}@1`)])
    assert.is(increment.toguid, await guidOf(`${name}@2`))
    assert.ok(full.length > mebibyte && full.length < 2 * mebibyte)
    assert.ok(second.length > 65_536 && second.length < mebibyte / 2)
  })

  test('from a bookmark: what is sent from its snapshot', async () => {
    const { name, second } = await newHistory(engine)
    await lzc.bookmark({ [`${name}#1`]: `${name}@1` })
    await lzc.destroySnapshots([`${name}@1`])
    assert.is(contentOf(await sent(`${name}@2`, { from: `${name}#1` })), contentOf(second))
  })

  test('a clone from its origin, and a dataset with nothing in it', async () => {
    const [name, copy, empty] = [await newVolume(engine), fresh(), fresh()]
    await lzc.snapshot(`${name}@1`)
    await lzc.clone(`${name}@1`, copy)
    await change(engine, copy, '2')
    const begin = lzc.parseBeginRecord(await sent(`${copy}@2`, { from: `${name}@1` }))
    assert.equal([begin.fromguid, begin.flags.includes('clone')], [await guidOf(`${name}@1`), true])
    await lzc.create(empty)
    await lzc.snapshot(`${empty}@1`)
    assert.is(lzc.parseBeginRecord(await sent(`${empty}@1`)).type, 'filesystem')
  })

  test('flags: compressed, large and embedded blocks as they are on disk', async () => {
    const name = fresh()
    const properties = { volsize: '4M', volblocksize: '16K', compression: 'lz4' }
    await lzc.create(name, { type: 'volume', properties })
    await engine.write(name, 0, Buffer.from('the same again and again. '.repeat(100_000)))
    await lzc.snapshot(`${name}@1`)
    const plain = await sent(`${name}@1`)
    const packed = await sent(`${name}@1`, { flags: { largeBlocks: true, embedded: true, compressed: true } })
    assert.ok(packed.length < plain.length / 5, `${packed.length} < ${plain.length}`)
    const { features } = lzc.parseBeginRecord(packed)
    for (const feature of ['compressed', 'lz4']) assert.ok(features.includes(feature), feature)
    assert.not(lzc.parseBeginRecord(plain).features.includes('compressed'))
    assert.is(await guidOf(`${name}@1`), lzc.parseBeginRecord(packed).toguid)
  })

  test('each error', async () => {
    const { name } = await newHistory(engine)
    const other = await newVolume(engine)
    await lzc.snapshot(`${other}@1`)
    await lzc.bookmark({ [`${other}#b`]: `${other}@1`, [`${name}#2`]: `${name}@2` })
    const codesOf = async (snapshot: string, from?: string): Promise<string[]> => {
      const options = from === undefined ? {} : { from }
      return [(await failure(sent(snapshot, options))).code, (await failure(lzc.sendSpace(snapshot, options))).code]
    }
    const both = (code: string): string[] => [code, code]
    assert.equal(await codesOf(`${name}@none`), both('NOT_FOUND'))
    assert.equal(await codesOf(`${fresh()}@none`), both('NOT_FOUND'))
    assert.equal(await codesOf('nosuchpool/x@none'), both('NOT_FOUND'))
    assert.equal(await codesOf(`${name}@2`, `${name}@none`), both('NOT_FOUND'))
    assert.equal(await codesOf(`${name}@2`, `${name}#none`), both('NOT_FOUND'))
    assert.equal(await codesOf(`${name}@1`, `${name}@2`), both('NOT_ANCESTOR'))
    assert.equal(await codesOf(`${name}@1`, `${name}@1`), both('NOT_ANCESTOR'))
    assert.equal(await codesOf(`${name}@2`, `${other}@1`), both('NOT_ANCESTOR'))
    assert.equal(await codesOf(`${name}@2`, `${other}#b`), both('NOT_ANCESTOR'))
    assert.equal(await codesOf(`${name}@1`, `${name}#2`), both('NOT_ANCESTOR'))
    for (const options of [{ from: 'other/x@1' }, { from: name }, { resume: { object: -1n, offset: 0n } }]) {
      assert.instance(await failure((async () => lzc.send(`${name}@1`, options))()), ArgumentError)
    }
    assert.instance(await failure((async () => lzc.send(name))()), ArgumentError)
  })

  test('sendSpace is near the truth: full, from a snapshot, from a bookmark, compressed', async () => {
    const { name, full, second } = await newHistory(engine)
    await lzc.bookmark({ [`${name}#1`]: `${name}@1` })
    const near = async (actual: number, options: Pick<lzc.SendOptions, 'from' | 'flags'>, snapshot = '2') => {
      const estimate = await lzc.sendSpace(`${name}@${snapshot}`, options)
      // It counts metadata as the pool's devices round it up.
      assert.ok(Math.abs(actual - Number(estimate)) < actual * 0.05 + 40_000, `${estimate} for ${actual}`)
    }
    await near(full.length, {}, '1')
    await near(full.length, { flags: { compressed: true } }, '1')
    await near(second.length, { from: `${name}@1` })
    await near(second.length, { from: `${name}#1` })
  })

  test('it ends when its signal fires: before, while nobody reads, and in between', async () => {
    const name = await newVolume(engine)
    await lzc.snapshot(`${name}@1`)
    assert.is((await failure(collect(lzc.send(`${name}@1`, { signal: AbortSignal.abort() })))).code, 'ABORTED')
    const unread = lzc.send(`${name}@1`, { signal: AbortSignal.timeout(50) })
    assert.is((await failure(new Promise((_, reject) => unread.once('error', reject)))).code, 'TIMEOUT')
    const abort = new AbortController()
    const sending = lzc.send(`${name}@1`, { signal: abort.signal })
    await new Promise((resolve) => sending.once('readable', resolve))
    await endsAtOnce(sending, abort)
    await lzc.destroy(`${name}@1`)
  })

  test('several at once, and ones that are destroyed unread', async () => {
    const { name, full } = await newHistory(engine)
    const digests = await Promise.all(Array.from({ length: 8 }, async () => digestOf(await sent(`${name}@1`))))
    assert.equal(digests, Array(8).fill(digestOf(full)))
    for (let i = 0; i < 10; i++) {
      const sending = lzc.send(`${name}@1`)
      const closed = new Promise((resolve) => sending.once('close', resolve))
      await pause(i)
      sending.destroy()
      await closed
    }
    assert.ok(await lzc.exists(pool))
    await lzc.destroySnapshots([`${name}@1`, `${name}@2`, `${name}@3`])
  })
})
