import * as assert from 'uvu/assert'
import { getProperties, listBookmarks, listDatasets, listSnapshots } from '../../src/datasets/index.js'
import { ArgumentError } from '../../src/errors.js'
import * as lzc from '../../src/lzc/index.js'
import { all, failure, fresh } from '../zfs/pool.js'
import { conformance } from './engine.js'
import { feed, newHistory, refusal } from './streams.js'

async function tree(): Promise<string> {
  const root = fresh()
  for (const name of [root, `${root}/a`, `${root}/a/b`, `${root}/c`]) await lzc.create(name)
  await lzc.create(`${root}/v`, { type: 'volume', properties: { volsize: '8M' } })
  await lzc.snapshot([`${root}@1`, `${root}/a@1`, `${root}/v@1`])
  await lzc.snapshot(`${root}@2`, { 'com.example:n': '2' })
  return root
}

conformance('listing', (test, engine) => {
  test('datasets: depth, types, GUIDs and createtxgs', async () => {
    const root = await tree()
    const everything = await all(listDatasets(root, { recursive: true }))
    assert.equal(everything[0]?.name, root)
    assert.equal(
      everything.map(({ name, type }) => `${name} ${type}`).sort(),
      ['', '/a', '/a/b', '/c', '/v'].map((below) => `${root}${below} ${below === '/v' ? 'volume' : 'filesystem'}`),
    )
    for (const { name, guid, createtxg } of everything) {
      const read = await getProperties(name)
      assert.equal([guid, createtxg], [read.guid?.value, read.createtxg?.value])
    }
    const names = (await all(listDatasets(root))).map(({ name }) => name)
    assert.equal(names.sort(), [root, `${root}/a`, `${root}/c`, `${root}/v`])
    assert.equal((await all(listDatasets(root, { depth: 0 }))).length, 1)
    assert.equal((await all(listDatasets(root, { recursive: true, types: ['volume'] }))).length, 1)
    const [first] = await all(listDatasets(root, { depth: 0, properties: ['used', 'type', 'nosuch'] }))
    assert.equal(Object.keys(first?.properties ?? {}), ['used', 'type'])
    assert.is((await failure(all(listDatasets(fresh())))).code, 'NOT_FOUND')
    assert.instance(await failure(all(listDatasets(root, { depth: -1 }))), ArgumentError)
  })

  test('snapshots: oldest first, with properties, also of all below', async () => {
    const root = await tree()
    const names = (await all(listSnapshots(root, { recursive: true }))).map(({ name }) => name)
    assert.equal(names.slice(0, 2), [`${root}@1`, `${root}@2`])
    assert.equal(names.sort(), [`${root}/a@1`, `${root}/v@1`, `${root}@1`, `${root}@2`])
    const [first, second] = await all(listSnapshots(root, { properties: ['com.example:n', 'used', 'nosuch'] }))
    assert.equal([first?.name, first?.dataset], [`${root}@1`, root])
    const read = await getProperties(`${root}@1`)
    assert.equal(
      [first?.guid, first?.createtxg, first?.creation],
      [read.guid?.value, read.createtxg?.value, read.creation?.value],
    )
    assert.is(first?.properties['com.example:n'], undefined)
    assert.equal(second?.properties['com.example:n'], { value: '2', source: 'local' })
    assert.ok(typeof second?.properties.used?.value === 'bigint')
    assert.is((await failure(all(listSnapshots(fresh())))).code, 'NOT_FOUND')
  })

  test('two hundred snapshots: more than one call into ZFS gives', async () => {
    const name = fresh()
    await lzc.create(name)
    const names = Array.from({ length: 200 }, (_, i) => `${name}@s${i}`)
    for (const each of names) await lzc.snapshot(each)
    const listed = await all(listSnapshots(name, { properties: ['used', 'referenced'] }))
    assert.equal(
      listed.map((each) => each.name),
      names,
    )
  })

  test('two hundred children', async () => {
    const root = fresh()
    await lzc.create(root)
    const names = Array.from({ length: 200 }, (_, i) => `${root}/${i}`)
    for (const each of names) await lzc.create(each)
    const listed = (await all(listDatasets(root))).map(({ name }) => name)
    assert.equal(listed.slice(1).sort(), names.sort())
  })

  test('a signal that has fired ends each', async () => {
    const root = await tree()
    const signal = AbortSignal.abort()
    for (const list of [listDatasets, listSnapshots, listBookmarks]) {
      assert.is((await failure(all<unknown>(list(root, { signal })))).code, 'ABORTED')
    }
  })

  test('what an interrupted receive has left is not listed', async () => {
    const { full, second } = await newHistory(engine)
    const root = fresh()
    await lzc.create(root)
    await feed(full, `${root}/to@1`)
    const cut = second.subarray(0, second.length - 1000)
    assert.is(await refusal(cut, `${root}/to@2`, { resumable: true }), 'STREAM_TRUNCATED')
    const listed = (await all(listDatasets(root, { recursive: true }))).map(({ name }) => name)
    assert.equal(listed, [root, `${root}/to`])
    assert.equal(
      (await all(listSnapshots(root, { recursive: true }))).map(({ name }) => name),
      [`${root}/to@1`],
    )
  })
})
