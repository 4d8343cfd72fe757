import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { mount } from '../../src/datasets/index.js'
import * as lzc from '../../src/lzc/index.js'
import { collect, digest, failure, fill, filled, fresh, zfs } from './pool.js'

const feed = (stream: Buffer, name: string, options: lzc.ReceiveOptions = {}): Promise<void> =>
  pipeline(Readable.from(pieces(stream)), lzc.receive(name, options))

function* pieces(stream: Buffer): Generator<Buffer> {
  for (let at = 0; at < stream.length; at += 65_536) yield stream.subarray(at, at + 65_536)
}

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

test('sendSpace is near the truth', async () => {
  const name = await filled(4)
  await lzc.snapshot([`${name}@1`])
  const estimate = await lzc.sendSpace(`${name}@1`)
  const actual = BigInt((await collect(lzc.send(`${name}@1`))).length)
  const difference = Number(actual - estimate) / Number(actual)
  assert.ok(Math.abs(difference) < 0.05, `${estimate} for ${actual}`)
  assert.is((await failure(lzc.sendSpace(`${name}@none`))).code, 'NOT_FOUND')
})

test('a volume, and an empty filesystem', async () => {
  const volume = fresh()
  await lzc.create(volume, { type: 'volume', properties: { volsize: '8M' } })
  await lzc.snapshot([`${volume}@1`])
  const to = fresh()
  const receiving = lzc.receive(`${to}@1`)
  await pipeline(lzc.send(`${volume}@1`), receiving)
  assert.is((await receiving.result).begin.type, 'volume')
  const empty = fresh()
  await lzc.create(empty)
  await lzc.snapshot([`${empty}@1`])
  await pipeline(lzc.send(`${empty}@1`), lzc.receive(`${fresh()}@1`))
})

test('properties: received, overridden, excluded', async () => {
  const name = await filled(1)
  await lzc.snapshot([`${name}@1`])
  const to = fresh()
  await pipeline(
    lzc.send(`${name}@1`),
    lzc.receive(`${to}@1`, {
      properties: { atime: 'off', exec: 'off', 'com.example:r': 'received' },
      overrides: { readonly: 'on', canmount: 'noauto', 'com.example:o': 'set' },
      excludes: ['exec'],
    }),
  )
  const got = await zfs(
    'get',
    '-Hpo',
    'property,value,source',
    'atime,exec,readonly,canmount,com.example:r,com.example:o',
    to,
  )
  assert.match(got, /atime\toff\treceived/)
  assert.match(got, /exec\ton\tdefault/)
  assert.match(got, /readonly\ton\tlocal/)
  assert.match(got, /canmount\tnoauto\tlocal/)
  assert.match(got, /com.example:r\treceived\treceived/)
  assert.match(got, /com.example:o\tset\tlocal/)
})

test('send: each error', async () => {
  const [name, other] = [await filled(1), await filled(1)]
  await lzc.snapshot([`${name}@1`])
  await lzc.snapshot([`${name}@2`])
  await lzc.snapshot([`${other}@1`])
  const codeOf = async (...args: Parameters<typeof lzc.send>): Promise<string> =>
    (await failure(collect(lzc.send(...args)))).code
  assert.is(await codeOf(`${name}@none`), 'NOT_FOUND')
  assert.is(await codeOf(`${name}@2`, { from: `${name}@none` }), 'NOT_FOUND')
  assert.is(await codeOf(`${name}@2`, { from: `${name}#none` }), 'NOT_FOUND')
  assert.is(await codeOf(`${name}@1`, { from: `${name}@2` }), 'NOT_ANCESTOR')
  assert.is(await codeOf(`${name}@2`, { from: `${other}@1` }), 'NOT_ANCESTOR')
})

