/** Durations and sizes as Compose writes them. */

const unitMilliseconds = { us: 0.001, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** `1m30s`, `500ms`: the Compose specification's durations, in milliseconds. */
export function parseDuration(text: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:us|ms|s|m|h))+$/.test(text)) return undefined
  let sum = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(us|ms|s|m|h)/g)) {
    sum += Number(amount) * unitMilliseconds[unit as keyof typeof unitMilliseconds]
  }
  return sum
}

const exponents = { '': 0, b: 0, k: 1, m: 2, g: 3 }

/** `512m`, `2gb`, `1073741824`: the Compose specification's byte values, in bytes. */
export function parseByteValue(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([kmg]?)b?$/i.exec(text)
  if (match === null) return undefined
  const bytes = Number(match[1]) * 1024 ** exponents[match[2]?.toLowerCase() as keyof typeof exponents]
  return Number.isSafeInteger(bytes) ? bytes : undefined
}
