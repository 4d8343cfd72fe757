/** What depends on where OpenZFS is: in the kernel, or in this process. */
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { mount, setProperties, unmount } from '../../src/datasets/index.js'
import * as lzc from '../../src/lzc/index.js'
import { failure, fresh } from '../zfs/pool.js'
import { conformance } from './engine.js'
import { digestOf, newVolume } from './streams.js'

conformance('machine', (test, engine) => {
  test('which engine it is', async () => {
    assert.is(lzc.isEmbedded(), engine.kind === 'embedded')
    lzc.chooseEngine(engine.kind)
    assert.throws(() => lzc.chooseEngine(engine.kind === 'embedded' ? 'kernel' : 'embedded'), /uses .* already/)
  })

  test('mounting a filesystem', async () => {
    const name = fresh()
    await lzc.create(name)
    assert.is(await mount(name), `/${name}`)
    await unmount(name)
  })

  test('unmounting a filesystem', async () => {
    const name = fresh()
    await lzc.create(name)
    await unmount(name)
  })

  test('opening a pool in a file', async () => {
    await lzc.openPool(process.env.TEST_DIRECTORY ?? '/tmp', 'another', { size: 128n << 20n })
    await lzc.closePool('another')
    const closed = await mkdtemp(join(process.env.TEST_DIRECTORY ?? '/tmp', 'closed-'))
    await chmod(closed, 0o500)
    assert.is((await failure(lzc.openPool(closed, 'third'))).code, 'PERMISSION_DENIED')
  })

  test("reading a volume's bytes", async () => {
    const name = await newVolume(engine)
    assert.is(digestOf(await lzc.readVolume(name, 0n, 4 << 20)), digestOf(await engine.read(name)))
  })

  test('what of a volume can not be read or written', async () => {
    const [volume, filesystem, tight] = [await newVolume(engine), fresh(), fresh()]
    assert.is((await lzc.readVolume(volume, 0n, 512)).length, 512)
    await lzc.create(filesystem)
    const bytes = randomBytes(65_536)
    const codes = async (name: string, offset: bigint): Promise<string[]> =>
      Promise.all(
        [
          lzc.readVolume(name, offset, bytes.length),
          lzc.writeVolume(name, offset, bytes),
          lzc.discardVolume(name, offset, BigInt(bytes.length)),
        ].map(async (call) => (await failure(call)).code),
      )
    assert.equal(await codes(volume, 4n << 20n), Array(3).fill('INVALID_ARGUMENT'))
    assert.equal(await codes(filesystem, 0n), Array(3).fill('INVALID_ARGUMENT'))
    assert.equal(await codes(fresh(), 0n), Array(3).fill('NOT_FOUND'))
    await setProperties(volume, { readonly: 'on' })
    assert.is((await failure(lzc.writeVolume(volume, 0n, bytes))).code, 'READ_ONLY')
    assert.is((await failure(lzc.discardVolume(volume, 0n, 4096n))).code, 'READ_ONLY')
    assert.is((await failure(lzc.flushVolume('nosuchpool/x'))).code, 'NOT_FOUND')
    await lzc.create(tight, { properties: { quota: '1M' } })
    await lzc.create(`${tight}/volume`, { type: 'volume', properties: { volsize: '64M' } })
    const fill = async (): Promise<void> => {
      for (let at = 0n; at < 64n << 20n; at += 65_536n) {
        await lzc.writeVolume(`${tight}/volume`, at, bytes)
        if (at % (1n << 20n) === 0n) await lzc.flushVolume(`${tight}/volume`)
      }
    }
    assert.is((await failure(fill())).code, 'QUOTA')
  })

  test("writing a volume's bytes", async () => {
    const name = await newVolume(engine)
    await lzc.writeVolume(name, 100n, Buffer.from('kept'))
    await lzc.flushVolume(name)
    assert.equal((await engine.read(name)).subarray(100, 104), Buffer.from('kept'))
    await lzc.discardVolume(name, 0n, 1n << 20n)
    assert.is(digestOf((await engine.read(name)).subarray(0, 1 << 20)), digestOf(Buffer.alloc(1 << 20)))
  })
})
