import { throwIfAborted } from '../errors.js'
import { destroySnapshots } from '../lzc/index.js'
import { checkVolumeName } from './names.js'
import type { LocalHost, Peer } from './peer.js'
import { readTraces, type Traces } from './read-traces.js'
import {
  decideRetention,
  type Retention,
  type RetentionPeer,
  type RetentionPolicy,
  type RetentionSnapshot,
} from './retention.js'
import { ask, peersOf } from './status.js'

/** What is to be considered before snapshots are destroyed. */
export interface PruneOptions {
  /**
   * Peers that may need a base here, by name, besides those that the dataset itself tells of. A connected one is asked what it
   * has (it must allow `inspect`). Of one that nothing is known of, any snapshot may be the base, and all stay.
   */
  peers?: readonly (string | Peer)[]
  /** Only decide. Default: false. */
  dryRun?: boolean
  signal?: AbortSignal
}

/** What was kept and destroyed of a volume's snapshots, each with its reason. */
export interface Pruned extends Retention<RetentionSnapshot> {
  volume: string
  /** Full name here. */
  dataset: string
  /** Whether what is in `destroy` is destroyed. */
  destroyed: boolean
}

/**
 * Destroys the snapshots of a volume on this host, a source or a replica, that a policy does not keep and nothing needs: all of them in one
 * transaction, or none.
 *
 * @throws ZfsError `NOT_FOUND`; `BUSY`, `HAS_DEPENDENTS` where somebody has begun to use one in the meantime: nothing was destroyed
 * @throws ArgumentError `INVALID_ARGUMENT`: a count of the policy
 */
export async function prune(
  host: LocalHost,
  volume: string,
  policy: RetentionPolicy,
  options: PruneOptions = {},
): Promise<Pruned> {
  checkVolumeName(volume)
  const dataset = `${host.root}/${volume}`
  const peers = await askAll(volume, options)
  const traces = await readTraces(dataset)
  const retention = decideRetention(traces.snapshots, policy, {
    now: new Date(),
    peers: [...knownPeers(traces, host.identity), ...namedPeers(traces, peers)],
  })
  const names = retention.destroy.map(({ snapshot }) => `${dataset}@${snapshot.name}`)
  throwIfAborted(options.signal, `Pruning ${dataset}`)
  const destroyed = options.dryRun !== true && names.length > 0
  if (destroyed) {
    await destroySnapshots(names)
    host.logger.info({ dataset, destroyed: names, kept: retention.keep.length }, 'pruned')
  }
  return { volume, dataset, destroyed, ...retention }
}

/** Peers that the dataset tells of. Any cursor may be where a peer is: it can have been rolled back. */
function knownPeers(traces: Traces, self: string): RetentionPeer[] {
  const { cursors, holds, partial } = traces
  const bases = [...cursors, ...holds].flatMap(({ peer, guid }) =>
    peer === undefined ? [] : [{ name: peer, common: [guid] }],
  )
  const decoded = partial?.decoded
  if (decoded === undefined) return bases
  const needed = [decoded.toguid, ...(decoded.fromguid === undefined ? [] : [decoded.fromguid])]
  return [...bases, { name: self, common: [], partial: needed }]
}

interface Named {
  name: string
  /** What it has, where it was asked. */
  has: { guids: ReadonlySet<bigint>; complete: boolean } | undefined
  partial: bigint[]
}

async function askAll(volume: string, { peers = [], signal }: PruneOptions): Promise<Named[]> {
  const named: Named[] = []
  for (const peer of peers) {
    if (typeof peer === 'string') {
      named.push({ name: peer, has: undefined, partial: [] })
      continue
    }
    const { has, replica } = await ask(peer, volume, signal)
    const { toguid, fromguid } = replica.partial ?? {}
    const partial = [toguid, fromguid].filter((guid) => guid !== undefined)
    named.push({ name: peer.identity, has, partial })
  }
  return named
}

function namedPeers(traces: Traces, named: readonly Named[]): RetentionPeer[] {
  const known = new Set([...peersOf(traces), ...traces.holds.map(({ peer }) => peer)])
  return named.map(({ name, has, partial }) => {
    if (has?.complete) return { name, common: [...has.guids], partial }
    // It is at work, or has more than it told: what this host knows of it is all there is to go by.
    return { name, common: known.has(name) ? [] : undefined, partial }
  })
}
