import * as assert from 'uvu/assert'
import { getProperties, listBookmarks } from '../../src/datasets/index.js'
import { ArgumentError } from '../../src/errors.js'
import * as lzc from '../../src/lzc/index.js'
import { all, failure, fresh } from '../zfs/pool.js'
import { conformance } from './engine.js'

async function dataset(): Promise<string> {
  const name = fresh()
  await lzc.create(name)
  await lzc.snapshot(`${name}@1`)
  return name
}

conformance('bookmarks', (test) => {
  test('of a snapshot, and of a bookmark: they have its GUID, createtxg and creation', async () => {
    const fs = await dataset()
    await lzc.bookmark({ [`${fs}#b`]: `${fs}@1` })
    await lzc.bookmark({ [`${fs}#c`]: `${fs}#b` })
    const bookmarks = await lzc.getBookmarks(fs)
    assert.equal(Object.keys(bookmarks).sort(), ['b', 'c'])
    const { guid, createtxg, creation } = await getProperties(`${fs}@1`)
    for (const bookmark of Object.values(bookmarks)) {
      assert.equal(bookmark, { guid: guid?.value, createtxg: createtxg?.value, creation: creation?.value })
    }
    assert.is(await lzc.exists(`${fs}#b`), true)
    assert.equal(Object.keys((await lzc.getBookmarks(fs, ['guid'])).b ?? {}), ['guid'])
    assert.equal((await lzc.getBookmarks(fs, ['redact_snaps'])).b, {})
    await lzc.destroy(`${fs}@1`)
    assert.is((await lzc.getBookmarks(fs)).b?.guid, guid?.value)
  })

  test('each error; all or none', async () => {
    const [fs, other] = [await dataset(), await dataset()]
    await lzc.bookmark({ [`${fs}#b`]: `${fs}@1` })
    const codeOf = async (bookmarks: Record<string, string>): Promise<string> =>
      (await failure(lzc.bookmark(bookmarks))).code
    assert.is(await codeOf({ [`${fs}#b`]: `${fs}@1` }), 'EXISTS')
    assert.is(await codeOf({ [`${fs}#d`]: `${fs}@none` }), 'NOT_FOUND')
    assert.is(await codeOf({ [`${fs}#d`]: `${fs}#none` }), 'NOT_FOUND')
    assert.is(await codeOf({ [`${fresh()}#d`]: `${fs}@1` }), 'NOT_FOUND')
    assert.is(await codeOf({ [`${fs}#d`]: `${other}@1` }), 'NOT_ANCESTOR')
    const error = await failure(lzc.bookmark({ [`${fs}#d`]: `${fs}@1`, [`${fs}#b`]: `${fs}@1` }))
    assert.equal([...(error as lzc.ManyError).failures.keys()], [`${fs}#b`])
    assert.equal(Object.keys(await lzc.getBookmarks(fs)), ['b'])
    assert.instance(await failure(lzc.bookmark({ [`${fs}@x`]: `${fs}@1` })), ArgumentError)
    assert.is((await failure(lzc.getBookmarks(fresh()))).code, 'NOT_FOUND')
    await lzc.bookmark({})
  })

  test('destroyBookmarks: what is not there is no error', async () => {
    const fs = await dataset()
    await lzc.bookmark({ [`${fs}#b`]: `${fs}@1`, [`${fs}#c`]: `${fs}@1` })
    await lzc.destroyBookmarks([`${fs}#b`, `${fs}#none`])
    assert.equal(Object.keys(await lzc.getBookmarks(fs)), ['c'])
    await lzc.destroyBookmarks([`${fs}#c`])
    assert.equal(await lzc.getBookmarks(fs), {})
    await lzc.destroyBookmarks([`${fresh()}#b`])
    await lzc.destroyBookmarks([])
    assert.instance(await failure(lzc.destroyBookmarks([`${fs}#c`, `${fs}#c`])), ArgumentError)
  })

  test('listBookmarks: oldest first, also of all below', async () => {
    const root = await dataset()
    await lzc.create(`${root}/a`)
    await lzc.snapshot([`${root}@2`, `${root}/a@1`])
    await lzc.bookmark({ [`${root}#two`]: `${root}@2`, [`${root}#one`]: `${root}@1`, [`${root}/a#x`]: `${root}/a@1` })
    const names = async (recursive: boolean): Promise<string[]> =>
      (await all(listBookmarks(root, { recursive }))).map(({ name }) => name)
    assert.equal(await names(false), [`${root}#one`, `${root}#two`])
    assert.equal(await names(true), [`${root}#one`, `${root}#two`, `${root}/a#x`])
    assert.is((await failure(all(listBookmarks(fresh())))).code, 'NOT_FOUND')
  })
})
