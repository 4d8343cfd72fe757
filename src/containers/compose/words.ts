/** Commands that are written as one text. */
import { type Fields, readText, readTexts } from './fields.js'

/** In a shell these would do something; here no shell reads them. */
const special = /[;&|<>()`*?[\]{}~#!\n]/

/**
 * Splits a command into words, as a shell does, and without one: quotes and backslashes hold words together, and nothing is expanded.
 * @returns the words, or what keeps it from being split for certain, as a sentence's end
 */
export function splitWords(text: string): string[] | { problem: string } {
  const words: string[] = []
  let word: string | undefined
  let quote = ''
  for (let at = 0; at < text.length; at++) {
    const character = text[at] as string
    if (quote === "'" || (quote === '"' && character !== '\\')) {
      if (character === quote) quote = ''
      else word += character
    } else if (character === '\\') {
      const next = text[++at]
      if (next === undefined) return { problem: 'ends with a backslash' }
      if (quote === '"' && !'"\\$`'.includes(next))
        return { problem: `has "\\${next}" in quotes, which is read in two ways` }
      word = (word ?? '') + next
    } else if (character === "'" || character === '"') {
      quote = character
      word ??= ''
    } else if (character === ' ' || character === '\t') {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (special.test(character)) {
      return { problem: `has ${JSON.stringify(character)}, and no shell reads it` }
    } else {
      word = (word ?? '') + character
    }
  }
  if (quote !== '') return { problem: `has a ${quote} that is not closed` }
  return word === undefined ? words : [...words, word]
}

/** A command of either form: a list of words, or a text. */
export function readCommand(fields: Fields, name: string): string[] | undefined {
  const value = fields.take(name)
  if (value === undefined) return undefined
  if (value.kind === 'list') return readTexts(value, fields.problems)
  const text = readText(value, fields.problems)
  const words = text === undefined ? undefined : splitWords(text)
  if (words === undefined || Array.isArray(words)) return words
  fields.problems.add(value, `${words.problem}: write it as a list of words`)
  return undefined
}
