/** Where the way of a stream between two hosts is narrowest: a pure decision. */

/** How fast something went. */
export interface Pace {
  bytes: bigint
  milliseconds: number
}

/** How busy a machine was meanwhile. */
export interface Load {
  /** Of this process, all its threads: 1 is one core. */
  process: number
  /** Of all cores, by everybody: 0 to 1. */
  machine: number
  cores: number
}

/** A pace with the load of both hosts. */
export interface LoadedPace extends Pace {
  here: Load
  there: Load
}

/** What {@link measurePath} has measured. */
export interface PathFigures {
  /** The pool here gives a stream to nowhere. */
  source: Pace & { here: Load }
  /** Zeros go over the data plane to nowhere there: TLS and the network. */
  wire: LoadedPace
  /** The stream goes over the data plane and is received there. */
  whole: LoadedPace
}

/**
 * What bounds the whole. `cpu here`, `cpu there`: a thread of the data plane, or the whole machine, had no more to give.
 * `nothing`: there was too little to measure.
 */
export type Bottleneck = 'source pool' | 'network' | 'destination pool' | 'cpu here' | 'cpu there' | 'nothing'

/** What was concluded from the figures. */
export interface Verdict {
  bottleneck: Bottleneck
  /** In a sentence. */
  why: string
}

/** A pace of less time is mostly its beginning. */
const leastMilliseconds = 500
/** Below this part of the slowest stage alone, the whole has another bound. */
const sameAs = 0.75
/** One thread of the data plane at an end has no more to give. */
const threadBusy = 0.85
const machineBusy = 0.9

/** Bytes per second. */
export function rateOf({ bytes, milliseconds }: Pace): number {
  return milliseconds > 0 ? (Number(bytes) * 1000) / milliseconds : 0
}

/** Says which stage bounds the whole: the slowest alone, or, where the whole is slower than each, what comes in with it. */
export function judgePath({ source, wire, whole }: PathFigures): Verdict {
  if ([source, wire, whole].some(({ bytes, milliseconds }) => bytes === 0n || milliseconds < leastMilliseconds)) {
    return { bottleneck: 'nothing', why: 'There was too little to measure: name a volume with more data.' }
  }
  const [fromPool, overWire, all] = [source, wire, whole].map(rateOf) as [number, number, number]
  if (all < sameAs * Math.min(fromPool, overWire)) return judgeWhole(whole)
  if (fromPool < overWire) return poolVerdict(source)
  return judgeWire(wire)
}

/** Each stage alone is faster: they are in each other's way, or what the last one writes to is slower. */
function judgeWhole({ here, there }: LoadedPace): Verdict {
  const together = 'sending, moving and receiving together'
  if (there.machine >= machineBusy) return { bottleneck: 'cpu there', why: `Its cores are busy ${together}.` }
  if (here.machine >= machineBusy) return { bottleneck: 'cpu here', why: `The cores are busy ${together}.` }
  return {
    bottleneck: 'destination pool',
    why: 'The stream leaves the pool here and crosses the wire faster than it is received there.',
  }
}

function poolVerdict({ here }: PathFigures['source']): Verdict {
  if (here.machine >= machineBusy) return { bottleneck: 'cpu here', why: 'The cores are busy reading from the pool.' }
  return { bottleneck: 'source pool', why: 'The pool here gives less than the wire takes.' }
}

function judgeWire({ here, there }: LoadedPace): Verdict {
  const exhausted = ({ process, machine }: Load): boolean => process >= threadBusy || machine >= machineBusy
  const ends = [
    { bottleneck: 'cpu here', load: here },
    { bottleneck: 'cpu there', load: there },
  ] as const
  const [worst] = ends.filter(({ load }) => exhausted(load)).sort((a, b) => b.load.process - a.load.process)
  if (worst === undefined) {
    return { bottleneck: 'network', why: 'The wire alone is the slowest, and no core is busy with it.' }
  }
  const why = 'The wire alone is the slowest, and TLS has a core to itself there, or all cores are busy.'
  return { bottleneck: worst.bottleneck, why }
}
