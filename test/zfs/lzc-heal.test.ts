import { createHash, randomBytes } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ArgumentError, NotSupportedError } from '../../src/errors.js'
import * as lzc from '../../src/lzc/index.js'
import { type ExtraPool, extraPool, zpool } from './extra-pool.js'
import { collect, failure, fill, fresh, pool } from './pool.js'

const mebibyte = 1024 * 1024

/** Overwrites a piece of a pool's file that holds these bytes. */
async function damage(extra: ExtraPool, bytes: Buffer): Promise<void> {
  await zpool('export', extra.name)
  const file = await open(extra.files[0] as string, 'r+')
  const chunk = Buffer.alloc(mebibyte + bytes.length)
  for (let at = 0, found = -1; found < 0; at += mebibyte) {
    const { bytesRead } = await file.read(chunk, 0, chunk.length, at)
    if (bytesRead === 0) throw new Error('the bytes are not in the file')
    found = chunk.subarray(0, bytesRead).indexOf(bytes)
    if (found >= 0) await file.write(Buffer.alloc(4096, 'damage'), 0, 4096, at + found)
  }
  await file.close()
  await zpool('import', '-d', extra.directory, extra.name)
}

test('a damaged snapshot is mended with its own stream', async () => {
  if (!lzc.features().lzc_receive_with_heal) {
    assert.throws(
      () => lzc.receive(`${pool}@1`, { heal: true }),
      (error: unknown) => error instanceof NotSupportedError && /OpenZFS 2\.2/.test(error.message),
    )
    return
  }
  await using extra = await extraPool(['0'], ['-O', 'compression=off'])
  const { name } = extra
  await fill(name, 'a', 2)
  await lzc.snapshot([`${name}@1`])
  const content = await readFile(`/${name}/a1`)
  const stream = await collect(lzc.send(`${name}@1`))
  await damage(extra, content.subarray(300_000, 300_064))
  assert.is(
    await readFile(`/${name}/a1`).then(
      () => 'read',
      (error: NodeJS.ErrnoException) => error.code,
    ),
    'EIO',
  )
  const healing = lzc.receive(`${name}@1`, { heal: true })
  healing.end(stream)
  await healing.result
  const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
  assert.is(digest(await readFile(`/${name}/a1`)), digest(content))
})

test('heal: each error', async () => {
  for (const other of [{ force: true }, { resumable: true }]) {
    assert.throws(
      () => lzc.receive(`${pool}@1`, { heal: true, ...other }),
      (error: unknown) => error instanceof ArgumentError,
    )
  }
  if (!lzc.features().lzc_receive_with_heal) return
  const name = fresh()
  await lzc.create(name)
  await lzc.snapshot([`${name}@1`])
  await lzc.snapshot([`${name}@2`])
  const stream = await collect(lzc.send(`${name}@1`))
  const heal = async (target: string, bytes = stream): Promise<string> => {
    const healing = lzc.receive(target, { heal: true })
    healing.on('error', () => undefined)
    healing.end(bytes)
    return (await failure(healing.result)).code
  }
  assert.is(await heal(`${name}@2`), 'STREAM_UNEXPECTED')
  assert.is(await heal(`${name}@none`), 'NOT_FOUND')
  assert.is(await heal(`${name}@1`, stream.subarray(0, stream.length - 312)), 'STREAM_TRUNCATED')
  const damaged = Buffer.from(stream)
  damaged.writeUInt8(damaged.readUInt8(stream.length - 400) ^ 1, stream.length - 400)
  assert.is(await heal(`${name}@1`, damaged), 'STREAM_CORRUPT')
  const key = randomBytes(lzc.keyBytes)
  const secret = fresh()
  await lzc.create(secret, { properties: { encryption: 'on', keyformat: 'raw', keylocation: 'prompt' }, key })
  await lzc.snapshot([`${secret}@1`])
  const plain = await collect(lzc.send(`${secret}@1`))
  await lzc.unloadKey(secret)
  assert.is(await heal(`${secret}@1`, plain), 'KEY_NOT_LOADED')
})

test.run()
