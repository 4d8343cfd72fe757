/** The values of a YAML text, each with its place. */
import { Composer, type Document, isAlias, isMap, isScalar, isSeq, Lexer, LineCounter, type Node, Parser } from 'yaml'
import { InterpolationProblem, interpolate, type Variables } from './interpolate.js'
import type { Problems } from './problems.js'

export type Value = MapValue | ListValue | ScalarValue

interface Place {
  /** Counted from 1. */
  line: number
  /** Such as `services.db.ports[0]`. */
  path: string
}

export interface MapValue extends Place {
  kind: 'map'
  entries: ReadonlyMap<string, Value>
}

export interface ListValue extends Place {
  kind: 'list'
  items: readonly Value[]
}

export interface ScalarValue extends Place {
  kind: 'scalar'
  value: string | number | boolean | null
  /** As it is written. */
  source: string
  /** What is wrong with it is among the problems already. */
  broken?: boolean
}

/** Maps whose keys are names of the user's, so that one may begin with `x-`. */
const named = /^(?:services|volumes)$|\.(?:environment|properties|metadata)$/

/** Far above what any such file has. Nesting costs stack, aliases make much of little, and one fault of YAML's leads to others. */
const most = { bytes: 256 * 1024, nested: 100, faults: 5, values: 50_000, characters: 4 * 1024 * 1024 }

/**
 * Reads a YAML text. Keys that begin with `x-` are left out, but for `x-flocker`, and anchors in them can be used.
 * @returns `undefined` where it is no YAML, or too large: then that is among the problems
 */
export function readTree(text: string, variables: Variables, problems: Problems): Value | undefined {
  const lines = new LineCounter()
  lines.addNewLine(0)
  const whole = { line: 1, path: '' }
  if (Buffer.byteLength(text) > most.bytes) {
    problems.add(whole, `is larger than ${most.bytes / 1024} KiB`)
    return undefined
  }
  const parser = new Parser(lines.addNewLine)
  const tokens = []
  for (const lexeme of new Lexer().lex(text)) {
    tokens.push(...parser.next(lexeme))
    if (parser.stack.length > most.nested) {
      problems.add({ line: lines.linePos(parser.offset).line, path: '' }, 'nested too deep')
      return undefined
    }
  }
  tokens.push(...parser.end())
  // Doubled keys are found below: the library compares each with each.
  const documents = [...new Composer({ uniqueKeys: false }).compose(tokens, true, text.length)]
  const [document, second] = documents
  const faults = documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])
  for (const { message, pos } of faults.slice(0, most.faults)) {
    problems.add({ line: lines.linePos(pos[0]).line, path: '' }, `not the YAML that is supported: ${message}`)
  }
  if (second !== undefined) {
    problems.add({ line: lines.linePos(second.range[0]).line, path: '' }, 'a second document is not supported')
  }
  if (!problems.none || document === undefined) return undefined
  const { contents } = document
  return contents === null ? undefined : new TreeReader(document, lines, variables, problems).read(contents, '')
}

class TreeReader {
  #values = 0
  #characters = 0
  readonly #open = new Set<Node>()

  constructor(
    readonly document: Document.Parsed,
    readonly lines: LineCounter,
    readonly variables: Variables,
    readonly problems: Problems,
  ) {}

  read(node: unknown, path: string, near?: unknown): Value | undefined {
    // Of a map or a list it is its key's, where that has one: what is missing in it is looked for there.
    const place = { line: this.#line(isScalar(node) ? node : (near ?? node)), path }
    if (this.#values++ >= most.values) {
      if (this.#values === most.values + 1) this.problems.add(place, 'too many values, with what its aliases stand for')
      return undefined
    }
    if (isAlias(node)) {
      const target = node.resolve(this.document)
      if (target !== undefined) return this.read(target, path, near)
      this.problems.add(place, `no anchor &${node.source} before it`)
      return undefined
    }
    if (isScalar(node)) return this.#scalar(node.value, node.source ?? '', place)
    if (!isMap(node) && !isSeq(node)) return { kind: 'scalar', value: null, source: '', ...place }
    if (this.#open.has(node)) {
      this.problems.add(place, 'an alias of what it is in')
      return undefined
    }
    this.#open.add(node)
    try {
      if (isMap(node)) return { kind: 'map', entries: this.#entries(node.items, path), ...place }
      const items = node.items.map((item, index) => this.read(item, `${path}[${index}]`))
      return { kind: 'list', items: items.filter((item) => item !== undefined), ...place }
    } finally {
      this.#open.delete(node)
    }
  }

  #line(node: unknown): number {
    const { range } = (node ?? {}) as Partial<Node>
    return range ? this.lines.linePos(range[0]).line : 1
  }

  #scalar(value: unknown, source: string, place: Place): ScalarValue | undefined {
    this.#characters += source.length
    if (this.#characters > most.characters) {
      this.problems.add(place, 'too much text, with what its aliases stand for')
      return undefined
    }
    if (value === null || typeof value === 'number' || typeof value === 'boolean')
      return { kind: 'scalar', value, source, ...place }
    try {
      const text = interpolate(String(value), this.variables)
      return { kind: 'scalar', value: text, source: text, ...place }
    } catch (error) {
      if (!(error instanceof InterpolationProblem)) throw error
      this.problems.add(place, error.message)
      return { kind: 'scalar', value: '', source, broken: true, ...place }
    }
  }

  #entries(items: readonly { key: unknown; value: unknown }[], path: string): Map<string, Value> {
    const entries = new Map<string, Value>()
    const merged = new Map<string, Value>()
    const seen = new Set<string>()
    for (const { key, value } of items) {
      const place = { line: this.#line(key), path }
      if (!isScalar(key) || key.value === null) {
        this.problems.add(place, 'a key that is no text')
        continue
      }
      const name = String(key.source ?? key.value)
      const below = path === '' ? name : `${path}.${name}`
      // Objects have it already, and what is put there is lost.
      if (name === '__proto__') this.problems.add({ ...place, path: below }, 'not supported as a name')
      if (seen.has(name)) this.problems.add({ ...place, path: below }, 'is there twice')
      seen.add(name)
      if (name === '<<' && key.type === 'PLAIN') this.#merge(value, { ...place, path }, merged)
      else if (name === 'x-flocker' || !name.startsWith('x-') || named.test(path)) {
        const read = this.read(value, below, key)
        if (read !== undefined) entries.set(name, read)
      }
    }
    return new Map([...merged, ...entries])
  }

  /** YAML's merge key: what is in an earlier map, and in the map itself, goes before what is in a later one. */
  #merge(node: unknown, place: Place, into: Map<string, Value>): void {
    const read = this.read(node, place.path)
    const maps = read?.kind === 'list' ? read.items : [read]
    for (const map of maps) {
      if (map?.kind !== 'map') {
        this.problems.add(place, '"<<" takes a map, or a list of maps')
        continue
      }
      for (const [name, value] of map.entries) if (!into.has(name)) into.set(name, value)
    }
  }
}
