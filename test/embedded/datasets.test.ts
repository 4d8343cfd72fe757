/** Lists, properties and pools of the embedded engine, in this very process. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  getPool,
  getProperties,
  inheritProperty,
  listDatasets,
  listPools,
  listSnapshots,
  mountAll,
  setProperties,
  unmountAll,
} from '../../src/datasets/index.js'
import { NotSupportedError } from '../../src/errors.js'
import * as lzc from '../../src/lzc/index.js'
import { all, failure } from '../zfs/pool.js'
import { useEngine, withDirectory } from './engine.js'

test('lists, properties and pools', () =>
  withDirectory(async (directory) => {
    await useEngine()
    lzc.chooseEngine('embedded')
    await lzc.openPool(directory, 'own', { size: 256n << 20n })
    try {
      await lzc.create('own/a', { properties: { 'com.example:u': 'v' } })
      await lzc.create('own/a/v', { type: 'volume', properties: { volsize: '8M' } })
      await lzc.snapshot(['own/a@1', 'own/a/v@1'])
      const names = async (items: AsyncIterable<{ name: string }>): Promise<string[]> =>
        (await all(items)).map(({ name }) => name)
      assert.equal(await names(listDatasets('own', { recursive: true })), ['own', 'own/a', 'own/a/v'])
      assert.equal(await names(listSnapshots('own', { recursive: true })), ['own/a@1', 'own/a/v@1'])
      await setProperties('own/a', { compression: 'zstd-3', quota: '32M' })
      const read = await getProperties('own/a/v')
      assert.equal(read.compression, { value: 'zstd-3', source: 'inherited from own/a' })
      assert.equal(read['com.example:u'], { value: 'v', source: 'inherited from own/a' })
      assert.equal(read.volsize, { value: 8n << 20n, source: 'local' })
      await inheritProperty('own/a', 'compression')
      assert.is((await getProperties('own/a', ['compression'])).compression?.source, 'default')

      assert.equal(await listPools(), ['own'])
      const pool = await getPool('own')
      assert.is(pool.health, 'ONLINE')
      assert.is(pool.space.size, pool.space.allocated + pool.space.free)
      assert.ok(pool.space.size > 200n << 20n)
      assert.equal(
        pool.vdevs.map(({ type, state }) => [type, state]),
        [['file', 'ONLINE']],
      )
      assert.is(pool.features.extensible_dataset, 'active')
      assert.is((await failure(getPool('other'))).code, 'NOT_FOUND')
      for (const refused of [mountAll('own'), unmountAll('own')])
        assert.instance(await failure(refused), NotSupportedError)
    } finally {
      await lzc.closePool('own')
    }
  }))

test.run()
