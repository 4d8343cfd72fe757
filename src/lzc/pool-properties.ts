import type { NvList, NvPlain } from './nvlist.js'

/** zprop_source_t. */
const sources = new Map<NvPlain | undefined, PoolPropertySource>([
  [2n, 'default'],
  [4n, 'temporary'],
  [8n, 'local'],
  [16n, 'inherited'],
])

/** `none`: a statistic, which can't be set. */
export type PoolPropertySource = 'none' | 'default' | 'temporary' | 'local' | 'inherited'

/** A property of a pool or a device. */
export interface PoolPropertyValue {
  /** bigint for numbers, sizes in bytes and named values, as the kernel has them; else text. */
  value: string | bigint
  source: PoolPropertySource
}

/** Reads `{ name: { value, source } }`; what has another form is left out. */
export function readPoolProperties(list: NvList): Record<string, PoolPropertyValue> {
  const properties: Record<string, PoolPropertyValue> = Object.create(null)
  for (const [name, pair] of Object.entries(list)) {
    const { value, source } = pair as NvList
    if (typeof value !== 'bigint' && typeof value !== 'string') continue
    properties[name] = { value, source: sources.get(source) ?? 'none' }
  }
  return properties
}
