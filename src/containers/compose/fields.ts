/** Reads the values of a Compose file, and notes what is not as it should be. */
import type { Problems } from './problems.js'
import type { ListValue, MapValue, Value } from './tree.js'

/** The entries of a map that are asked for by name; those that nobody asks for are problems. */
export class Fields {
  readonly #asked = new Set<string>()

  constructor(
    readonly map: MapValue,
    readonly problems: Problems,
  ) {}

  /** The value of a key; `undefined` where it is absent or empty. */
  take(name: string): Value | undefined {
    this.#asked.add(name)
    const value = this.map.entries.get(name)
    return value?.kind === 'scalar' && value.value === null ? undefined : value
  }

  /** Whether it is there, be it empty. */
  has(name: string): boolean {
    return this.map.entries.has(name)
  }

  text(name: string): string | undefined {
    const value = this.take(name)
    return value && readText(value, this.problems)
  }

  boolean(name: string): boolean | undefined {
    const value = this.take(name)
    if (value === undefined) return undefined
    if (value.kind === 'scalar' && String(value.value) === 'true') return true
    if (value.kind === 'scalar' && String(value.value) === 'false') return false
    if (value.kind === 'scalar' && value.broken === true) return undefined
    this.problems.add(value, 'must be true or false')
    return undefined
  }

  /** A number that is written as one, or as a text. */
  number(name: string): number | undefined {
    return this.parsed(name, (text) => (/^\d+(?:\.\d+)?$/.test(text) ? Number(text) : undefined), 'a number')
  }

  list(name: string): ListValue | undefined {
    const value = this.take(name)
    if (value === undefined || value.kind === 'list') return value
    this.problems.add(value, 'must be a list')
    return undefined
  }

  /** The fields of a map below. */
  fields(name: string): Fields | undefined {
    const value = this.take(name)
    return value && readFields(value, this.problems)
  }

  /** @param what the value must be, such as "a duration" */
  parsed<T>(name: string, parse: (text: string) => T | undefined, what: string): T | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const parsed = parse(text)
    if (parsed === undefined) this.problem(name, `must be ${what}; it is ${JSON.stringify(text)}`)
    return parsed
  }

  /** A problem with a key, or with the map if that is absent. */
  problem(name: string, message: string): void {
    this.problems.add(this.map.entries.get(name) ?? this.map, message)
  }

  /**
   * Notes what nobody has asked for.
   * @param hints by key, what to do instead
   * @param known keys that the specification has
   */
  rest(hints: Readonly<Record<string, string>> = {}, known?: ReadonlySet<string>): void {
    for (const [name, value] of this.map.entries) {
      if (this.#asked.has(name)) continue
      const hint = Object.hasOwn(hints, name) ? `: ${hints[name]}` : ''
      const unknown = known !== undefined && hint === '' && !known.has(name)
      this.problems.add(value, unknown ? 'unknown: no key of the Compose specification' : `not supported${hint}`)
    }
  }
}

export function readFields(value: Value, problems: Problems): Fields | undefined {
  if (value.kind === 'map') return new Fields(value, problems)
  problems.add(value, 'must be a map')
  return undefined
}

/** A text. Of a number or a boolean it is what is written, if all readers agree on what that is. */
export function readText(value: Value, problems: Problems): string | undefined {
  if (value.kind === 'scalar' && value.broken === true) return undefined
  if (value.kind === 'scalar' && typeof value.value === 'string') return value.value
  if (value.kind === 'scalar' && value.value !== null) {
    if (String(value.value) === value.source) return value.source
    problems.add(value, `${value.source} is read in more than one way: write it in quotes`)
    return undefined
  }
  problems.add(value, 'must be a text')
  return undefined
}

export function readTexts(list: ListValue, problems: Problems): string[] {
  return list.items.map((item) => readText(item, problems)).filter((text) => text !== undefined)
}
