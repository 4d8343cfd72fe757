/** nvlists: what every call to the kernel and every answer of it goes through. */
import { decodeNvlist, encodeNvlist, type NvInput, nv } from '../../src/lzc/index.js'
import type { Benchmark } from '../frame/benchmark.js'
import { measure } from './measure.js'

/** As the kernel answers when it is asked for bookmarks: names with lists of values, each with its source. */
function bookmarks(count: number): NvInput {
  const entries = Array.from({ length: count }, (_, i): [string, NvInput] => [
    `flocker-20260101T000000.000Z-${i.toString(16).padStart(4, '0')}`,
    {
      guid: { source: nv.uint64(1n), value: nv.uint64(10n ** 18n + BigInt(i)) },
      createtxg: { source: nv.uint64(1n), value: nv.uint64(BigInt(i)) },
      creation: { source: nv.uint64(1n), value: nv.uint64(1_700_000_000n + BigInt(i)) },
    },
  ])
  return Object.fromEntries(entries)
}

const microseconds = { key: 'microseconds', label: 'time an entry', unit: 'µs', better: 'less' } as const

export const nvlist: Benchmark = {
  name: 'nvlist',
  title: 'nvlist conversion',
  async run(context) {
    const rows = [1, 100, 10_000].flatMap((x) => {
      const list = bookmarks(x)
      const packed = encodeNvlist(list)
      const cases = [
        { label: 'encode', x, run: () => encodeNvlist(list) },
        { label: 'decode', x, run: () => decodeNvlist(packed) },
      ]
      return measure(cases, context, (seconds) => ({ microseconds: (seconds * 1e6) / x }))
    })
    const about =
      'A list of bookmarks, each with three properties and their sources, to and from the packed form that the kernel takes. Flat: the time an entry does not grow with the list.'
    return { sections: [{ title: 'nvlists', about, measures: [microseconds], axis: 'entries', rows }] }
  },
}
