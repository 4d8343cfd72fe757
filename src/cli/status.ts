/** `flocker-zfs status`: how replication stands on this host, and what it has left that none will use again. */
import { Command } from 'commander'
import { ArgumentError } from '../errors.js'
import { type Host, openHost } from '../host.js'
import {
  describeAge,
  formatBytes,
  type PartialStatus,
  type PeerReplica,
  type PeerStatus,
  type ReceivedStatus,
  type Removal,
  type Stale,
  type StatusOptions,
  type StatusPoint,
  type VolumeStatus,
} from '../replication/index.js'
import { bigintAsText } from './json.js'
import { type HostFlags, hostOptions, parseCount, withHostFlags } from './options.js'

interface StatusFlags extends HostFlags {
  staleDays?: number
  removeStale?: boolean
  yes?: boolean
  json?: boolean
}

export function statusCommand(): Command {
  return withHostFlags(new Command('status'))
    .description('Say what peers have of the volumes here, how far they are behind, and what is left over')
    .argument('[volume]', 'name of the volume, below the root (default: all that were replicated)')
    .argument('[host]', 'also ask this peer: HOST or HOST:PORT')
    .option('--stale-days <days>', 'what nobody has gone on with for so many days is stale (default: 7)', parseCount)
    .option('--remove-stale', 'say what would be removed of what is stale; with --yes remove it')
    .option('--yes', 'with --remove-stale: do it')
    .option('--json', 'print JSON')
    .action(run)
}

async function run(volume: string | undefined, address: string | undefined, flags: StatusFlags): Promise<void> {
  const { staleDays, removeStale, yes, json } = flags
  if (yes && !removeStale) throw new ArgumentError('--yes is for --remove-stale')
  await using host = await openHost(hostOptions(flags))
  await using peer = address === undefined ? undefined : await host.connect(address)
  const options: StatusOptions = {
    ...(peer === undefined ? {} : { peer }),
    ...(staleDays === undefined ? {} : { staleMilliseconds: staleDays * 86_400_000 }),
  }
  const statuses = volume === undefined ? await host.statuses(options) : [await host.status(volume, options)]
  if (removeStale) {
    const removals = await removeAll(host, statuses, options, yes === true)
    console.log(json ? JSON.stringify(removals, bigintAsText) : describeRemovals(removals, yes === true))
    if (removals.some(({ error }) => error !== undefined)) process.exitCode = 1
    return
  }
  console.log(json ? JSON.stringify(statuses, bigintAsText) : describeAll(statuses))
}

async function removeAll(
  host: Host,
  statuses: readonly VolumeStatus[],
  options: StatusOptions,
  yes: boolean,
): Promise<Removal[]> {
  const removals: Removal[] = []
  for (const { volume } of statuses) removals.push(...(await host.removeStale(volume, { ...options, dryRun: !yes })))
  return removals
}

function describeRemovals(removals: readonly Removal[], yes: boolean): string {
  if (removals.length === 0) return 'Nothing is stale.'
  const lines = removals.map((removal) => {
    const { removed, error } = removal
    const verb = removed ? 'removed' : yes ? 'NOT removed' : 'would remove'
    return `${verb}: ${describeStale(removal)}${error === undefined ? '' : ` [${error.code}] ${error.message}`}`
  })
  return [...lines, ...(yes ? [] : ['Nothing was removed. To do it: --remove-stale --yes'])].join('\n')
}

function describeStale({ kind, name, tag, why }: Stale): string {
  const what = {
    hold: `hold ${tag} on ${name}`,
    mark: `mark on ${name}`,
    snapshot: `snapshot ${name}`,
    cursor: `bookmark ${name}`,
    partial: `unfinished receive of ${name}`,
  }[kind]
  return `${what}: ${why}`
}

function describeAll(statuses: readonly VolumeStatus[]): string {
  if (statuses.length === 0) return 'No volume here was replicated.'
  return statuses.map(describe).join('\n\n')
}

function describe({ volume, dataset, newest, snapshots, peers, received, partial, stale }: VolumeStatus): string {
  const latest = newest === undefined ? '' : `, the newest ${point('@', newest)}`
  return [
    `${volume}  ${dataset}, ${snapshots} snapshots${latest}`,
    ...peers.flatMap(describePeer),
    ...received.map(describeReceived),
    ...(partial === undefined ? [] : [describePartial(partial)]),
    ...stale.map((each) => `  stale: ${describeStale(each)}`),
  ].join('\n')
}

function describePeer({ peer, common, lag, holds, pending, there }: PeerStatus): string[] {
  const behind = lag === undefined ? '' : `; written since: ${bytesOf(lag.bytes)}`
  const has = common === undefined ? 'has confirmed nothing' : `has confirmed ${point('#', common)}${behind}`
  return [
    `  to ${peer}: ${has}`,
    ...pending.map((each) => `    not confirmed: ${point('@', each)}`),
    ...holds.map(({ snapshot, created }) => `    on its way: @${snapshot}, for ${ageOf(created)}`),
    ...(there === undefined ? [] : [`    it says: ${describeReplica(there)}`]),
  ]
}

function describeReplica({ receiving, exists, dataset, newest, partial }: PeerReplica): string {
  if (receiving) return 'receiving it now'
  if (!exists) return `no ${dataset}`
  const latest = newest === undefined ? 'no snapshot' : `the newest is @${newest.name}, guid ${newest.guid}`
  const part = partial === undefined ? '' : `, and ${formatBytes(partial.bytes)} of ${partial.toname}`
  return `${dataset}: ${latest}${part}`
}

function describeReceived({ peer, snapshot, received }: ReceivedStatus): string {
  return `  from ${peer}: @${snapshot.name}, received ${ageOf(received)} ago`
}

function describePartial({ decoded, unreadable, since, receiving }: PartialStatus): string {
  const what = decoded === undefined ? unreadable : `${formatBytes(decoded.bytes)} of ${decoded.toname}`
  const begun = since === undefined ? '' : `, begun ${ageOf(since)} ago`
  return `  ${receiving ? 'receiving' : 'unfinished'}: ${what}${begun}`
}

function bytesOf(bytes: bigint | undefined): string {
  return bytes === undefined ? 'not known' : `about ${formatBytes(bytes)}`
}

function point(sign: string, { name, creation }: StatusPoint): string {
  return `${sign}${name} of ${ageOf(creation)} ago`
}

function ageOf(time: Date): string {
  return describeAge(Date.now() - time.getTime())
}
