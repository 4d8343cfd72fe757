/** `flocker-zfs prune`: destroys the snapshots of one volume that a policy does not keep. */
import { Command } from 'commander'
import { ArgumentError } from '../errors.js'
import { openHost } from '../host.js'
import type { Pruned, RetentionPolicy } from '../replication/index.js'
import { bigintAsText } from './json.js'
import { collect, type HostFlags, hostOptions, parseCount, withHostFlags } from './options.js'

const rules = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const

type Rules = Partial<Record<(typeof rules)[number], number>>

interface PruneFlags extends HostFlags, Rules {
  touches?: string[]
  peer?: string[]
  ask?: string
  dryRun?: boolean
  json?: boolean
}

export function pruneCommand(): Command {
  const command = withHostFlags(new Command('prune'))
    .description('Destroy the snapshots of a volume on this host that no rule keeps and nothing needs')
    .argument('<volume>', 'name of the volume, below the root')
  for (const rule of rules) {
    const what = rule === 'last' ? 'the newest so many' : `the newest of each of so many ${rule} periods`
    command.option(`--${rule} <count>`, `keep ${what}`, parseCount)
  }
  return command
    .option(
      '--touches <glob>',
      'destroy those of this name only, in place of those that flocker-zfs made; repeat for more',
      collect,
    )
    .option(
      '--peer <name>',
      'keep what this peer may need, besides those that the volume tells of; repeat for more',
      collect,
    )
    .option('--ask <host>', 'ask this peer what it has: HOST or HOST:PORT')
    .option('--dry-run', 'only say what would be destroyed')
    .option('--json', 'print JSON')
    .action(prune)
}

async function prune(volume: string, flags: PruneFlags): Promise<void> {
  const policy = policyOf(flags)
  await using host = await openHost(hostOptions(flags))
  const { peer: names = [], dryRun = false, json } = flags
  await using asked = flags.ask === undefined ? undefined : await host.connect(flags.ask)
  const peers = [...names, ...(asked === undefined ? [] : [asked])]
  const pruned = await host.prune(volume, policy, { dryRun, peers })
  console.log(json ? JSON.stringify(pruned, bigintAsText) : describe(pruned))
}

function policyOf(flags: PruneFlags): RetentionPolicy {
  const given = rules.filter((rule) => flags[rule] !== undefined)
  if (given.length === 0) {
    throw new ArgumentError(
      `Without a rule all snapshots stay: give one of ${rules.map((rule) => `--${rule}`).join(' ')}`,
    )
  }
  const { touches } = flags
  return {
    ...Object.fromEntries(given.map((rule) => [rule, flags[rule]])),
    ...(touches === undefined ? {} : { touches: { include: touches } }),
  }
}

function describe({ dataset, keep, destroy, destroyed }: Pruned): string {
  const verb = destroyed ? 'destroyed' : 'would destroy'
  return [
    ...keep.map(({ snapshot, why }) => `keep  ${dataset}@${snapshot.name}: ${why}`),
    ...destroy.map(({ snapshot, why }) => `${verb}  ${dataset}@${snapshot.name}: ${why}`),
    destroy.length === 0 ? 'Nothing to destroy.' : `${keep.length} kept, ${verb} ${destroy.length}.`,
  ].join('\n')
}
