/** `flocker-zfs handoff` and `acquire`: a volume changes hands. */
import { Command } from 'commander'
import type { Host } from '../host.js'
import { formatBytes, type Peer } from '../replication/index.js'
import { acquireVolume, type HandoffOptions, type HandoffResult, handoffVolume } from '../volumes/index.js'
import { progressView } from './bar.js'
import { bigintAsText } from './json.js'
import { type HostFlags, parseCount, withHostFlags } from './options.js'
import { mustRun } from './program.js'
import { withPeer } from './session.js'

interface HandoffFlags extends HostFlags {
  quiesce?: string
  resume?: string
  hookSeconds?: number
  json?: boolean
}

type Change = (host: Host, volume: string, peer: Peer, options: HandoffOptions) => Promise<HandoffResult>

export function handoffCommand(): Command {
  const give: Change = async (host, name, peer, options) => handoffVolume(await host.getVolume(name), peer, options)
  return withHandoffFlags('handoff', give).description(
    'Hand a volume of this host over to another, which then serves it',
  )
}

export function acquireCommand(): Command {
  const fetch: Change = (_, name, peer, options) => acquireVolume(name, peer, options)
  return withHandoffFlags('acquire', fetch).description('Fetch a volume from the host that owns it, and serve it here')
}

function withHandoffFlags(name: string, change: Change): Command {
  return withHostFlags(new Command(name))
    .argument('<volume>', 'name of the volume, below the root')
    .argument('<host>', 'the peer: HOST or HOST:PORT')
    .option('--quiesce <program>', 'stops what uses the volume; run once copying has caught up, without arguments')
    .option('--resume <program>', 'starts it again, if the volume stays where it is')
    .option('--hook-seconds <seconds>', 'how long --quiesce may take (default: 30)', parseCount)
    .option('--json', 'print JSON')
    .action(async (volume: string, address: string, flags: HandoffFlags) => run(change, volume, address, flags))
}

async function run(change: Change, volume: string, address: string, flags: HandoffFlags): Promise<void> {
  const view = progressView(volume)
  const { quiesce, resume, hookSeconds, json } = flags
  await withPeer(flags, address, async (host, peer, signal) => {
    const about = { FLOCKER_ZFS_VOLUME: volume, FLOCKER_ZFS_PEER: peer.identity }
    try {
      const result = await change(host, volume, peer, {
        signal,
        onProgress: view.update,
        ...(quiesce === undefined ? {} : { quiesce: ({ signal: late }) => mustRun(quiesce, about, late) }),
        ...(resume === undefined ? {} : { resume: () => mustRun(resume, about) }),
        ...(hookSeconds === undefined ? {} : { hookMilliseconds: hookSeconds * 1000 }),
      })
      view.end()
      console.log(json ? JSON.stringify(result, bigintAsText) : describe(volume, result))
    } finally {
      view.end()
    }
  })
}

function describe(
  volume: string,
  { owner, epoch, rounds, bytes, pauseMilliseconds, milliseconds }: HandoffResult,
): string {
  const seconds = (value: number): string => `${(value / 1000).toFixed(1)} s`
  const how = `${formatBytes(bytes)} in ${rounds} rounds and the rest, out of service for ${seconds(pauseMilliseconds)} of ${seconds(milliseconds)}`
  return `${owner} owns ${volume} since epoch ${epoch} (${how})`
}
