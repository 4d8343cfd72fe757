/** Pools in files, as a program that uses the package sees them. */
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ArgumentError } from '../../src/errors.js'
import * as lzc from '../../src/lzc/index.js'
import { failure } from '../zfs/pool.js'
import { useEngine, withDirectory } from './engine.js'
import { startProgram } from './program.js'

const mebibyte = 1024 * 1024

async function newVolume(name: string, mebibytes: number): Promise<void> {
  await lzc.create(name, { type: 'volume', properties: { volsize: BigInt(mebibytes * mebibyte) } })
}

test('a pool that a process has open is refused to another, until that closes it or is killed', () =>
  withDirectory(async (directory) => {
    const body = `
      await lzc.openPool(directory, 'shared')
      await lzc.create('shared/disk', { type: 'volume', properties: { volsize: '64M' } })
      await lzc.writeVolume('shared/disk', 0n, Buffer.alloc(1 << 20, 'flushed'))
      await lzc.flushVolume('shared/disk')
      say('flushed')
      for (let i = 1; ; i = (i % 63) + 1) await lzc.writeVolume('shared/disk', BigInt(i << 20), Buffer.alloc(1 << 20, i))`
    const child = startProgram(body, directory, { FLOCKER_ZFS_ENGINE: 'embedded' })
    const ended = once(child, 'exit')
    await once(child.stdout as NodeJS.ReadableStream, 'data')
    const error = await failure(lzc.openPool(directory, 'shared'))
    assert.is(error.code, 'POOL_IN_USE')
    assert.match(error.next ?? '', /another directory/)
    child.kill('SIGKILL')
    await ended
    await lzc.openPool(directory, 'shared')
    assert.equal(await lzc.readVolume('shared/disk', 0n, mebibyte), Buffer.alloc(mebibyte, 'flushed'))
    await lzc.destroy('shared/disk')
    await lzc.closePool('shared')
  }))

test('what is written before a pool closes is there when it opens', () =>
  withDirectory(async (directory) => {
    await lzc.openPool(directory, 'kept')
    await newVolume('kept/disk', 8)
    await lzc.writeVolume('kept/disk', 0n, Buffer.alloc(mebibyte, 'x'))
    await lzc.snapshot('kept/disk@1')
    await lzc.hold({ 'kept/disk@1': 'for good' })
    await lzc.hold({ 'kept/disk@1': 'for now' }, { temporary: true })
    await lzc.closePool('kept')
    assert.is((await failure(lzc.readVolume('kept/disk', 0n, 1))).code, 'NOT_FOUND')
    assert.is((await failure(lzc.closePool('kept'))).code, 'NOT_FOUND')
    await lzc.openPool(directory, 'kept')
    assert.equal(await lzc.readVolume('kept/disk', 0n, mebibyte), Buffer.alloc(mebibyte, 'x'))
    for (const bytes of [8 * mebibyte + 1, 2 ** 40]) {
      assert.is((await failure(lzc.readVolume('kept/disk', 0n, bytes))).code, 'INVALID_ARGUMENT')
    }
    assert.equal(Object.keys(await lzc.getHolds('kept/disk@1')), ['for good'])
    await lzc.closePool('kept')
  }))

test('it closes once it was closed as often as opened, and not while something uses it', () =>
  withDirectory(async (directory) => {
    await lzc.openPool(directory, 'busy')
    await lzc.openPool(directory, 'busy')
    await lzc.closePool('busy')
    await newVolume('busy/disk', 64)
    await lzc.writeVolume('busy/disk', 0n, Buffer.alloc(64 * mebibyte, 'x'))
    await lzc.snapshot('busy/disk@1')
    const sending = lzc.send('busy/disk@1')
    await once(sending, 'readable')
    assert.is((await failure(lzc.closePool('busy'))).code, 'BUSY')
    sending.destroy()
    await once(sending, 'close')
    await lzc.closePool('busy')
  }))

test('its file is sparse and grows with what is in it', () =>
  withDirectory(async (directory) => {
    await lzc.openPool(directory, 'growing', { size: 128n << 20n })
    const file = statSync(join(directory, 'growing.zpool'))
    assert.equal([file.size, file.mode & 0o777], [128 * mebibyte, 0o600])
    assert.ok(file.blocks * 512 < 16 * mebibyte)
    await newVolume('growing/disk', 256)
    const bytes = Buffer.alloc(mebibyte)
    for (let i = 0; i < 256; i++) {
      bytes.writeUInt32LE(i + 1)
      await lzc.writeVolume('growing/disk', BigInt(i * mebibyte), bytes.fill(bytes.subarray(0, 4)))
    }
    await lzc.flushVolume('growing/disk')
    assert.ok(statSync(join(directory, 'growing.zpool')).size > 256 * mebibyte)
    assert.is((await lzc.readVolume('growing/disk', BigInt(255 * mebibyte), 4)).readUInt32LE(), 256)
    await lzc.closePool('growing')
  }))

test('openPool: each error', () =>
  withDirectory(async (directory) => {
    const codeOf = async (...args: Parameters<typeof lzc.openPool>): Promise<string> =>
      (await failure(lzc.openPool(...args))).code
    await lzc.openPool(directory, 'first')
    assert.is(await codeOf(join(directory, 'elsewhere'), 'first'), 'EXISTS')
    await lzc.closePool('first')
    await rename(join(directory, 'first.zpool'), join(directory, 'second.zpool'))
    assert.is(await codeOf(directory, 'second'), 'INVALID_ARGUMENT')
    await writeFile(join(directory, 'text.zpool'), 'no pool')
    assert.is(await codeOf(directory, 'text'), 'NOT_A_POOL')
    assert.is(await codeOf(join(directory, 'none/below'), 'third'), 'NOT_FOUND')
    await mkdir(join(directory, 'directory.zpool'))
    assert.not(existsSync(join(directory, 'third.zpool')))
    for (const [where, name] of [
      ['', 'x'],
      ['a\0b', 'x'],
      [directory, 'a/b'],
      [directory, '1x'],
    ] as const) {
      assert.instance(await failure(lzc.openPool(where, name)), ArgumentError)
    }
  }))

test.before(async () => {
  process.env.FLOCKER_ZFS_ENGINE = 'embedded'
  await useEngine()
})

test.run()
