import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import * as assert from 'uvu/assert'
import {
  getOwnProperties,
  getProperties,
  getReceivedProperties,
  keepLocalProperties,
  listSnapshots,
  setProperties,
} from '../../src/datasets/index.js'
import { ArgumentError } from '../../src/errors.js'
import * as lzc from '../../src/lzc/index.js'
import { all, endsAtOnce, failure, fresh, pause } from '../zfs/pool.js'
import { inOtherOrder } from './byte-order.js'
import { conformance, type EngineUnderTest } from './engine.js'
import {
  change,
  contentOf,
  digestOf,
  feed,
  guidOf,
  mebibyte,
  newHistory,
  newVolume,
  pieces,
  recordsOf,
  refusal,
  sent,
} from './streams.js'

const snapshotsOf = async (dataset: string): Promise<string[]> =>
  (await all(listSnapshots(dataset))).map(({ name }) => name.slice(dataset.length))

async function assertSame(engine: EngineUnderTest, one: string, other: string): Promise<void> {
  assert.is(digestOf(await engine.read(one)), digestOf(await engine.read(other)))
}

conformance('receive', (test, engine) => {
  test('full, incremental and from a bookmark, with equal content and GUIDs', async () => {
    const { name, full, second } = await newHistory(engine)
    const to = fresh()
    const { bytes, begin, propertyErrors } = await feed(full, `${to}@1`)
    assert.is(bytes, BigInt(full.length))
    assert.equal([begin.toname, begin.type, begin.fromguid], [`${name}@1`, 'volume', 0n])
    assert.equal(propertyErrors, {})
    await feed(second, `${to}@2`)
    await lzc.bookmark({ [`${name}#2`]: `${name}@2` })
    await lzc.destroySnapshots([`${name}@2`])
    await pipeline(lzc.send(`${name}@3`, { from: `${name}#2` }), lzc.receive(`${to}@3`))
    await assertSame(engine, to, name)
    assert.is(await guidOf(`${to}@3`), await guidOf(`${name}@3`))
    assert.is(begin.toguid, await guidOf(`${to}@1`))
    assert.is(contentOf(await sent(`${to}@1`)), contentOf(full))
    assert.is(contentOf(await sent(`${to}@2`, { from: `${to}@1` })), contentOf(second))
  })

  test('under another name of the snapshot, and an empty filesystem', async () => {
    const { full } = await newHistory(engine)
    const [to, empty, copy] = [fresh(), fresh(), fresh()]
    await feed(full, `${to}@renamed`)
    assert.equal(await snapshotsOf(to), ['@renamed'])
    await lzc.create(empty)
    await lzc.snapshot(`${empty}@1`)
    await feed(await sent(`${empty}@1`), `${copy}@1`)
    assert.is((await getProperties(copy)).type?.value, 'filesystem')
  })

  test('blocks compressed as they were sent', async () => {
    const [name, to] = [fresh(), fresh()]
    const properties = { volsize: '4M', compression: 'gzip', volblocksize: '64K' }
    await lzc.create(name, { type: 'volume', properties })
    await engine.write(name, 0, Buffer.from('the same again and again. '.repeat(100_000)))
    await lzc.snapshot(`${name}@1`)
    const packed = await sent(`${name}@1`, { flags: { largeBlocks: true, embedded: true, compressed: true } })
    await feed(packed, `${to}@1`)
    await assertSame(engine, to, name)
    assert.is((await getProperties(to)).volblocksize?.value, 65_536n)
  })

  test('properties: received, overridden, excluded', async () => {
    const [name, to] = [fresh(), fresh()]
    await lzc.create(name)
    await lzc.snapshot(`${name}@1`)
    await feed(await sent(`${name}@1`), `${to}@1`, {
      properties: { atime: 'off', exec: 'off', 'com.example:r': 'received' },
      overrides: { readonly: 'on', canmount: 'noauto', 'com.example:o': 'set' },
      excludes: ['exec'],
    })
    const got = await getProperties(to)
    assert.equal(got.atime, { value: 'off', source: 'received' })
    assert.equal(got.exec, { value: 'on', source: 'default' })
    assert.equal(got.readonly, { value: 'on', source: 'local' })
    assert.equal(got.canmount, { value: 'noauto', source: 'local' })
    assert.equal(got['com.example:r'], { value: 'received', source: 'received' })
    assert.equal(got['com.example:o'], { value: 'set', source: 'local' })
  })

  test('properties of an increment take the place of those received before; of one that fails, do not', async () => {
    const { full, second } = await newHistory(engine)
    const to = fresh()
    await feed(full, `${to}@1`, { properties: { compression: 'gzip-2', 'com.example:a': 'a' } })
    await setProperties(to, { 'com.example:own': 'own' })
    const others = { properties: { compression: 'gzip-3', 'com.example:b': 'b' } }
    assert.is(await refusal(second.subarray(0, second.length >> 1), `${to}@2`, others), 'STREAM_TRUNCATED')
    let got = await getProperties(to)
    assert.equal(got.compression, { value: 'gzip-2', source: 'received' })
    assert.equal([got['com.example:a']?.value, got['com.example:b']], ['a', undefined])
    await feed(second, `${to}@2`, others)
    got = await getProperties(to)
    assert.equal(got.compression, { value: 'gzip-3', source: 'received' })
    assert.equal([got['com.example:a'], got['com.example:b']?.value], [undefined, 'b'])
    assert.equal(got['com.example:own'], { value: 'own', source: 'local' })
  })

  test('into a dataset that nothing was received into, local values stay where it is prepared for that', async () => {
    const { name, full, second } = await newHistory(engine)
    const to = fresh()
    const own = { compression: 'gzip-2', snapshot_limit: 7n, refreservation: 1048576n, 'com.example:own': 'own' }
    for (const prepared of [true, false]) {
      await feed(full, `${to}@1`)
      await setProperties(to, own)
      assert.equal({ ...(await getReceivedProperties(to)) }, {})
      if (prepared) await keepLocalProperties(to)
      assert.equal({ ...(await getOwnProperties(to)) }, own)
      const properties = { compression: 'gzip-3', 'com.example:new': 'new' }
      const cut = second.subarray(0, second.length >> 1)
      assert.is(await refusal(cut, `${to}@2`, { properties }), 'STREAM_TRUNCATED')
      assert.equal({ ...(await getOwnProperties(to)) }, own)
      assert.equal((await getProperties(to)).compression, { value: 'gzip-2', source: 'local' })
      await feed(second, `${to}@2`, { properties })
      assert.equal({ ...(await getReceivedProperties(to)) }, properties)
      const left = prepared ? { ...own, 'com.example:new': 'new' } : properties
      assert.equal({ ...(await getOwnProperties(to)) }, left)
      await lzc.destroySnapshots([`${to}@1`, `${to}@2`])
      await lzc.destroy(to)
    }
    const [fs, empty] = [fresh(), fresh()]
    const place = {
      mountpoint: '/srv/elsewhere',
      canmount: 'noauto',
      quota: 33554432n,
      refquota: 16777216n,
      atime: 'off',
    }
    await lzc.create(empty)
    for (const point of ['1', '2']) await lzc.snapshot(`${empty}@${point}`)
    await feed(await sent(`${empty}@1`), `${fs}@1`)
    await setProperties(fs, place)
    await keepLocalProperties(fs)
    const increment = await sent(`${empty}@2`, { from: `${empty}@1` })
    await feed(increment, `${fs}@2`, { properties: { atime: 'on', exec: 'off' } })
    assert.equal({ ...(await getOwnProperties(fs)) }, { ...place, exec: 'off' })
    await keepLocalProperties(name)
    assert.is((await failure(keepLocalProperties(`${name}-none`))).code, 'NOT_FOUND')
  })

  test('without properties, those received and the local ones stay as they are', async () => {
    const { full, second, third } = await newHistory(engine)
    const to = fresh()
    await feed(full, `${to}@1`)
    await setProperties(to, { compression: 'gzip-2', refreservation: '1M' })
    await feed(second, `${to}@2`, { overrides: { readonly: 'on' } })
    assert.equal(
      { ...(await getOwnProperties(to)) },
      {
        ...{ compression: 'gzip-2', refreservation: 1048576n, readonly: 'on' },
      },
    )
    await feed(third, `${to}@3`, { properties: {} })
    assert.equal({ ...(await getOwnProperties(to)) }, {})
    assert.is((await getProperties(to)).usedbyrefreservation?.value, 0n)
  })

  test('a property that can not be applied is told, and the stream received all the same', async () => {
    const { full } = await newHistory(engine)
    const to = fresh()
    const { propertyErrors } = await feed(full, `${to}@1`, { properties: { reservation: '1P', compression: 'off' } })
    assert.equal(propertyErrors, { reservation: 28 })
    assert.equal((await getProperties(to)).compression, { value: 'off', source: 'received' })
    for (const options of [{ properties: { nosuch: '1' } }, { overrides: { readonly: 'maybe' } }]) {
      assert.instance(await failure((async () => lzc.receive(`${fresh()}@1`, options))()), ArgumentError)
    }
  })

  test('what is in the way', async () => {
    const { full, second, third } = await newHistory(engine)
    const [to, missing] = [fresh(), fresh()]
    assert.is(await refusal(second, `${missing}@2`), 'NOT_FOUND', 'an increment onto nothing')
    assert.is(await refusal(full, `${missing}/child@1`), 'NOT_FOUND', 'no parent')
    assert.is(await refusal(full, 'nosuchpool/x@1'), 'NOT_FOUND', 'no pool')
    assert.is(await lzc.exists(missing), false)
    await feed(full, `${to}@1`)
    assert.is(await refusal(full, `${to}@1`), 'EXISTS')
    assert.is(await refusal(full, `${to}@x`), 'EXISTS')
    assert.is(await refusal(full, `${to}/child@1`), 'WRONG_PARENT')
    assert.is(await refusal(third, `${to}@3`), 'BASE_MISMATCH')
    assert.is(await refusal(second, `${to}@1`), 'EXISTS')
    await engine.write(to, 0, randomBytes(65_536))
    assert.is(await refusal(second, `${to}@2`), 'DESTINATION_MODIFIED')
    await feed(second, `${to}@2`, { force: true })
    await feed(third, `${to}@3`)
    assert.is(await refusal(second, `${to}@x`), 'DESTINATION_MODIFIED', 'it goes on from @2, and @1 is older')
  })

  test('force: later snapshots go, but not held ones', async () => {
    const { name, full, second } = await newHistory(engine)
    const to = fresh()
    await feed(full, `${to}@1`)
    await change(engine, to, 'mine')
    assert.is(await refusal(second, `${to}@2`), 'DESTINATION_MODIFIED')
    const holds = await lzc.hold({ [`${to}@mine`]: 'x' })
    assert.is(await refusal(second, `${to}@2`, { force: true }), 'BUSY')
    assert.equal(await snapshotsOf(to), ['@1', '@mine'])
    await holds.release()
    await feed(second, `${to}@2`, { force: true })
    assert.equal(await snapshotsOf(to), ['@1', '@2'])
    await lzc.rollbackTo(name, `${name}@3`)
    assert.is(contentOf(await sent(`${to}@2`, { from: `${to}@1` })), contentOf(second))
  })

  test('force: a full stream takes the place of what is there', async () => {
    const { full } = await newHistory(engine)
    const [to, reference] = [await newVolume(engine), fresh()]
    await lzc.snapshot(`${to}@mine`)
    await feed(full, `${reference}@1`)
    assert.is(await refusal(full, `${to}@1`), 'EXISTS')
    await feed(full, `${to}@1`, { force: true })
    assert.equal(await snapshotsOf(to), ['@1'])
    await assertSame(engine, to, reference)
  })

  test('a clone, with its origin', async () => {
    const { name, full } = await newHistory(engine)
    const [copy, base, other, to] = [fresh(), fresh(), await newVolume(engine), fresh()]
    await lzc.clone(`${name}@1`, copy)
    await change(engine, copy, '2')
    await lzc.snapshot(`${other}@1`)
    await feed(full, `${base}@1`)
    const stream = await sent(`${copy}@2`, { from: `${name}@1` })
    assert.is(await refusal(stream, `${to}@2`, { origin: `${base}@none` }), 'NOT_FOUND')
    assert.is(await refusal(stream, `${to}@2`, { origin: `${other}@1` }), 'BASE_MISMATCH')
    assert.is(await refusal(stream, `${to}@2`), 'STREAM_INVALID')
    assert.is(await lzc.exists(to), false)
    await feed(stream, `${to}@2`, { origin: `${base}@1` })
    assert.is((await getProperties(to)).origin?.value, `${base}@1`)
    await assertSame(engine, to, copy)
  })

  test('a full stream as a clone of a snapshot that is there (--origin)', async () => {
    const { name, full } = await newHistory(engine)
    const [base, to] = [fresh(), fresh()]
    await feed(full, `${base}@1`)
    await feed(await sent(`${name}@2`), `${to}@2`, { origin: `${base}@1` })
    assert.is((await getProperties(to)).origin?.value, `${base}@1`)
    await lzc.rollbackTo(name, `${name}@3`)
    assert.is(contentOf(await sent(`${to}@2`)), contentOf(await sent(`${name}@2`)))
  })

  test('streams that are not whole leave nothing', async () => {
    const { full } = await newHistory(engine)
    const codeOf = async (stream: Buffer): Promise<string> => {
      const to = fresh()
      const code = await refusal(stream, `${to}@1`)
      assert.is(await lzc.exists(to), false, `${code}: nothing is left`)
      return code
    }
    for (const length of [0, 100, 312, 400, full.length / 2, full.length - 312, full.length - 1]) {
      assert.is(await codeOf(full.subarray(0, length)), 'STREAM_TRUNCATED', String(length))
    }
  })

  test('streams that are damaged, or none, leave nothing', async () => {
    const { full } = await newHistory(engine)
    const records = [...recordsOf(full)]
    const [object, write, end] = [1, 3, 5].map((type) => records.find((record) => record.type === type)?.at ?? 0)
    const codeOf = async (damage: (stream: Buffer) => void): Promise<string> => {
      const [stream, to] = [Buffer.from(full), fresh()]
      damage(stream)
      const code = await refusal(stream, `${to}@1`)
      assert.is(await lzc.exists(to), false, `${code}: nothing is left`)
      return code
    }
    const flip = (at = 0) => codeOf((stream) => stream.writeUInt8(stream.readUInt8(at) ^ 1, at))
    assert.is(await flip((write as number) + 312 + 100), 'STREAM_CORRUPT', 'data')
    assert.is(await flip((write as number) + 290), 'STREAM_CORRUPT', "a record's checksum")
    assert.is(await flip((object as number) + 312 - 40), 'STREAM_CORRUPT', 'what a record does not use')
    assert.is(await flip((end as number) + 8), 'STREAM_CORRUPT', "the stream's checksum")
    assert.is(await codeOf((stream) => stream.fill(0)), 'STREAM_INVALID', 'zeros')
    assert.is(await codeOf((stream) => stream.writeUInt8((stream.readUInt8(16) & ~3) | 2, 16)), 'STREAM_INVALID')
    assert.is(await codeOf((stream) => stream.writeUInt32LE(1, 32)), 'STREAM_INVALID', 'an unknown kind of dataset')
    // 2.1 does not look at features that it doesn't know.
    const unknown = (await lzc.version()).module.startsWith('2.1.') ? 'STREAM_CORRUPT' : 'NOT_SUPPORTED'
    assert.is(await codeOf((stream) => stream.writeUInt8(stream.readUInt8(16) | 0x80, 16)), unknown)
    assert.is(await refusal(randomBytes(10_000), `${fresh()}@1`), 'STREAM_INVALID')
    assert.is(await refusal(full, `${fresh()}@1`, { raw: true }), 'STREAM_UNEXPECTED')
  })

  test('an increment that is cut or damaged leaves the dataset as it was', async () => {
    const { full, second } = await newHistory(engine)
    const to = fresh()
    await feed(full, `${to}@1`)
    const before = digestOf(await engine.read(to))
    const damaged = Buffer.from(second)
    damaged.writeUInt8(damaged.readUInt8(second.length >> 1) ^ 1, second.length >> 1)
    assert.is(await refusal(second.subarray(0, second.length - 400), `${to}@2`), 'STREAM_TRUNCATED')
    assert.is(await refusal(damaged, `${to}@2`), 'STREAM_CORRUPT')
    assert.equal(await snapshotsOf(to), ['@1'])
    assert.is(digestOf(await engine.read(to)), before)
    await feed(second, `${to}@2`)
  })

  test('what follows the END record is not looked at', async () => {
    const { full } = await newHistory(engine)
    const to = fresh()
    await feed(Buffer.concat([full, Buffer.alloc(4 * mebibyte, 'x')]), `${to}@1`)
    assert.equal(await snapshotsOf(to), ['@1'])
  })

  test('a stream of the other byte order', async () => {
    const [name, to] = [fresh(), fresh()]
    await lzc.create(name, { type: 'volume', properties: { volsize: '4M' } })
    await engine.write(name, 0, randomBytes(65_536))
    await lzc.snapshot(`${name}@1`)
    const { begin } = await feed(inOtherOrder(await sent(`${name}@1`)), `${to}@1`)
    assert.is(begin.byteswapped, true)
    assert.is(await guidOf(`${to}@1`), await guidOf(`${name}@1`))
    await assertSame(engine, to, name)
  })

  test('a quota in the way', async () => {
    const { full } = await newHistory(engine)
    const parent = fresh()
    await lzc.create(parent, { properties: { quota: '400K' } })
    assert.is(await refusal(full, `${parent}/to@1`), 'QUOTA')
    assert.is(await lzc.exists(`${parent}/to`), false)
  })

  test('a failing receive ends its writer at once, with its own error', async () => {
    const { full } = await newHistory(engine)
    const to = fresh()
    await feed(full, `${to}@1`)
    const started = performance.now()
    const receiving = lzc.receive(`${to}@1`)
    assert.is((await failure(pipeline(Readable.from(pieces(full)), receiving))).code, 'EXISTS')
    assert.is((await failure(receiving.result)).code, 'EXISTS')
    assert.ok(performance.now() - started < 2000)
    // Also when nobody writes any more.
    const idle = lzc.receive(`${to}@1`)
    const failed = new Promise((resolve) => idle.once('error', resolve))
    idle.write(full.subarray(0, 400_000))
    assert.is(((await failed) as { code: string }).code, 'EXISTS')
  })

  test('two into one dataset: one of them is refused', async () => {
    const { full, second } = await newHistory(engine)
    const to = fresh()
    await feed(full, `${to}@1`)
    const slow = lzc.receive(`${to}@2`)
    slow.write(second.subarray(0, 2000))
    await pause(200)
    assert.is(await refusal(second, `${to}@2`), 'BUSY')
    slow.end(second.subarray(2000))
    await slow.result
    assert.equal(await snapshotsOf(to), ['@1', '@2'])
  })

  test('it ends when its signal fires, and leaves nothing', async () => {
    const { full } = await newHistory(engine)
    const to = fresh()
    const abort = new AbortController()
    const receiving = lzc.receive(`${to}@1`, { signal: abort.signal })
    receiving.write(full.subarray(0, full.length >> 1))
    await pause(300)
    await endsAtOnce(receiving, abort)
    assert.is((await failure(receiving.result)).code, 'ABORTED')
    assert.is(await lzc.exists(to), false)
  })
})
