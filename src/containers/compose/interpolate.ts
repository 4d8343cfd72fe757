/** Variables in the values of a Compose file: the Compose specification's "Interpolation". */

/** Variables by name. */
export type Variables = Readonly<Record<string, string | undefined>>

/** What is wrong with a value's variables, as a sentence's end. */
export class InterpolationProblem extends Error {}

const name = /[A-Za-z_][A-Za-z0-9_]*/y
const operators = [':-', '-', ':?', '?', ':+', '+'] as const
const mostNested = 20

/**
 * Replaces `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:?message}`, `${NAME?message}`, `${NAME:+other}` and
 * `${NAME+other}`, where with a colon an empty variable counts as unset, and `$$`, which is a `$`. A variable that is unset and has no
 * default is an error, where Compose takes it for empty: an empty password is no good default.
 * @throws InterpolationProblem
 */
export function interpolate(text: string, variables: Variables): string {
  return new Interpolation(text, variables).read(0)
}

class Interpolation {
  #at = 0

  constructor(
    readonly text: string,
    readonly variables: Variables,
  ) {}

  /** Reads to the end or, within braces, to the closing one. */
  read(depth: number, wanted = true): string {
    if (depth > mostNested) throw new InterpolationProblem('has variables nested too deep')
    let out = ''
    while (this.#at < this.text.length && !(depth > 0 && this.text[this.#at] === '}')) {
      out += this.text[this.#at] === '$' ? this.#variable(depth, wanted) : this.text[this.#at++]
    }
    return out
  }

  /** @param wanted whether its value is asked for: a default's variables may be unset where the default isn't used */
  #variable(depth: number, wanted: boolean): string {
    this.#at += 1
    if (this.#take('$')) return '$'
    const braces = this.#take('{')
    name.lastIndex = this.#at
    const found = name.exec(this.text)?.[0]
    if (found === undefined) throw new InterpolationProblem('has a "$" before no variable\'s name: "$$" is a "$"')
    this.#at += found.length
    const value = Object.hasOwn(this.variables, found) ? this.variables[found] : undefined
    if (!braces) return this.#valueOf(found, value, wanted)
    const operator = operators.find((each) => this.#take(each))
    const known = operator?.startsWith(':') ? value !== undefined && value !== '' : value !== undefined
    const instead = operator?.endsWith('+') ? known : !known
    const rest = operator === undefined ? '' : this.read(depth + 1, wanted && instead)
    if (!this.#take('}')) {
      throw new InterpolationProblem(
        operator === undefined && this.#at < this.text.length
          ? `has "\${${found}" followed by what is not supported: :- - :? ? :+ and + are`
          : `has "\${${found}" without its "}"`,
      )
    }
    if (operator === undefined) return this.#valueOf(found, value, wanted)
    if (operator.endsWith('+')) return instead ? rest : ''
    if (!instead) return value ?? ''
    if (operator.endsWith('?') && wanted)
      throw new InterpolationProblem(`needs the variable ${found}: ${rest || 'it is not set'}`)
    return rest
  }

  #valueOf(found: string, value: string | undefined, wanted: boolean): string {
    if (value === undefined && wanted) {
      throw new InterpolationProblem(
        `needs the variable ${found}, which is not set; a default is written \${${found}:-default}`,
      )
    }
    return value ?? ''
  }

  #take(token: string): boolean {
    if (!this.text.startsWith(token, this.#at)) return false
    this.#at += token.length
    return true
  }
}
