/** What the embedded engine does, with each release of OpenZFS that it is built for, as an ordinary user and as root. */
import { statSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Built, build, Engine, releases, withDirectory } from './engine.js'
import { ResumeToken } from './resume-token.js'

const MIB = 1024 * 1024
const ENOENT = 2
const EBUSY = 16
const EEXIST = 17
const EXDEV = 18
const EINVAL = 22
const ESRCH = 3
const EROFS = 30
const EPIPE = 32
const EACCES = 13
const ECKSUM = 52
const ENOTSUP = 95
const STREAM_TRUNCATED = 1040

interface Property {
  value: string | number
  source?: string
}

async function stats(engine: Engine, dataset: string): Promise<Record<string, Property>> {
  return JSON.parse(await engine.do('stats', dataset))
}

async function volume(engine: Engine, name: string, mebibytes: number): Promise<void> {
  await engine.do('create', name, 'volume', '-', `volsize:=${mebibytes * MIB}`, 'volblocksize:=16384')
}

/** A pool "from" with a volume, two snapshots and streams of them: full, incremental, from a bookmark. */
async function source(built: Built, directory: string, privileged = false): Promise<Engine> {
  const engine = new Engine(built, { privileged })
  await engine.do('open', join(directory, 'from'), 'from')
  await volume(engine, 'from/vol', 64)
  await engine.do('write', 'from/vol', 0, 32 * MIB, 1)
  await engine.do('snapshot', 'from/vol@a')
  await engine.do('bookmark', 'from/vol#a', 'from/vol@a')
  await engine.do('write', 'from/vol', 4 * MIB, 4 * MIB, 2)
  await engine.do('snapshot', 'from/vol@b')
  await engine.do('send', 'from/vol@a', '-', 0, join(directory, 'full'))
  await engine.do('send', 'from/vol@b', 'from/vol@a', 0, join(directory, 'incremental'))
  await engine.do('send', 'from/vol@b', 'from/vol#a', 0, join(directory, 'bookmark'))
  return engine
}

