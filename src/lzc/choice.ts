import { ArgumentError } from '../errors.js'

/**
 * The number that ZFS has for a word.
 * @throws ArgumentError for another word
 */
export function choose<Name extends string>(
  table: Readonly<Record<Name, number>>,
  name: NoInfer<Name>,
  what: string,
): number {
  const value = Object.hasOwn(table, name) ? table[name] : undefined
  if (value !== undefined) return value
  throw new ArgumentError(`${what} can't be ${JSON.stringify(name)}; it is one of ${Object.keys(table).join(', ')}`)
}
