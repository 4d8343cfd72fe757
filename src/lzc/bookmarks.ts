import { ArgumentError } from '../errors.js'
import { throwFailures, zfsError } from './errors.js'
import { addonWith } from './functions.js'
import { checkBookmark, checkDataset, checkOnePool, checkSnapshot } from './names.js'
import { openAddon } from './native.js'
import { decodeNvlist, encodeNvlist, type NvList, type NvPlain, nv } from './nvlist.js'

/** What can be asked of a bookmark; the numbers are those of the snapshot that it was made from. */
export type BookmarkProperty =
  | 'guid'
  | 'createtxg'
  | 'creation'
  | 'ivsetguid'
  | 'referenced'
  | 'logicalreferenced'
  | 'redact_snaps'
  | 'redact_complete'

/**
 * Makes bookmarks in one pool: all or none. lzc_bookmark.
 *
 * @param bookmarks the snapshot or bookmark that each is made from, by the new bookmark's full name
 * @throws ManyError with each name's own error in `failures`: `EXISTS`, `NOT_FOUND`, `NOT_ANCESTOR`; ZfsError
 *   `PERMISSION_DENIED`; NotSupportedError (the pool lacks the feature); ArgumentError
 */
export async function bookmark(bookmarks: Readonly<Record<string, string>>): Promise<void> {
  const names = Object.keys(bookmarks).map(checkBookmark)
  const sources = Object.values(bookmarks).map((source) =>
    source.includes('#') ? checkBookmark(source) : checkSnapshot(source),
  )
  checkOnePool([...names, ...sources])
  const [first] = names
  if (first === undefined) return
  const { errno, list } = await openAddon().bookmark(encodeNvlist(bookmarks))
  throwFailures('be bookmarked', errno, list, first)
}

/**
 * A dataset's bookmarks, by their short names. lzc_get_bookmarks.
 *
 * @param properties what to tell of each; a bookmark that lacks one leaves it out
 * @throws ZfsError `NOT_FOUND`
 */
export async function getBookmarks<Name extends BookmarkProperty = 'guid' | 'createtxg' | 'creation'>(
  dataset: string,
  properties: readonly Name[] = ['guid', 'createtxg', 'creation'] as unknown as readonly Name[],
): Promise<Record<string, Record<Name, bigint>>> {
  checkDataset(dataset)
  const wanted = encodeNvlist(Object.fromEntries(properties.map((name) => [name, nv.flag()])))
  const { errno, list } = await openAddon().getBookmarks(dataset, wanted)
  if (errno !== 0) throw zfsError('have its bookmarks read', errno, dataset)
  if (list === undefined) return {}
  const entries = Object.entries(decodeNvlist(list)).map(([name, values]) => [name, unwrap(values as NvList)])
  return Object.fromEntries(entries) as Record<string, Record<Name, bigint>>
}

type NumberOfBookmark = Exclude<BookmarkProperty, 'redact_snaps' | 'redact_complete'> | 'refcompressratio'

/**
 * The properties of one bookmark. lzc_get_bookmark_props.
 *
 * @param bookmark the full name
 * @returns numbers by name; what a redaction bookmark has besides, only {@link getBookmarks} tells
 * @throws ZfsError `NOT_FOUND`; ArgumentError; NotSupportedError
 */
export async function getBookmarkProps(bookmark: string): Promise<Partial<Record<NumberOfBookmark, bigint>>> {
  checkBookmark(bookmark)
  const { errno, list } = await addonWith('lzc_get_bookmark_props').getBookmarkProps(bookmark)
  if (errno !== 0) throw zfsError('have its properties read', errno, bookmark)
  return list === undefined ? {} : (unwrap(decodeNvlist(list)) as Record<NumberOfBookmark, bigint>)
}

/** Each value comes in a list of its own: `{ guid: { value: 1n } }`. */
function unwrap(values: NvList): Record<string, NvPlain | undefined> {
  return Object.fromEntries(Object.entries(values).map(([name, wrapped]) => [name, (wrapped as NvList).value]))
}

/**
 * Destroys bookmarks of one pool: all or none. One that does not exist is not an error. lzc_destroy_bookmarks.
 * @throws ManyError with each name's own error in `failures`: `BUSY` (a send is redacted by it); ZfsError `PERMISSION_DENIED`;
 *   ArgumentError
 */
export async function destroyBookmarks(names: readonly string[]): Promise<void> {
  const list = names.map(checkBookmark)
  checkOnePool(list)
  const [first] = list
  if (first === undefined) return
  if (new Set(list).size !== list.length) throw new ArgumentError('A bookmark is named twice')
  const flags = encodeNvlist(Object.fromEntries(list.map((name) => [name, nv.flag()])))
  const { errno, list: errors } = await openAddon().destroyBookmarks(flags)
  throwFailures('be destroyed', errno, errors, first)
}
