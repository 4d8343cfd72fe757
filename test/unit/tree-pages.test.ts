import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { FlockerError } from '../../src/errors.js'
import { maxListedDatasets, maxPagePoints, maxTakenSnapshots } from '../../src/replication/messages.js'
import type { Peer } from '../../src/replication/peer.js'
import { RemoteSource } from '../../src/replication/remote-source.js'
import { cutHistory, pageOf, visible } from '../../src/replication/tree-pages.js'

const entry = (name: string, token?: string) => ({
  ...{ name, token, guid: 1n, encrypted: false },
  type: 'filesystem' as const,
})
const points = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ name: `p${i}`, guid: BigInt(i + 1), createtxg: BigInt(i + 1) }))
type Point = ReturnType<typeof points>[number]

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

/** All pages of a history, as a peer asks for them. */
function pagesOf(history: Parameters<typeof cutHistory>[0], room: number) {
  const pages: NonNullable<ReturnType<typeof cutHistory>>[] = []
  for (let after = 0n; ; ) {
    const page = cutHistory(history, after, room)
    if (page === undefined) throw new Error('a page without anything')
    pages.push(page)
    if (!page.more) return pages
    after = [...page.snapshots, ...page.bookmarks].reduce((most, p) => (p.createtxg > most ? p.createtxg : most), 0n)
  }
}

test('a history is cut where the page ends, and goes on from there: no snapshot and no bookmark is left out', () => {
  const history = { snapshots: points(maxPagePoints + 5), bookmarks: points(3 * maxPagePoints) }
  const pages = pagesOf(history, maxPagePoints)
  assert.is(pages.length, 5)
  assert.ok(pages.every(({ snapshots, bookmarks }) => snapshots.length + bookmarks.length <= maxPagePoints))
  const names = (all: { name: string }[]) => all.map(({ name }) => name)
  assert.equal(names(pages.flatMap(({ snapshots }) => snapshots)), names(history.snapshots))
  assert.equal(names(pages.flatMap(({ bookmarks }) => bookmarks)), names(history.bookmarks))
  assert.is(pagesOf({ snapshots: points(9), bookmarks: points(15) }, 3).length, 9 + 2, 'not between two of a moment')
  assert.is(cutHistory(history, 0n, 0), undefined)
  assert.equal(cutHistory(undefined, 0n, 0), { snapshots: [], bookmarks: [], more: false })
})

test('of bookmarks with one GUID the first is told', () => {
  const [one] = points(1)
  const bookmarks = Array.from({ length: maxPagePoints + 1 }, (_, i) => ({ ...(one as Point), name: `b${i}` }))
  const [page, ...others] = pagesOf({ snapshots: [], bookmarks }, maxPagePoints)
  assert.equal([page?.bookmarks.map(({ name }) => name), others.length], [['b0'], 0])
})

test('more snapshots of one moment than a message has room for are not asked for', () => {
  const source = new RemoteSource({ identity: 'beta' } as Peer, 'transfer')
  const names = Array.from({ length: maxTakenSnapshots }, (_, i) => `child-${i}`)
  source.checkTakes(names)
  for (const many of [[...names, 'one-more'], names.map((name) => name.padEnd(60, 'x'))]) {
    assert.throws(
      () => source.checkTakes(many),
      (error: FlockerError) => error.code === 'NOT_SUPPORTED' && /snapshot: 'existing'/.test(error.next ?? ''),
    )
  }
})

test.run()
