/** What depends on where OpenZFS is: in the kernel, or in this process. */
import * as assert from 'uvu/assert'
import { mount, unmount } from '../../src/datasets/index.js'
import * as lzc from '../../src/lzc/index.js'
import { fresh } from '../zfs/pool.js'
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
  })

  test("reading a volume's bytes", async () => {
    const name = await newVolume(engine)
    assert.is(digestOf(await lzc.readVolume(name, 0n, 4 << 20)), digestOf(await engine.read(name)))
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
