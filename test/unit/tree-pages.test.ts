import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { maxListedDatasets, maxPageBookmarks, maxPagePoints } from '../../src/replication/messages.js'
import { cutHistory, pageOf, visible } from '../../src/replication/tree-pages.js'

const entry = (name: string, token?: string) => ({
  ...{ name, token, guid: 1n, encrypted: false },
  type: 'filesystem' as const,
})
const points = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ name: `p${i}`, guid: 1n, createtxg: BigInt(i + 1) }))

test('what a peer has no right to is not told, nor what is below', () => {
  const entries = ['', 'b', 'a/secret/x', 'a', 'a/secret'].map((name) => entry(name))
  const shown = visible(entries, (name) => name !== 'a/secret')
  assert.equal(
    shown.map(({ name }) => name),
    ['', 'a', 'b'],
  )
  assert.equal(
    visible(entries, (name) => name !== ''),
    [],
  )
})

test('a page of datasets has room for so many, and for so many tokens', () => {
  const entries = Array.from({ length: maxListedDatasets + 1 }, (_, i) => entry(`${i}`))
  assert.equal([pageOf(entries).datasets.length, pageOf(entries).more], [maxListedDatasets, true])
  assert.is(pageOf(entries.slice(1)).more, false)
  const large = Array.from({ length: 10 }, (_, i) => entry(`${i}`, 'x'.repeat(64 * 1024)))
  assert.is(pageOf(large).datasets.length, 4)
})

test('a history is cut where the page ends, and goes on from there', () => {
  const history = { snapshots: points(maxPagePoints + 5), bookmarks: points(maxPageBookmarks + 1) }
  const first = cutHistory(history, 0n, maxPagePoints)
  assert.equal([first?.snapshots.length, first?.bookmarks.length, first?.more], [maxPagePoints, 0, true])
  const rest = cutHistory(history, BigInt(maxPagePoints), maxPagePoints)
  assert.equal([rest?.snapshots.length, rest?.bookmarks.length, rest?.more], [5, maxPageBookmarks, false])
  assert.is(rest?.bookmarks[0]?.name, 'p1', 'the oldest bookmark is the one that is left out')
  assert.is(cutHistory(history, 0n, 0), undefined)
  assert.equal(cutHistory(undefined, 0n, 0), { snapshots: [], bookmarks: [], more: false })
})

test.run()
