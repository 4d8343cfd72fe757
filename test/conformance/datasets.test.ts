import { randomBytes } from 'node:crypto'
import * as assert from 'uvu/assert'
import { getProperties } from '../../src/datasets/index.js'
import { ArgumentError } from '../../src/errors.js'
import * as lzc from '../../src/lzc/index.js'
import { failure, fresh, pool } from '../zfs/pool.js'
import { conformance } from './engine.js'
import { change, digestOf, guidOf, mebibyte, newVolume } from './streams.js'

conformance('datasets', (test, engine) => {
  test('version and features', async () => {
    const { module, userland } = await lzc.version()
    assert.match(module, /^2\.\d+\.\d+$/)
    assert.match(userland, /^2\.[1-3]$/)
    assert.type(lzc.features().lzc_receive_with_heal, 'boolean')
    console.log(`measured: OpenZFS ${module}, libzfs_core of ${userland} or later`)
  })

  test('create: filesystem and volume, with properties of each kind', async () => {
    const fs = fresh()
    const properties = { readonly: 'on', recordsize: '16K', compression: 'gzip-9', 'org.example:x': 'y' }
    await lzc.create(fs, { properties })
    const read = await getProperties(fs)
    assert.equal(read.readonly, { value: 'on', source: 'local' })
    assert.equal(read.recordsize, { value: 16_384n, source: 'local' })
    assert.equal(read.compression, { value: 'gzip-9', source: 'local' })
    assert.equal(read['org.example:x'], { value: 'y', source: 'local' })
    const volume = fresh()
    await lzc.create(volume, { type: 'volume', properties: { volsize: 8n * 1024n * 1024n, volblocksize: '32K' } })
    const { volsize, volblocksize, type } = await getProperties(volume)
    assert.equal([volsize?.value, volblocksize?.value, type?.value], [8_388_608n, 32_768n, 'volume'])
    assert.ok(await lzc.exists(fs))
  })

  test('create: a filesystem of another nature', async () => {
    const fs = fresh()
    const properties = { casesensitivity: 'insensitive', normalization: 'formD', utf8only: 'on' }
    await lzc.create(fs, { properties })
    assert.is((await getProperties(fs)).type?.value, 'filesystem')
  })

  test('create: each error', async () => {
    const [fs, volume] = [fresh(), fresh()]
    await lzc.create(fs)
    await lzc.create(volume, { type: 'volume', properties: { volsize: '1M' } })
    const codeOf = async (name: string, options: lzc.CreateOptions = {}): Promise<string> => {
      const { code } = await failure(lzc.create(name, options))
      if (code !== 'EXISTS') assert.is(await lzc.exists(name), false, `${name} after ${code}`)
      return code
    }
    assert.is(await codeOf(fs), 'EXISTS')
    const orphan = await failure(lzc.create(`${fresh()}/child`))
    assert.is(orphan.code, 'NOT_FOUND')
    assert.match(orphan.next ?? '', /parent/)
    assert.is(await codeOf('nosuchpool/x'), 'NOT_FOUND')
    assert.is(await codeOf(`${volume}/child`), 'WRONG_PARENT')
    assert.is(await codeOf(`${volume}/child`, { type: 'volume', properties: { volsize: '1M' } }), 'WRONG_PARENT')
    assert.is(await codeOf(fresh(), { properties: { reservation: '1P' } }), 'NO_SPACE')
    assert.is(await codeOf(fresh(), { type: 'volume', properties: { volsize: 5000 } }), 'INVALID_ARGUMENT')
    assert.is(await codeOf(fresh(), { type: 'volume', properties: { volsize: 0 } }), 'INVALID_ARGUMENT')
    for (const properties of [
      { nosuch: '1' },
      { readonly: 'maybe' },
      { quota: 'much' },
      { 'Bad:Name': 'x' },
      { recordsize: 1000n },
    ]) {
      assert.instance(await failure(lzc.create(fresh(), { properties })), ArgumentError)
    }
    assert.instance(await failure(lzc.create(fresh(), { type: 'volume' })), ArgumentError)
  })

  test('names are refused before ZFS sees them', async () => {
    for (const name of [
      '',
      `/${pool}`,
      `${pool}/`,
      `${pool}//a`,
      `${pool}/..`,
      `${pool}/a*`,
      `${pool}/${'x'.repeat(255)}`,
      '1x',
    ]) {
      assert.instance(await failure(lzc.create(name)), ArgumentError, name)
    }
    assert.instance(await failure(lzc.snapshot(`${pool}/a`)), ArgumentError)
    assert.instance(await failure(lzc.snapshot([`${pool}/a@x`, 'other/b@x'])), ArgumentError)
  })

  test('exists', async () => {
    assert.is(await lzc.exists(pool), true)
    assert.is(await lzc.exists(fresh()), false)
    assert.is(await lzc.exists('nosuchpool/x'), false)
    assert.is(await lzc.exists(`${pool}@none`), false)
    assert.is(await lzc.exists(`${pool}#none`), false)
    assert.is(await lzc.exists(`${fresh()}#none`), false)
  })

  test('snapshot: several at once, with user properties; all or none', async () => {
    const [a, b] = [fresh(), fresh()]
    await lzc.create(a)
    await lzc.create(b)
    await lzc.snapshot([`${a}@1`, `${b}@1`], { 'com.example:why': 'nightly' })
    const [first, second] = [await getProperties(`${a}@1`), await getProperties(`${b}@1`)]
    assert.is(first.createtxg?.value, second.createtxg?.value)
    assert.is.not(first.guid?.value, second.guid?.value)
    assert.equal(first['com.example:why'], { value: 'nightly', source: 'local' })
    const error = await failure(lzc.snapshot([`${a}@2`, `${b}@1`]))
    assert.instance(error, lzc.ManyError)
    assert.equal(
      [...(error as lzc.ManyError).failures].map(([name, { code }]) => [name, code]),
      [[`${b}@1`, 'EXISTS']],
    )
    assert.is(await lzc.exists(`${a}@2`), false)
    assert.is((await failure(lzc.snapshot(`${fresh()}@1`))).code, 'NOT_FOUND')
    assert.is((await failure(lzc.snapshot([`${a}@x`, `${a}@y`]))).code, 'INVALID_ARGUMENT')
    assert.is(await lzc.exists(`${a}@x`), false)
    await lzc.snapshot([])
  })

  test('snapshot: it keeps what the volume held', async () => {
    const name = await newVolume(engine)
    const before = digestOf(await engine.read(name))
    await lzc.snapshot(`${name}@1`)
    await change(engine, name, '2')
    const copy = fresh()
    await lzc.clone(`${name}@1`, copy)
    assert.is(digestOf(await engine.read(copy)), before)
    assert.is.not(digestOf(await engine.read(name)), before)
  })

  test('snapshot: no space for what is reserved besides', async () => {
    const parent = fresh()
    await lzc.create(parent, { properties: { quota: '9M' } })
    const properties = { volsize: '6M', refreservation: '7M' }
    await lzc.create(`${parent}/volume`, { type: 'volume', properties })
    await engine.write(`${parent}/volume`, 0, randomBytes(4 * mebibyte))
    const error = await failure(lzc.snapshot(`${parent}/volume@1`))
    assert.is(error.code, 'NO_SPACE')
    assert.is(await lzc.exists(`${parent}/volume@1`), false)
    const small = fresh()
    await lzc.create(small, { properties: { quota: '1M' } })
    assert.is((await failure(lzc.rename(`${parent}/volume`, `${small}/volume`))).code, 'NO_SPACE')
  })

  test('limits on the number of snapshots and filesystems do not bind root', async () => {
    const name = fresh()
    await lzc.create(name, { properties: { snapshot_limit: 1, filesystem_limit: 1 } })
    await lzc.snapshot(`${name}@1`)
    await lzc.snapshot(`${name}@2`)
    await lzc.create(`${name}/a`)
    await lzc.create(`${name}/b`)
    const { snapshot_count, filesystem_count } = await getProperties(name)
    assert.equal([snapshot_count?.value, filesystem_count?.value], [2n, 2n])
  })

  test('destroy: each error', async () => {
    const fs = fresh()
    await lzc.create(fs)
    await lzc.create(`${fs}/child`)
    assert.is((await failure(lzc.destroy(fs))).code, 'HAS_DEPENDENTS')
    await lzc.destroy(`${fs}/child`)
    await lzc.snapshot(`${fs}@1`)
    assert.is((await failure(lzc.destroy(fs))).code, 'BUSY')
    const holds = await lzc.hold({ [`${fs}@1`]: 'x' })
    assert.is((await failure(lzc.destroy(`${fs}@1`))).code, 'BUSY')
    await holds.release()
    const copy = fresh()
    await lzc.clone(`${fs}@1`, copy)
    assert.is((await failure(lzc.destroy(`${fs}@1`))).code, 'HAS_DEPENDENTS')
    await lzc.destroy(copy)
    await lzc.destroy(`${fs}@1`)
    await lzc.destroy(fs)
    for (const name of [fs, `${fs}@1`, `${pool}@none`, 'nosuchpool/x']) {
      assert.is((await failure(lzc.destroy(name))).code, 'NOT_FOUND', name)
    }
    assert.instance(await failure(lzc.destroy(`${pool}#b`)), ArgumentError)
  })

  test('destroySnapshots: all or none, and what is not there is no error', async () => {
    const fs = fresh()
    await lzc.create(fs)
    await lzc.snapshot(`${fs}@1`)
    await lzc.snapshot(`${fs}@2`)
    const copy = fresh()
    await lzc.clone(`${fs}@2`, copy)
    const error = await failure(lzc.destroySnapshots([`${fs}@1`, `${fs}@2`]))
    assert.is((error as lzc.ManyError).failures.get(`${fs}@2`)?.code, 'HAS_DEPENDENTS')
    assert.is(await lzc.exists(`${fs}@1`), true)
    await lzc.destroySnapshots([`${fs}@1`, `${fs}@never`, `${fresh()}@never`])
    assert.is(await lzc.exists(`${fs}@1`), false)
    await lzc.destroySnapshots([])
  })

  test('destroySnapshots: deferred where it is held or cloned', async () => {
    const [fs, copy] = [fresh(), fresh()]
    await lzc.create(fs)
    await lzc.snapshot(`${fs}@1`)
    const holds = await lzc.hold({ [`${fs}@1`]: 'x' })
    await lzc.destroySnapshots([`${fs}@1`], { defer: true })
    assert.is((await getProperties(`${fs}@1`)).defer_destroy?.value, 'on')
    await holds.release()
    assert.is(await lzc.exists(`${fs}@1`), false)
    await lzc.snapshot(`${fs}@2`)
    await lzc.clone(`${fs}@2`, copy)
    await lzc.destroySnapshots([`${fs}@2`], { defer: true })
    assert.is(await lzc.exists(`${fs}@2`), true)
    await lzc.destroy(copy)
    assert.is(await lzc.exists(`${fs}@2`), false)
  })

  test('rename: a dataset with all that is below it, and snapshots', async () => {
    const [fs, to] = [fresh(), fresh()]
    await lzc.create(fs)
    await lzc.create(`${fs}/child`)
    await lzc.snapshot([`${fs}@1`, `${fs}/child@1`])
    const [guid, child] = [await guidOf(`${fs}@1`), await guidOf(`${fs}/child@1`)]
    await lzc.rename(fs, to)
    assert.is(await lzc.exists(fs), false)
    assert.is(await guidOf(`${to}@1`), guid)
    assert.is(await guidOf(`${to}/child@1`), child)
    await lzc.rename(`${to}@1`, `${to}@one`)
    assert.is(await guidOf(`${to}@one`), guid)
    await lzc.rename(`${to}/child`, fs)
    assert.is(await guidOf(`${fs}@1`), child)
  })

  test('rename: each error', async () => {
    const [fs, other, volume] = [fresh(), fresh(), fresh()]
    await lzc.create(fs)
    await lzc.create(other)
    await lzc.create(volume, { type: 'volume', properties: { volsize: '1M' } })
    await lzc.snapshot([`${fs}@1`, `${other}@1`])
    await lzc.snapshot(`${fs}@2`)
    const codeOf = async (from: string, to: string): Promise<string> => (await failure(lzc.rename(from, to))).code
    assert.is(await codeOf(fresh(), fresh()), 'NOT_FOUND')
    assert.is(await codeOf(fs, `${fresh()}/child`), 'NOT_FOUND')
    assert.is(await codeOf(fs, other), 'EXISTS')
    assert.is(await codeOf(fs, `${fs}/child`), 'INVALID_ARGUMENT')
    assert.is(await codeOf(fs, `${volume}/child`), 'WRONG_PARENT')
    assert.is(await codeOf(`${fs}@none`, `${fs}@x`), 'NOT_FOUND')
    assert.is(await codeOf(`${fs}@1`, `${fs}@2`), 'EXISTS')
    assert.is(await codeOf(`${fs}@1`, `${other}@2`), 'INVALID_ARGUMENT')
    assert.is(await codeOf(fs, `${fs}@x`), 'INVALID_ARGUMENT')
    assert.is(await codeOf(`${fs}@1`, fresh()), 'INVALID_ARGUMENT')
    assert.is(await codeOf(`${fs}#1`, `${fs}#2`), 'INVALID_ARGUMENT')
  })

  test('clone: content, properties and origin; each error', async () => {
    const [name, copy] = [await newVolume(engine), fresh()]
    await lzc.snapshot(`${name}@1`)
    await lzc.clone(`${name}@1`, copy, { properties: { readonly: 'on', 'com.example:a': 'b' } })
    const read = await getProperties(copy)
    assert.is(read.origin?.value, `${name}@1`)
    assert.equal(read.readonly, { value: 'on', source: 'local' })
    assert.equal(read['com.example:a'], { value: 'b', source: 'local' })
    assert.is(digestOf(await engine.read(copy)), digestOf(await engine.read(name)))
    const codeOf = async (from: string, to: string, properties = {}): Promise<string> =>
      (await failure(lzc.clone(from, to, { properties }))).code
    const none = fresh()
    assert.is(await codeOf(`${name}@none`, none), 'NOT_FOUND')
    assert.is(await codeOf(`${fresh()}@1`, none), 'NOT_FOUND')
    assert.is(await codeOf(`${name}@1`, copy), 'EXISTS')
    assert.is(await codeOf(`${name}@1`, `${none}/child`), 'NOT_FOUND')
    assert.is(await lzc.exists(none), false)
    // A filesystem's: the kernel can't take a volume back while its device appears.
    const fs = fresh()
    await lzc.create(fs)
    await lzc.snapshot(`${fs}@1`)
    assert.is(await codeOf(`${fs}@1`, none, { reservation: '1P' }), 'NO_SPACE')
    assert.is(await lzc.exists(none), false)
  })

  test('promote: it takes the snapshots over', async () => {
    const [name, copy] = [await newVolume(engine), fresh()]
    await lzc.snapshot(`${name}@1`)
    const guid = await guidOf(`${name}@1`)
    await lzc.clone(`${name}@1`, copy)
    await lzc.promote(copy)
    assert.is(await guidOf(`${copy}@1`), guid)
    assert.is(await lzc.exists(`${name}@1`), false)
    assert.is((await getProperties(name)).origin?.value, `${copy}@1`)
    await lzc.destroy(name)
  })

  test('promote: each error', async () => {
    const [fs, copy] = [fresh(), fresh()]
    await lzc.create(fs)
    assert.is((await failure(lzc.promote(fs))).code, 'NOT_A_CLONE')
    assert.is((await failure(lzc.promote(copy))).code, 'NOT_FOUND')
    await lzc.snapshot(`${fs}@1`)
    await lzc.clone(`${fs}@1`, copy)
    await lzc.snapshot(`${copy}@1`)
    const conflict = await failure(lzc.promote(copy))
    assert.is(conflict.code, 'EXISTS')
    assert.is(conflict.dataset, `${copy}@1`)
  })

  test('rollbackTo: content, and each error', async () => {
    const [name, other] = [await newVolume(engine), fresh()]
    await lzc.create(other)
    assert.is((await failure(lzc.rollbackTo(name, `${name}@1`))).code, 'NOT_FOUND')
    const before = digestOf(await engine.read(name))
    await lzc.snapshot([`${name}@1`, `${other}@1`])
    await engine.write(name, 0, Buffer.alloc(65_536))
    assert.is.not(digestOf(await engine.read(name)), before)
    await lzc.rollbackTo(name, `${name}@1`)
    assert.is(digestOf(await engine.read(name)), before)
    await lzc.snapshot(`${name}@2`)
    assert.is((await failure(lzc.rollbackTo(name, `${name}@1`))).code, 'NOT_LATEST')
    assert.is((await failure(lzc.rollbackTo(name, `${name}@none`))).code, 'NOT_FOUND')
    assert.is((await failure(lzc.rollbackTo(name, `${other}@1`))).code, 'NOT_FOUND')
    assert.is((await failure(lzc.rollbackTo(fresh(), `${name}@1`))).code, 'NOT_FOUND')
  })
})
