import { ArgumentError } from '../../src/errors.js'

const UNITS: Record<string, number> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 }

/** Bytes of a size such as `2 GiB`; a number is bytes already. */
export function parseSize(size: number | string): number {
  const match = /^(\d+(?:\.\d+)?) ?([KMGT]iB|B)$/.exec(typeof size === 'number' ? `${size} B` : size)
  const bytes = match === null ? Number.NaN : Number(match[1]) * (UNITS[match[2] ?? ''] ?? Number.NaN)
  if (!Number.isSafeInteger(bytes) || bytes <= 0)
    throw new ArgumentError(`not a size: ${JSON.stringify(size)}; write 2 GiB`)
  return bytes
}