for (const zfs of releases) {
  for (const privileged of [false, true]) {
    const who = privileged ? 'root' : 'nobody'
    if (privileged && process.getuid?.() !== 0) continue

    test(`${zfs} as ${who}: streams arrive in another process's pool`, () =>
      withDirectory(async (directory) => {
        const built = await build(zfs)
        await using from = await source(built, directory, privileged)
        await using to = new Engine(built, { privileged })
        await to.do('open', join(directory, 'to'), 'to')
        await to.do('receive', 'to/vol@a', join(directory, 'full'))
        assert.is(await to.hash('to/vol@a'), await from.hash('from/vol@a'))
        await to.do('receive', 'to/vol@b', join(directory, 'incremental'))
        assert.is(await to.hash('to/vol'), await from.hash('from/vol@b'))
        await to.do('rollback', 'to/vol', 'to/vol@b')
        assert.is((await to.ask('rollback', 'to/vol', 'to/vol@a')).errno, EEXIST)
        await to.do('destroy-snapshots', 'to/vol@b')
        await to.do('rollback', 'to/vol', 'to/vol@a')
        await to.do('receive', 'to/vol@b', join(directory, 'bookmark'))
        assert.is(await to.hash('to/vol'), await from.hash('from/vol@b'))
        assert.is((await to.ask('receive', 'to/vol@b', join(directory, 'incremental'))).errno, EEXIST)
        await from.do('close', 'from')
        await to.do('close', 'to')
        assert.is(await from.end(), 'status 0')
      }))
  }

  test(`${zfs}: a cut receive goes on from its token`, () =>
    withDirectory(async (directory) => {
      const built = await build(zfs)
      await using engine = await source(built, directory)
      const cut = await engine.ask('receive', 'from/copy@a', join(directory, 'full'), '-', 'resumable', 20 * MIB)
      assert.is(cut.errno, STREAM_TRUNCATED)
      const token = new ResumeToken(String((await stats(engine, 'from/copy')).receive_resume_token?.value))
      assert.ok(token.bytes > 10 * MIB && token.bytes < 20 * MIB, String(token.bytes))
      await engine.do('send', token.toname, '-', 0, join(directory, 'rest'), token.object, token.offset)
      await engine.do('receive', 'from/copy@a', join(directory, 'rest'), '-', 'resumable')
      assert.is(await engine.hash('from/copy'), await engine.hash('from/vol@a'))
      assert.is((await stats(engine, 'from/copy')).receive_resume_token, undefined)
      // One that can't be resumed leaves nothing.
      const plain = await engine.ask('receive', 'from/other@a', join(directory, 'full'), '-', '-', 20 * MIB)
      assert.is(plain.errno, STREAM_TRUNCATED)
      assert.is((await engine.ask('stats', 'from/other')).errno, ENOENT)
      await engine.do('close', 'from')
    }))

  test(`${zfs}: a pool belongs to one process, and to all of that`, () =>
    withDirectory(async (directory) => {
      const built = await build(zfs)
      await using one = new Engine(built)
      await using two = new Engine(built)
      await one.do('open', directory, 'pool')
      assert.is((await two.ask('open', directory, 'pool')).errno, EBUSY)
      assert.is((await one.ask('open', join(directory, 'elsewhere'), 'pool')).errno, EEXIST)
      assert.is((await one.ask('open', join(directory, 'pool.zpool'), 'other')).errno, EINVAL)
      await one.do('open', directory, 'pool')
      await one.do('close', 'pool')
      assert.is((await two.ask('open', directory, 'pool')).errno, EBUSY)
      await one.do('close', 'pool')
      await two.do('open', directory, 'pool')
      await two.do('close', 'pool')
      assert.is((await two.ask('close', 'pool')).errno, ENOENT)
      assert.is(statSync(join(directory, 'pool.zpool')).mode & 0o777, 0o600)
    }))

  test(`${zfs}: temporary holds go with their descriptor and with their process`, () =>
    withDirectory(async (directory) => {
      const built = await build(zfs)
      const one = new Engine(built)
      await one.do('open', directory, 'pool')
      await volume(one, 'pool/vol', 16)
      await one.do('snapshot', 'pool/vol@a')
      await one.do('hold', 'pool/vol@a', 'kept')
      await one.do('hold', 'pool/vol@a', 'brief', 'temporary')
      assert.equal(Object.keys(JSON.parse(await one.do('holds', 'pool/vol@a'))).sort(), ['brief', 'kept'])
      assert.is((await one.ask('destroy', 'pool/vol@a')).errno, EBUSY)
      await one.do('release-temporary')
      assert.equal(Object.keys(JSON.parse(await one.do('holds', 'pool/vol@a'))), ['kept'])
      await one.do('hold', 'pool/vol@a', 'brief', 'temporary')
      await one.kill()
      await using two = new Engine(built)
      await two.do('open', directory, 'pool')
      assert.equal(Object.keys(JSON.parse(await two.do('holds', 'pool/vol@a'))), ['kept'])
      await two.do('release', 'pool/vol@a', 'kept')
      await two.do('destroy', 'pool/vol@a')
      await two.do('close', 'pool')
    }))

  test(`${zfs}: properties are what the kernel gives`, () =>
    withDirectory(async (directory) => {
      const built = await build(zfs)
      await using engine = new Engine(built)
      await engine.do('open', directory, 'pool')
      await engine.do('create', 'pool/tree', 'filesystem', '-', 'compression:=15', 'org.example:owner=me')
      await volume(engine, 'pool/tree/vol', 16)
      const created = await stats(engine, 'pool/tree/vol')
      assert.equal(created.compression, { value: 15, source: 'pool/tree' })
      assert.equal(created['org.example:owner'], { value: 'me', source: 'pool/tree' })
      assert.equal([created.volsize?.value, created.volblocksize?.value, created.type?.value], [16 * MIB, 16384, 3])
      await engine.do('set', 'pool/tree/vol', 'org.example:owner=you', `volsize:=${32 * MIB}`, 'readonly:=1')
      const changed = await stats(engine, 'pool/tree/vol')
      assert.equal(changed['org.example:owner'], { value: 'you', source: 'pool/tree/vol' })
      assert.is(changed.volsize?.value, 32 * MIB)
      assert.is((await engine.ask('write', 'pool/tree/vol', 0, MIB, 1)).errno, EROFS)
      await engine.do('inherit', 'pool/tree/vol', 'org.example:owner')
      assert.is((await stats(engine, 'pool/tree/vol'))['org.example:owner']?.value, 'me')
      assert.is((await engine.ask('inherit', 'pool/tree/vol', 'volsize')).errno, EINVAL)
      const refused = await engine.ask('set', 'pool/tree', 'compression=text', 'used:=1', 'fine:=1', 'quota:=33554432')
      assert.equal(JSON.parse(refused.text), { compression: EINVAL, fine: EINVAL, used: EINVAL })
      assert.is((await stats(engine, 'pool/tree')).quota?.value, 32 * MIB)
      assert.is(await engine.do('children', 'pool/tree'), 'pool/tree/vol')
      assert.is((await engine.ask('set', 'pool/none', 'a:b=c')).errno, ENOENT)
      assert.is((await engine.ask('create', 'pool/x', 'volume', '-', 'volsize:=5000')).errno, EINVAL)
      assert.is((await engine.ask('create', 'pool/none/x', 'filesystem', '-')).errno, ENOENT)
      await engine.do('close', 'pool')
    }))

  test(`${zfs}: datasets are made, renamed, cloned, promoted and destroyed with libzfs_core's errnos`, () =>
    withDirectory(async (directory) => {
      const built = await build(zfs)
      await using engine = new Engine(built)
      await engine.do('open', directory, 'pool')
      await volume(engine, 'pool/vol', 16)
      await engine.do('write', 'pool/vol', 0, 8 * MIB, 3)
      await engine.do('snapshot', 'pool/vol@a')
      assert.is((await engine.ask('snapshot', 'pool/vol@a')).errno, EEXIST)
      assert.is((await engine.ask('snapshot', 'pool/vol@x', 'pool/vol@y')).errno, EXDEV)
      assert.is((await engine.ask('snapshot', 'pool/vol')).errno, EINVAL)
      assert.is((await engine.ask('rollback', 'pool/vol', 'pool/vol@none')).errno, ESRCH)
      await engine.do('clone', 'pool/clone', 'pool/vol@a')
      assert.is(await engine.hash('pool/clone'), await engine.hash('pool/vol'))
      assert.is((await engine.ask('destroy', 'pool/vol')).errno, EBUSY)
      await engine.do('promote', 'pool/clone')
      await engine.do('destroy', 'pool/vol')
      await engine.do('rename', 'pool/clone', 'pool/new')
      await engine.do('rename', 'pool/new@a', 'pool/new@b')
      assert.is(await engine.do('snapshots', 'pool/new'), 'pool/new@b')
      assert.is((await engine.ask('write', 'pool/new@b', 0, MIB, 1)).errno, EROFS)
      assert.is((await engine.ask('write', 'pool/new', 16 * MIB, MIB, 1)).errno, EINVAL)
      assert.is((await engine.ask('send-broken', 'pool/new@b')).errno, EPIPE)
      assert.is((await engine.ask('send', 'pool/none@a', '-', 0, join(directory, 'x'))).errno, ENOENT)
      assert.is((await engine.ask('set', 'pool/new', 'version:=5')).errno, EINVAL)
      await engine.do('discard', 'pool/new', 0, 16 * MIB)
      await volume(engine, 'pool/empty', 16)
      assert.is(await engine.hash('pool/new'), await engine.hash('pool/empty'))
      await engine.do('close', 'pool')
    }))

  test(`${zfs}: encrypted volumes go raw, and come back with their key`, () =>
    withDirectory(async (directory) => {
      const built = await build(zfs)
      const key = '0123456789abcdef0123456789abcdef'
      await using engine = new Engine(built)
      await engine.do('open', directory, 'pool')
      const encryption = ['encryption:=8', 'keyformat:=1', 'keylocation=prompt']
      await engine.do('create', 'pool/secret', 'volume', key, `volsize:=${16 * MIB}`, ...encryption)
      await engine.do('write', 'pool/secret', 0, 16 * MIB, 9)
      await engine.do('snapshot', 'pool/secret@a')
      await engine.do('send', 'pool/secret@a', '-', 8, join(directory, 'raw'))
      await engine.do('receive', 'pool/copy@a', join(directory, 'raw'))
      assert.is((await engine.ask('hash', 'pool/copy@a')).errno, EACCES)
      assert.is((await engine.ask('load-key', 'pool/copy', key.replace('0', '1'))).errno, EACCES)
      await engine.do('load-key', 'pool/copy', key)
      assert.is(await engine.hash('pool/copy@a'), await engine.hash('pool/secret@a'))
      await engine.do('unload-key', 'pool/copy')
      await engine.do('close', 'pool')
    }))

  test(`${zfs}: streams that are damaged, or made up, are refused and leave nothing`, () =>
    withDirectory(async (directory) => {
      const built = await build(zfs)
      await using engine = await source(built, directory)
      const stream = await readFile(join(directory, 'full'))
      const receive = async (change: (bytes: Buffer) => void): Promise<number> => {
        const bytes = Buffer.from(stream)
        change(bytes)
        await writeFile(join(directory, 'bad'), bytes)
        const { errno } = await engine.ask('receive', 'from/bad@a', join(directory, 'bad'))
        assert.is((await engine.ask('stats', 'from/bad')).errno, ENOENT)
        return errno
      }
      assert.is(await receive((bytes) => bytes.writeUInt8(bytes.readUInt8(20 * MIB) ^ 1, 20 * MIB)), ECKSUM)
      // The length of the BEGIN record's payload, its type, and the type of the record behind it.
      assert.is(await receive((bytes) => bytes.writeUInt32LE(0xfffffff0, 4)), EINVAL)
      assert.is(await receive((bytes) => bytes.writeUInt32LE(4, 4)), EINVAL)
      assert.is(await receive((bytes) => bytes.writeUInt32LE(9, 32)), EINVAL)
      assert.is(await receive((bytes) => bytes.writeUInt32LE(99, 312 + bytes.readUInt32LE(4))), EINVAL)
      assert.is(await receive((bytes) => bytes.subarray(8, 16).reverse()), ENOTSUP)
      await engine.do('close', 'from')
    }))

  test(`${zfs}: a pool grows when it fills up`, () =>
    withDirectory(async (directory) => {
      const built = await build(zfs)
      await using engine = new Engine(built)
      await engine.do('open', directory, 'pool', 128 * MIB)
      await volume(engine, 'pool/vol', 400)
      await engine.do('write', 'pool/vol', 0, 400 * MIB, 4)
      await engine.do('flush', 'pool/vol')
      assert.ok(statSync(join(directory, 'pool.zpool')).size > 512 * MIB)
      const hash = await engine.hash('pool/vol')
      await engine.do('close', 'pool')
      await engine.do('open', directory, 'pool')
      assert.is(await engine.hash('pool/vol'), hash)
      await engine.do('close', 'pool')
    }))
}

test.run()
