/** A replacer for JSON.stringify: uint64s as decimal text, which no reader rounds. */
export function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}
