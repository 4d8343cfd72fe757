/** A worker thread that fills a pool, or makes room in it again, also while its program's own thread stands still. */
import { parentPort, workerData } from 'node:worker_threads'
import { getProperties, setProperties } from '../../../src/datasets/index.js'
import { FlockerError } from '../../../src/errors.js'
import * as lzc from '../../../src/lzc/index.js'

/** What is asked of the thread, and where it says that it is done: 1, or 2 where that failed. */
export interface Filling {
  full: boolean
  done: Int32Array
}

/** The dataset that reserves what there is. */
export const fillerOf = (pool: string): string => `${pool}/filler`

const grain = 64n * 1024n

async function fill(pool: string): Promise<void> {
  const available = (await getProperties(pool, ['available'])).available?.value as bigint
  for (let left = 0n; left < 64n * grain; left += grain) {
    try {
      await setProperties(fillerOf(pool), { reservation: available - left })
      return
    } catch (error) {
      if (!(error instanceof FlockerError)) throw error
    }
  }
  throw new Error(`${pool} can't be filled: it has ${available} bytes`)
}

if (parentPort !== null) {
  const pool = String(workerData)
  lzc.chooseEngine('embedded')
  parentPort.on('message', ({ full, done }: Filling) => {
    const filling = full ? fill(pool) : setProperties(fillerOf(pool), { reservation: 'none' })
    const say = (word: number): void => {
      Atomics.store(done, 0, word)
      Atomics.notify(done, 0)
    }
    filling.then(
      () => say(1),
      (error: unknown) => {
        console.error(error)
        say(2)
      },
    )
  })
}
