/** `flocker-zfs follow`: keeps replicas of a volume close behind it, until it is interrupted. */
import { Command } from 'commander'
import { openHost } from '../host.js'
import { describeAge, type Peer } from '../replication/index.js'
import { type FollowReport, follow } from '../volumes/index.js'
import { bigintAsText } from './json.js'
import { type HostFlags, hostOptions, parseCount, withHostFlags } from './options.js'

interface FollowFlags extends HostFlags {
  lag?: number
  interval?: number
  keepLast?: number
  json?: boolean
}

export function followCommand(): Command {
  return withHostFlags(new Command('follow'))
    .description(
      'Keep replicas of a volume on other hosts, which may then be promoted; a line for each change, until interrupted',
    )
    .argument('<volume>', 'name of the volume, below the root')
    .argument('<host...>', 'the peers: HOST or HOST:PORT')
    .option('--lag <seconds>', 'how far a replica may be behind (default: 60)', parseCount)
    .option('--interval <seconds>', 'take a snapshot so often, whatever the lag', parseCount)
    .option(
      '--keep-last <count>',
      'of the snapshots here, keep so many, and those that a peer needs (default: all)',
      parseCount,
    )
    .option('--json', 'print a JSON line for each')
    .action(run)
}

async function run(volume: string, addresses: string[], flags: FollowFlags): Promise<void> {
  const interrupt = new AbortController()
  const stop = (): void => interrupt.abort()
  process.once('SIGINT', stop).once('SIGTERM', stop)
  const { lag, interval, keepLast, json } = flags
  try {
    await using host = await openHost(hostOptions(flags))
    const peers: Peer[] = []
    for (const address of addresses) peers.push(await host.connect(address, { signal: interrupt.signal }))
    await follow(await host.getVolume(volume), peers, {
      signal: interrupt.signal,
      onReport: (report) => console.log(json ? JSON.stringify(plain(report), bigintAsText) : describe(volume, report)),
      ...(lag === undefined ? {} : { lagMilliseconds: lag * 1000 }),
      ...(interval === undefined ? {} : { intervalMilliseconds: interval * 1000 }),
      ...(keepLast === undefined ? {} : { retention: { last: keepLast } }),
    })
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop)
  }
}

function plain({ failure, ...report }: FollowReport): object {
  return failure === undefined ? report : { ...report, failure: { ...failure, error: failure.error.message } }
}

function describe(volume: string, { peer, lagMilliseconds, snapshot, bytes, failure }: FollowReport): string {
  const behind = lagMilliseconds === undefined ? 'has nothing yet' : `is ${describeAge(lagMilliseconds)} behind`
  if (failure === undefined) return `${peer} has ${volume}@${snapshot} (${bytes} bytes sent)`
  const { error, againMilliseconds } = failure
  const then =
    againMilliseconds === undefined ? 'not tried again' : `tried again in ${Math.ceil(againMilliseconds / 1000)} s`
  return `${peer} ${behind}: ${error.message}\n  ${then}`
}
