import { ArgumentError, ReplicationError, throwIfAborted } from '../errors.js'
import { deliver } from './deliver.js'
import { divergedError } from './divergence.js'
import { goOn } from './go-on.js'
import { type IncrementalBase, planPush } from './planner/plan.js'
import { takeQuietly } from './quiesce.js'
import type { Replication, ReplicationResult } from './replication.js'
import type { SourceInventory, Target } from './sides.js'
import { readSituation, type Situation } from './situation.js'
import { tell } from './steps.js'

/** Goes on with what is half there, plans, snapshots, delivers. */
export async function replicateVolume(replication: Replication): Promise<Omit<ReplicationResult, 'retries'>> {
  const started = performance.now()
  const { options, destination, replica, what } = replication
  await replication.announce(replication.volume)
  const before = await readSituation(replication)
  const chosen = options.snapshot === undefined ? undefined : chooseTarget(before.source, options.snapshot)
  const finished = await goOn(replication, before)
  const situation = before.partial === undefined ? before : await readSituation(replication)
  const resumed = finished?.resumed
  let preserved: string | undefined
  const done = (kind: ReplicationResult['kind'], { name, guid }: Target, base?: IncrementalBase, bytes = 0n) => ({
    kind,
    snapshot: `${situation.source.dataset}@${name}`,
    guid,
    base: base?.name,
    bytes: bytes + (resumed?.bytes ?? 0n),
    milliseconds: performance.now() - started,
    resumed,
    preserved,
  })
  if (finished !== undefined && chosen !== undefined && finished.resumed.guid === chosen.guid) {
    return done(finished.kind, chosen, finished.base)
  }

  const plan = decide(replication, situation, chosen)
  tell(replication, { step: 'planned', plan: plan.kind, base: 'base' in plan ? plan.base?.name : undefined })
  throwIfAborted(options.signal, what)
  if (plan.kind === 'full' && plan.preserve) {
    preserved = await destination.preserve(replica, options.signal)
    tell(replication, { step: 'preserved', preserved })
  }
  const target = chosen ?? (await takeSnapshot(replication))
  if (plan.kind === 'current') return done('current', target)
  const bytes = await deliver(replication, { target, base: plan.base, resume: undefined })
  return done(plan.kind, target, plan.base, bytes)
}

async function takeSnapshot(replication: Replication): Promise<Target> {
  const { source, destination, self, volume, what, options } = replication
  const target = await takeQuietly<Target>({
    what,
    volume,
    peer: source.identity === self ? destination.identity : source.identity,
    hooks: options,
    signal: options.signal,
    take: () => source.takeSnapshot(volume, options.signal),
    nameOf: ({ name }) => name,
    withdraw: (taken) => source.withdraw(volume, taken),
  })
  tell(replication, { step: 'snapshotTaken', snapshot: target.name, guid: target.guid })
  return target
}

type Decision =
  | { kind: 'current' }
  | { kind: 'full'; base: undefined; preserve: boolean }
  | { kind: 'incremental'; base: IncrementalBase }

function decide({ destination, options }: Replication, situation: Situation, chosen: Target | undefined): Decision {
  const { dataset, exists, snapshots } = situation.destination
  const plan = planPush(situation.source, exists ? { dataset, snapshots, bookmarks: [] } : undefined, chosen)
  if (plan.kind === 'diverged') {
    if (options.onDivergence === 'preserve') return { kind: 'full', base: undefined, preserve: true }
    throw divergedError(dataset, destination.identity, plan.divergence)
  }
  if (plan.kind === 'superseded') {
    throw new ReplicationError(
      'SUPERSEDED',
      `${dataset} on ${destination.identity} already has the newer @${plan.by.name}`,
      {
        dataset: situation.source.dataset,
        peer: destination.identity,
      },
    )
  }
  return plan.kind === 'full' ? { kind: 'full', base: undefined, preserve: false } : plan
}

function chooseTarget({ dataset, snapshots }: SourceInventory, name: string): Target {
  const point = snapshots.find((snapshot) => snapshot.name === name)
  if (point === undefined) throw new ArgumentError(`${dataset} has no snapshot @${name}`, { dataset })
  return { ...point, ours: false }
}
