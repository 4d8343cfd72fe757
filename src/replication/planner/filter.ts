import { ArgumentError } from '../../errors.js'

/**
 * A regular expression, matched as it stands (so anchor it yourself), or a glob, matched against the whole name: `*` is any
 * number of characters without `/`, `**` any number of any, `?` one character other than `/`.
 */
export type Pattern = string | RegExp

/** Which names are meant. */
export interface NameFilter {
  /** A name must match one of these; without any, all do. */
  include?: readonly Pattern[]
  /** A name that matches one of these is out, whatever `include` says. */
  exclude?: readonly Pattern[]
}

/**
 * Makes a predicate of a filter.
 * @throws ArgumentError `INVALID_ARGUMENT`
 */
export function nameFilter({ include, exclude = [] }: NameFilter = {}): (name: string) => boolean {
  const wanted = include?.map(toRegExp)
  const unwanted = exclude.map(toRegExp)
  if (wanted === undefined && unwanted.length === 0) return () => true
  return (name) =>
    (wanted === undefined || wanted.some((pattern) => pattern.test(name))) &&
    !unwanted.some((pattern) => pattern.test(name))
}

function toRegExp(pattern: Pattern): RegExp {
  // A global or sticky expression remembers where it stopped, and would answer by the name before.
  if (pattern instanceof RegExp) return new RegExp(pattern.source, pattern.flags.replaceAll(/[gy]/g, ''))
  if (typeof pattern !== 'string') throw new ArgumentError(`A pattern is a string or a RegExp, not ${typeof pattern}`)
  return new RegExp(`^${pattern.replaceAll(/\*\*|[*?.+^${}()|[\]\\]/g, globPart)}$`)
}

function globPart(part: string): string {
  if (part === '**') return '.*'
  if (part === '*') return '[^/]*'
  return part === '?' ? '[^/]' : `\\${part}`
}
