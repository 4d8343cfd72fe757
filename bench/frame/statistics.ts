/** Medians, extremes and ratios of samples. */
import type { Row } from './result.js'

export interface Spread {
  median: number
  minimum: number
  maximum: number
}

/** Of no values: undefined. */
export function spread(values: readonly number[]): Spread | undefined {
  const sorted = [...values].sort((a, b) => a - b)
  const [minimum, maximum] = [sorted[0], sorted.at(-1)]
  if (minimum === undefined || maximum === undefined) return undefined
  const middle = sorted.length / 2
  const [low, high] = [sorted[Math.ceil(middle) - 1] as number, sorted[Math.floor(middle)] as number]
  return { median: (low + high) / 2, minimum, maximum }
}

/** A row's values of one measure, where it has them. */
export function values(row: Row, key: string): number[] {
  return row.samples.flatMap((sample) => sample[key] ?? [])
}

/** What one row's value is of another's, round by round; rounds that either lacks are left out. */
export function ratios(ours: Row, theirs: Row, key: string): number[] {
  return ours.samples.flatMap((sample, round) => {
    const [mine, other] = [sample[key], theirs.samples[round]?.[key]]
    return mine === undefined || other === undefined || other === 0 ? [] : [mine / other]
  })
}

export type Verdict = 'ahead' | 'behind' | 'even'

/** Ahead or behind where every round says so, even where they differ. */
export function judge({ minimum, maximum }: Spread, better: 'more' | 'less'): Verdict {
  if (minimum > 1) return better === 'more' ? 'ahead' : 'behind'
  if (maximum < 1) return better === 'more' ? 'behind' : 'ahead'
  return 'even'
}
