/** `environment` of a service. */
import { readFields, readText } from './fields.js'
import type { Variables } from './interpolate.js'
import type { Problems } from './problems.js'
import type { Value } from './tree.js'

/** Reads both forms. A variable without a value has that of the same name in `variables`, and must have one there. */
export function readEnvironment(value: Value, variables: Variables, problems: Problems): Record<string, string> {
  const entries: [string, string][] = []
  const add = (place: Value, name: string, text: string | undefined): void => {
    const found = text ?? (Object.hasOwn(variables, name) ? variables[name] : undefined)
    if (name === '__proto__') problems.add(place, `${name}: not supported as a name`)
    else if (found === undefined) problems.add(place, `${name} has no value here, and is not set outside`)
    else if (entries.some(([other]) => other === name)) problems.add(place, `${name} is there twice`)
    else entries.push([name, found])
  }
  if (value.kind === 'list') {
    for (const item of value.items) {
      const text = readText(item, problems)
      const [, name, set] = /^([^=]*)(?:=(.*))?$/s.exec(text ?? '') ?? []
      if (name !== undefined && text !== undefined) add(item, name, set)
    }
    return Object.fromEntries(entries)
  }
  for (const [name, item] of readFields(value, problems)?.map.entries ?? []) {
    if (item.kind === 'scalar' && item.value === null) add(item, name, undefined)
    else {
      const text = readText(item, problems)
      if (text !== undefined) add(item, name, text)
    }
  }
  return Object.fromEntries(entries)
}