test('receive: what is in the way', async () => {
  const [name, to] = [await filled(1), fresh()]
  for (const snapshot of ['1', '2', '3']) {
    await lzc.snapshot([`${name}@${snapshot}`])
    await fill(name, snapshot, 1)
  }
  const full = await collect(lzc.send(`${name}@1`))
  const second = await collect(lzc.send(`${name}@2`, { from: `${name}@1` }))
  const third = await collect(lzc.send(`${name}@3`, { from: `${name}@2` }))
  assert.is((await failure(feed(second, `${to}@2`))).code, 'NOT_FOUND', 'an increment onto nothing')
  await feed(full, `${to}@1`)
  assert.is((await failure(feed(full, `${to}@1`))).code, 'EXISTS')
  assert.is((await failure(feed(full, `${fresh()}/child@1`))).code, 'NOT_FOUND', 'no parent')
  assert.is((await failure(feed(third, `${to}@3`))).code, 'BASE_MISMATCH')
  await mount(to)
  await fill(to, 'changed', 1)
  assert.is((await failure(feed(second, `${to}@2`))).code, 'DESTINATION_MODIFIED')
  await feed(second, `${to}@2`, { force: true })
  await feed(third, `${to}@3`)
})

test('receive: streams that are not whole', async () => {
  const name = await filled(2)
  await lzc.snapshot([`${name}@1`])
  const full = await collect(lzc.send(`${name}@1`))
  const codeOf = async (stream: Buffer): Promise<string> => {
    const to = fresh()
    const error = await failure(feed(stream, `${to}@1`))
    assert.is(await lzc.exists(to), false, `${error.message}: nothing is left`)
    return error.code
  }
  assert.is(await codeOf(full.subarray(0, full.length / 2)), 'STREAM_TRUNCATED')
  assert.is(await codeOf(full.subarray(0, 312)), 'STREAM_TRUNCATED')
  assert.is(await codeOf(full.subarray(0, 100)), 'STREAM_TRUNCATED')
  assert.is(await codeOf(Buffer.alloc(0)), 'STREAM_TRUNCATED')
  const corrupt = Buffer.from(full)
  corrupt[full.length >> 1] = (corrupt[full.length >> 1] ?? 0) ^ 1
  assert.is(await codeOf(corrupt), 'STREAM_CORRUPT')
  assert.is(await codeOf(randomBytes(10_000)), 'STREAM_INVALID')
  const compound = Buffer.from(full)
  compound[16] = ((compound[16] ?? 0) & ~3) | 2
  assert.is(await codeOf(compound), 'STREAM_INVALID')
  assert.is((await failure(feed(full, `${fresh()}@1`, { raw: true }))).code, 'STREAM_UNEXPECTED')
})

test('receive: a failing receive ends the writer at once, with its own error', async () => {
  const [name, to] = [await filled(8), fresh()]
  await lzc.snapshot([`${name}@1`])
  const full = await collect(lzc.send(`${name}@1`))
  await feed(full, `${to}@1`)
  const started = performance.now()
  const receiving = lzc.receive(`${to}@1`)
  const error = await failure(pipeline(Readable.from(pieces(full)), receiving))
  assert.is(error.code, 'EXISTS')
  assert.is((await failure(receiving.result)).code, 'EXISTS')
  assert.ok(performance.now() - started < 2000)
  // Also when nobody writes any more.
  const idle = lzc.receive(`${to}@1`)
  const failed = new Promise((resolve) => idle.once('error', resolve))
  idle.write(full.subarray(0, 400_000))
  assert.is(((await failed) as { code: string }).code, 'EXISTS')
})

test('an interrupted resumable receive leaves a token', async () => {
  const [name, to] = [await filled(4), fresh()]
  await lzc.snapshot([`${name}@1`])
  const full = await collect(lzc.send(`${name}@1`))
  assert.is(
    (await failure(feed(full.subarray(0, full.length - 100_000), `${to}@1`, { resumable: true }))).code,
    'STREAM_TRUNCATED',
  )
  assert.match(await zfs('get', '-Hpo', 'value', 'receive_resume_token', to), /^1-/)
  assert.ok(['BUSY', 'RESUME_EXISTS'].includes((await failure(feed(full, `${to}@1`))).code))
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
