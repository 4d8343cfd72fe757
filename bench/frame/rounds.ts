/** Contenders in turn, so that what disturbs one round disturbs all of it. */
import type { Context } from './benchmark.js'
import { format } from './numbers.js'
import type { Measure, Row, Sample } from './result.js'

/** With it the reason of a row begins that could have had samples. */
export const failedWord = 'failed'

export interface Contender {
  label: string
  /** Where it is on the axis of its section, if that has one. */
  x?: number
  /** Why it can't take part. */
  missing?: string | undefined
  run(): Promise<Sample>
}

/** Runs every contender once a round; each round begins with another. One that fails is out, with its reason, and the others go on. */
export async function interleave(
  contenders: readonly Contender[],
  rounds: number,
  measures: readonly Measure[],
  { say }: Context,
  beforeRound: (round: number) => Promise<void> = async () => undefined,
): Promise<Row[]> {
  const rows: Row[] = contenders.map(({ label, x, missing }) => ({
    ...{ label, samples: [] },
    ...(x === undefined ? {} : { x }),
    ...(missing === undefined ? {} : { missing }),
  }))
  for (let round = 0; round < rounds; round++) {
    await beforeRound(round)
    for (let turn = 0; turn < contenders.length; turn++) {
      const i = (round + turn) % contenders.length
      const [contender, row] = [contenders[i] as Contender, rows[i] as Row]
      if (row.missing !== undefined) continue
      const name = row.x === undefined ? row.label : `${row.label}, ${format(row.x)}`
      try {
        const sample = await contender.run()
        row.samples.push(sample)
        const told = measures.flatMap(({ key, unit }) =>
          sample[key] === undefined ? [] : [`${format(sample[key])} ${unit}`],
        )
        say(`round ${round + 1}, ${name}: ${told.join(', ')}`)
      } catch (error) {
        row.missing = `${failedWord} in round ${round + 1}: ${shorten(String(error))}`
        say(`${name}: ${row.missing}`)
      }
    }
  }
  return rows
}

/** What a failed program said at last says why. */
function shorten(reason: string): string {
  return reason.length <= 600 ? reason : `${reason.slice(0, 150)} ... ${reason.slice(-450)}`
}
