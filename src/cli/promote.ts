/** `flocker-zfs promote`: makes this host the owner of a volume whose owner is gone. */
import { Command } from 'commander'
import { ArgumentError } from '../errors.js'
import { openHost } from '../host.js'
import { describeAge } from '../replication/index.js'
import type { Promotion } from '../volumes/index.js'
import { bigintAsText } from './json.js'
import { type HostFlags, hostOptions, withHostFlags } from './options.js'
import { runProgram } from './program.js'

interface PromoteFlags extends HostFlags {
  fence?: string
  fenced?: string
  dryRun?: boolean
  json?: boolean
}

export function promoteCommand(): Command {
  return withHostFlags(new Command('promote'))
    .description('Own and serve a volume here whose owner is gone; what it had not sent is lost to this host')
    .argument('<volume>', 'name of the volume, below the root')
    .option('--fence <program>', 'proves that the owner is out of the way: run without arguments, it ends with 0 if so')
    .option('--fenced <owner>', 'you have made sure yourself that this host, the owner, is out of the way')
    .option('--dry-run', 'only say what would be lost')
    .option('--json', 'print JSON')
    .action(run)
}

async function run(volume: string, flags: PromoteFlags): Promise<void> {
  const { fence, fenced, dryRun, json } = flags
  if (!dryRun && (fence === undefined) === (fenced === undefined)) {
    throw new ArgumentError('Give one of --fence and --fenced: two hosts that write to one volume lose data')
  }
  await using host = await openHost(hostOptions(flags))
  if (dryRun) {
    const promotion = await host.describePromotion(volume)
    console.log(json ? JSON.stringify(promotion, bigintAsText) : loss(promotion))
    return
  }
  const promoted = await host.promoteVolume(volume, {
    fence: async (promotion) => {
      console.error(loss(promotion))
      const { owner, newest } = promotion
      if (fence === undefined) return fenced === owner.host
      const about = { FLOCKER_ZFS_VOLUME: volume, FLOCKER_ZFS_OWNER: owner.host, FLOCKER_ZFS_SNAPSHOT: newest.name }
      return (await runProgram(fence, about)) === 0
    },
  })
  const { host: owner, epoch } = promoted.promoted
  console.log(json ? JSON.stringify(promoted, bigintAsText) : `${owner} owns ${volume} since epoch ${epoch}`)
}

function loss({ volume, owner, newest, lossMilliseconds }: Promotion): string {
  return `${volume} is ${owner.host}'s (epoch ${owner.epoch}). What was written after @${newest.name}, in the last ${describeAge(lossMilliseconds)}, is not here.`
}
