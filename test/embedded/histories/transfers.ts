/** Replications of a history: pushes, pulls and whole trees, with options by chance, some of them broken off. */
import { setTimeout as wait } from 'node:timers/promises'
import {
  FlockerError,
  pullVolume,
  pushVolume,
  type ReplicationOptions,
  type ReplicationResult,
  replicate,
  type TreeReplicationOptions,
  type TreeReplicationResult,
} from '../../../src/index.js'
import type { Dice } from './dice.js'
import type { Choice } from './expectation.js'
import { type Lane, otherOf, type Side, sides } from './field.js'
import type { State } from './state.js'

/** Which way a stream goes, and which of the two hosts asks for it. */
export interface Route {
  from: Side
  to: Side
  driver: Side
}

/** How a replication is broken off, and how long after it has begun. */
export interface Break {
  how: 'pause' | 'abort' | 'cut'
  milliseconds: number
}

export type Ended<Result> = { result: Result; error?: undefined } | { result?: undefined; error: FlockerError }

/** Slow enough for a stream of some blocks to be broken off in the middle. */
const slowBytesPerSecond = 1_000_000
const longestMilliseconds = 120

export function anyRoute(dice: Dice, states: Readonly<Record<Side, State>>): Route {
  const from = states.beta.size === 0 || dice.chance(0.85) ? 'alpha' : 'beta'
  return { from, to: otherOf(from), driver: dice.of(sides) }
}

export function anyBreak(dice: Dice): Break | undefined {
  if (!dice.chance(0.3)) return undefined
  return { how: dice.of(['pause', 'abort', 'cut'] as const), milliseconds: dice.below(longestMilliseconds) }
}

/** A snapshot that the source has, or none, and rarely one that it does not have. */
export function anyChoice(dice: Dice, source: State, volume: string): Choice {
  const names = source.get(volume)?.snapshots.map(({ name }) => name) ?? []
  const named = dice.chance(names.length > 0 ? 0.4 : 0.05)
  return {
    snapshot: named ? dice.of([...names, ...names, ...names, 'missing']) : undefined,
    partial: dice.chance(0.8) ? 'resume' : 'discard',
    onDivergence: dice.chance(0.8) ? 'stop' : 'preserve',
  }
}

export function anyTreeOptions(dice: Dice): TreeReplicationOptions {
  const snapshot = dice.chance(0.5) ? 'now' : 'existing'
  return {
    snapshot,
    initial: dice.of(['all', 'all', 'most-recent', 'most-recent', 'fail'] as const),
    intermediate: dice.chance(0.5) ? 'all' : 'none',
    partial: dice.chance(0.8) ? 'resume' : 'discard',
    concurrency: 1 + dice.below(3),
    recursive: dice.chance(0.9),
    ...(dice.chance(0.2) ? { snapshots: { exclude: ['s1*'] } } : {}),
    ...(dice.chance(0.2) ? { datasets: { exclude: ['**c*'] } } : {}),
  }
}

export function pushOrPull(
  lane: Lane,
  route: Route,
  volume: string,
  { snapshot, partial, onDivergence }: Choice,
  broken: Break | undefined,
): Promise<Ended<ReplicationResult>> {
  return ended(lane, route, broken, async (breaking) => {
    const { peer } = lane.links[route.driver]
    const options = { partial, onDivergence, ...(snapshot === undefined ? {} : { snapshot }), ...breaking }
    if (route.driver === route.to) return pullVolume(volume, peer, options)
    return pushVolume(await lane.field.hosts[route.driver].getVolume(volume), peer, options)
  })
}

export function replicateTree(
  lane: Lane,
  route: Route,
  volume: string,
  options: TreeReplicationOptions,
  broken: Break | undefined,
): Promise<Ended<TreeReplicationResult>> {
  return ended(lane, route, broken, async (breaking) => {
    const host = lane.field.hosts[route.driver]
    const { peer } = lane.links[route.driver]
    const ends = route.driver === route.from ? { from: host, to: peer } : { from: peer, to: host }
    return replicate(volume, ends, { ...options, ...breaking })
  })
}

type Breaking = Pick<ReplicationOptions, 'signal' | 'onAbort' | 'limit' | 'onStep'>

/** Runs a replication to its end, whatever that is, and waits until neither host is at work any more. */
async function ended<Result>(
  lane: Lane,
  { driver }: Route,
  broken: Break | undefined,
  run: (breaking: Breaking) => Promise<Result>,
): Promise<Ended<Result>> {
  const { peer, wire } = lane.links[driver]
  const stop = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const breakOff = (): void => (broken?.how === 'cut' ? wire.drop() : stop.abort())
  const breaking: Breaking = {
    signal: stop.signal,
    onAbort: broken?.how === 'abort' ? 'discard' : 'keep',
    limit: slowBytesPerSecond,
    onStep: ({ step }) => {
      if (step === 'streamBegun') timer ??= setTimeout(breakOff, broken?.milliseconds)
    },
  }
  try {
    return { result: await run(broken === undefined ? {} : breaking) }
  } catch (error) {
    if (!(error instanceof FlockerError)) throw error
    return { error }
  } finally {
    clearTimeout(timer)
    // The loss of a wire is seen a moment later where nothing was on its way.
    if (broken?.how === 'cut') await wait(5)
    await lane.settled()
    if (broken?.how === 'cut') await peer.reconnect()
  }
}
