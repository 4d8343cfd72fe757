/** What can happen to two hosts and the wire between them. */
import { setTimeout as wait } from 'node:timers/promises'
import type { Strike } from './link.js'
import type { Operation, RunOptions } from './operations.js'
import { otherSide, type Pair } from './pair.js'

/**
 * Where a fault may strike: at a step of a host, which stands still meanwhile; of a `message` only, for what happens on the wire does no
 * harm before there is one; at a record on the wire; in the middle of the data.
 */
export type Where = 'step' | 'message' | 'record' | 'data'

export interface Fault {
  name: string
  where: readonly Where[]
  /** Strikes at a step. */
  strike?: (pair: Pair, operation: Operation) => void | Promise<void>
  /** Strikes at a record on its way; what is to go on instead. */
  garble?: Strike
  options?: RunOptions
  /** The codes that the operation may end with. It may also go through, unless `certain` says where it can't. */
  codes: readonly string[]
  certain?: Where
}

/** The least that a wire which is whole in between has to stand still for. */
const shortMilliseconds = 150
const stall = { stallMilliseconds: 400 }
/** Longer than that, and shorter than the peer may be silent. */
const stallMilliseconds = 1200
/** Longer than the peer may be silent. */
const silenceMilliseconds = 7500

const lost = ['PEER_LOST', 'PEER_UNREACHABLE']

export const faults: readonly Fault[] = [
  {
    name: 'power cut of the source',
    where: ['step', 'data'],
    strike: (pair, { source }) => pair.host(source).cutPower(),
    codes: lost,
  },
  {
    name: 'power cut of the destination',
    where: ['step', 'data'],
    strike: (pair, { source }) => pair.host(otherSide(source)).cutPower(),
    codes: lost,
  },
  {
    name: 'cut link',
    where: ['step', 'record', 'data'],
    strike: ({ link }) => link.cut(),
    codes: lost,
    certain: 'data',
  },
  {
    name: 'garbled link',
    where: ['record', 'data'],
    garble: (record, at) => {
      const garbled = Buffer.from(record)
      garbled[at] = (garbled[at] as number) ^ 0x10
      return garbled
    },
    codes: [...lost, 'GARBLED', 'TLS_FAILED'],
    certain: 'data',
  },
  { name: 'short delay', where: ['message', 'data'], strike: ({ link }) => link.hold(shortMilliseconds), codes: [] },
  {
    name: 'stall',
    where: ['message', 'data'],
    strike: ({ link }) => link.hold(stallMilliseconds),
    options: stall,
    codes: ['TIMEOUT'],
    certain: 'data',
  },
  {
    name: 'silence',
    where: ['data'],
    strike: ({ link }) => link.hold(silenceMilliseconds),
    codes: [...lost, 'GARBLED'],
    certain: 'data',
  },
  {
    name: 'full pool',
    where: ['step', 'data'],
    strike: (pair, { source }) => pair.fill(otherSide(source)),
    codes: ['NO_SPACE'],
  },
]

/** Waits for what must come, and says what did not. */
export async function within<T>(milliseconds: number, what: string, promise: Promise<T>): Promise<T> {
  const stop = new AbortController()
  const late = wait(milliseconds, undefined, { signal: stop.signal }).then(() => {
    throw new Error(`${what} has not ended within ${milliseconds / 1000} s`)
  })
  late.catch(() => undefined)
  try {
    return await Promise.race([promise, late])
  } finally {
    stop.abort()
  }
}
