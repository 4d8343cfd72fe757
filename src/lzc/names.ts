import { ArgumentError } from '../errors.js'

/** ZFS_MAX_DATASET_NAME_LEN, without the zero byte. */
const maxLength = 255
/** zfs_max_dataset_nesting. */
const maxNesting = 50

const component = /^[A-Za-z0-9_.:\- ]+$/

/**
 * Checks a filesystem's or volume's name by ZFS's rules (zfs(8), zcommon/zfs_namecheck.c), before the kernel sees it.
 * @throws ArgumentError
 */
export function checkDataset(name: string): string {
  const parts = text(name).split('/')
  if (parts.length > maxNesting) throw bad(name, `has more than ${maxNesting} levels`)
  for (const part of parts) checkComponent(name, part)
  if (!/^[A-Za-z]/.test(name)) throw bad(name, "does not begin with a letter, as a pool's name must")
  return name
}

/** Checks a pool's name. */
export function checkPool(name: string): string {
  if (checkDataset(name).includes('/')) throw bad(name, "is not a pool's name, but a dataset's")
  return name
}

/** Checks a snapshot's full name, `pool/dataset@name`. */
export function checkSnapshot(name: string): string {
  return checkPoint(name, '@', 'a snapshot', 'pool/dataset@snapshot')
}

/** Checks a bookmark's full name, `pool/dataset#name`. */
export function checkBookmark(name: string): string {
  return checkPoint(name, '#', 'a bookmark', 'pool/dataset#bookmark')
}

/** Checks a bookmark's short name, the part after the `#`. */
export function checkBookmarkName(name: string): string {
  checkComponent(name, text(name))
  return name
}

/** Checks the name of any dataset, snapshot or bookmark. */
export function checkAny(name: string): string {
  if (text(name).includes('@')) return checkSnapshot(name)
  return name.includes('#') ? checkBookmark(name) : checkDataset(name)
}

/** Checks a hold's tag: any text of 1 to 255 bytes without a zero byte. */
export function checkTag(tag: string): string {
  const size = Buffer.byteLength(text(tag))
  if (size < 1 || size > maxLength || tag.includes('\0')) throw bad(tag, 'is not a tag: it needs 1 to 255 bytes')
  return tag
}

/** Checks a user property's name (zfsprops(7), User Properties): lower case, with a colon in it. */
export function checkUserProperty(name: string): string {
  if (/^[a-z0-9:._-]{1,255}$/.test(text(name)) && name.includes(':') && !name.startsWith('-')) return name
  throw bad(name, "is not a user property's name, such as com.example:note")
}

export const isUserProperty = (name: string): boolean => name.includes(':')

/** The pool that a name belongs to. */
export function poolOf(name: string): string {
  return /^[^/@#]*/.exec(name)?.[0] ?? name
}

/** Checks that names which ZFS takes in one call are in one pool. */
export function checkOnePool(names: readonly string[]): void {
  const first = names[0]
  const other = first === undefined ? undefined : names.find((name) => poolOf(name) !== poolOf(first))
  if (other !== undefined) throw bad(other, `is in another pool than ${first}; one call can't reach both`)
}

function checkPoint(name: string, mark: '@' | '#', kind: string, form: string): string {
  const parts = text(name).split(mark)
  if (parts.length !== 2) throw bad(name, `is not ${kind}'s full name, ${form}`)
  const [dataset = '', point = ''] = parts
  checkDataset(dataset)
  checkComponent(name, point)
  return name
}

function checkComponent(name: string, part: string): void {
  if (part === '') throw bad(name, 'has an empty part')
  if (part === '.' || part === '..') throw bad(name, `has a part ${part}`)
  if (!component.test(part)) throw bad(name, 'has a character other than letters, digits, _ . : - and space')
}

function text(name: unknown): string {
  if (typeof name !== 'string') throw new ArgumentError(`A name must be a string, not ${typeof name}`)
  if (Buffer.byteLength(name) > maxLength) throw bad(name, `is longer than ${maxLength} bytes`)
  return name
}

function bad(name: string, why: string): ArgumentError {
  return new ArgumentError(`${JSON.stringify(name)} ${why}`)
}
