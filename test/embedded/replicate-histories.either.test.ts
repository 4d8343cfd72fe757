/**
 * Random histories of two hosts, on real pools: whatever has happened on either side, pushes, pulls and trees' replications end as an
 * oracle says that they must, and no snapshot is lost or has another content than its source's but for those that the history itself
 * destroys. In the end both sides have the same. What each step does and checks: histories/.
 *
 * FLOCKER_ZFS_SEQUENCES says how many; FLOCKER_ZFS_SEED, with which one to begin.
 */
import { test } from 'uvu'
import { useEngine, withDirectory } from './engine.js'
import { Field } from './histories/field.js'
import type { Tally } from './histories/history.js'
import { type Failure, play } from './histories/play.js'

const sequences = Number(process.env.FLOCKER_ZFS_SEQUENCES ?? 20)
const firstSeed = Number(process.env.FLOCKER_ZFS_SEED ?? 1)
/** Pools grow with all that histories leave, and every few have new ones. */
const onOnePair = 100

const tally: Tally = new Map()

function report({ seed, error, log }: Failure): string {
  const again = `FLOCKER_ZFS_SEED=${seed} FLOCKER_ZFS_SEQUENCES=1 shows this again`
  return `${error.stack}\n${error.cause === undefined ? '' : `cause: ${(error.cause as Error).stack}\n`}${again}:\n${log.join('\n')}`
}

for (let begun = 0; begun < sequences; begun += onOnePair) {
  const seeds = Array.from({ length: Math.min(onOnePair, sequences - begun) }, (_, i) => firstSeed + begun + i)
  test(`the histories of seeds ${seeds[0]} to ${seeds.at(-1)}`, () =>
    withDirectory(async (directory) => {
      await using field = await Field.open(directory)
      const failures = await play(field, seeds, tally)
      for (const failure of failures) console.error(report(failure))
      if (failures.length > 0) throw new Error(`${failures.length} histories failed`)
    }))
}

test.before(useEngine)

test.after(() => {
  const counts = [...tally].sort(([a], [b]) => (a < b ? -1 : 1)).map(([what, count]) => `${what} ${count}`)
  console.log(`measured: ${sequences} histories from seed ${firstSeed} on: ${counts.join('; ')}`)
})

test.run()
