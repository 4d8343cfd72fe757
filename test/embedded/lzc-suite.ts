/** libzfs_core's functions with the embedded engine of one release, which a process can have one of. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NotSupportedError } from '../../src/errors.js'
import * as lzc from '../../src/lzc/index.js'
import { collect, failure } from '../zfs/pool.js'
import { build, type Release } from './engine.js'

const mebibyte = 1024 * 1024
const raw = { encryption: 'on', keyformat: 'raw', keylocation: 'prompt' }

async function volume(name: string, mebibytes: number): Promise<void> {
  await lzc.create(name, { type: 'volume', properties: { volsize: '32M' } })
  for (let i = 0; i < mebibytes; i++) await lzc.writeVolume(name, BigInt(i * mebibyte), randomBytes(mebibyte))
}

export function lzcSuite(release: Release): void {
  const pool = 'pool'
  let directory = ''

  test.before(async () => {
    process.env.FLOCKER_ZFS_EMBEDDED_LIBRARY = (await build(release)).library
    lzc.chooseEngine('embedded')
    directory = await mkdtemp(join(tmpdir(), 'flocker-zfs-embedded-'))
    await lzc.openPool(directory, pool)
  })

  test.after(async () => {
    await lzc.closePool(pool)
    await rm(directory, { recursive: true })
  })

  test(`${release}: rollback, a range's space, one bookmark, what is left of a stream`, async () => {
    const name = `${pool}/volume`
    await volume(name, 2)
    await lzc.snapshot(`${name}@1`)
    await lzc.writeVolume(name, 0n, randomBytes(mebibyte))
    await lzc.snapshot(`${name}@2`)
    await lzc.writeVolume(name, 0n, randomBytes(mebibyte))
    await lzc.snapshot(`${name}@3`)
    const space = await lzc.snaprangeSpace(`${name}@1`, `${name}@2`)
    assert.ok(space >= 2n * BigInt(mebibyte) && space < 3n * BigInt(mebibyte), `${space} bytes`)
    assert.is((await failure(lzc.snaprangeSpace(`${name}@2`, `${name}@1`))).code, 'NOT_ANCESTOR')
    assert.is((await failure(lzc.snaprangeSpace(`${name}@x`, `${name}@1`))).code, 'NOT_FOUND')
    assert.is(await lzc.rollback(name), `${name}@3`)
    await lzc.bookmark({ [`${name}#b`]: `${name}@1` })
    assert.ok(((await lzc.getBookmarkProps(`${name}#b`)).guid ?? 0n) > 0n)
    assert.is((await failure(lzc.getBookmarkProps(`${name}#x`))).code, 'NOT_FOUND')
    const whole = await lzc.sendSpace(`${name}@1`)
    const resume = { object: 1n, offset: 0n, bytes: 1000n }
    assert.is(await lzc.sendSpace(`${name}@1`, { resume }), whole - 1000n)
  })

  test(`${release}: redaction`, async () => {
    const name = `${pool}/origin`
    await volume(name, 4)
    await lzc.snapshot(`${name}@1`)
    await lzc.clone(`${name}@1`, `${pool}/clone`)
    await lzc.writeVolume(`${pool}/clone`, 0n, Buffer.alloc(mebibyte, 'x'))
    await lzc.snapshot(`${pool}/clone@r`)
    await lzc.redact(`${name}@1`, 'book', [`${pool}/clone@r`])
    assert.is((await failure(lzc.redact(`${name}@1`, 'book', [`${pool}/clone@r`]))).code, 'EXISTS')
    assert.is((await failure(lzc.redact(`${name}@1`, 'other', [`${name}@1`]))).code, 'NOT_ANCESTOR')
    const whole = await collect(lzc.send(`${name}@1`))
    const redacted = await collect(lzc.send(`${name}@1`, { redactBookmark: 'book' }))
    assert.ok(whole.length - redacted.length > 900_000, `${whole.length} and ${redacted.length} bytes`)
  })

  test(`${release}: keys`, async () => {
    const [key, next] = [randomBytes(32), randomBytes(32)]
    const name = `${pool}/secret`
    await lzc.create(name, { properties: raw, key })
    assert.is((await failure(lzc.loadKey(name, key))).code, 'EXISTS')
    await lzc.unloadKey(name)
    assert.is((await failure(lzc.unloadKey(name))).code, 'KEY_NOT_LOADED')
    assert.is((await failure(lzc.loadKey(name, next))).code, 'WRONG_KEY')
    await lzc.loadKey(name, key)
    await lzc.changeKey(name, { command: 'new', key: next, properties: { keyformat: 'raw' } })
    await lzc.unloadKey(name)
    await lzc.loadKey(name, next)
    await lzc.loadKey(name, next, { checkOnly: true })
    await lzc.unloadKey(name)
  })

  test(`${release}: channel programs`, async () => {
    await lzc.create(`${pool}/a`)
    const program = 'return zfs.sync.snapshot((...).name)'
    const options = { arguments: { name: `${pool}/a@made` } }
    assert.is(await lzc.channelProgram(pool, program, options), 0n)
    assert.is(await lzc.exists(`${pool}/a@made`), true)
    assert.is((await failure(lzc.channelProgramNosync(pool, program, options))).code, 'PROGRAM_FAILED')
    assert.is((await failure(lzc.channelProgram(pool, 'retrun'))).code, 'PROGRAM_INVALID')
    const endless = lzc.channelProgramNosync(pool, 'while true do end', { instructionLimit: 1000n })
    assert.is((await failure(endless)).code, 'PROGRAM_OUT_OF_TIME')
    assert.is((await failure(lzc.channelProgram('nosuch', 'return 1'))).code, 'NOT_FOUND')
  })

  test(`${release}: sync and checkpoints`, async () => {
    await lzc.sync(pool)
    assert.is((await failure(lzc.poolCheckpointDiscard(pool))).code, 'NOT_FOUND')
    await lzc.poolCheckpoint(pool)
    assert.is((await failure(lzc.poolCheckpoint(pool))).code, 'EXISTS')
    await lzc.poolCheckpointDiscard(pool)
    assert.is((await failure(lzc.poolCheckpoint('nosuch'))).code, 'NOT_FOUND')
  })

  test(`${release}: what needs a kernel says so`, async () => {
    const { version, lzc_wait, lzc_redact } = lzc.features()
    assert.is(version, release)
    assert.equal([lzc_wait, lzc_redact], [false, true])
    const calls = [
      lzc.wait(pool, 'scrub'),
      lzc.waitTag(pool, 'trim', 5n),
      lzc.waitFs(pool, 'deleteq'),
      lzc.initialize(pool, 'start'),
      lzc.trim(pool, 'start'),
      lzc.scrub(pool, 'start'),
      lzc.reopen(pool),
      lzc.getBootenv(pool),
      lzc.setBootenv(pool, {}),
      lzc.getPoolProps(pool),
      lzc.getVdevProps(pool, 5n),
      lzc.setVdevProps(pool, 5n, {}),
      lzc.poolPrefetch(pool, 'ddt'),
      lzc.ddtPrune(pool, { percentage: 5 }),
    ]
    for (const call of calls) {
      const error = await failure(call)
      assert.instance(error, NotSupportedError)
      assert.match(error.message, /embedded OpenZFS/)
    }
  })

  test.run()
}
