/** `flocker-zfs push` and `pull`: one replication, its progress on standard error, its result on standard output. */
import { Command } from 'commander'
import { ArgumentError } from '../errors.js'
import type { Host } from '../host.js'
import {
  type Peer,
  pullVolume,
  pushVolume,
  type ReplicationOptions,
  type ReplicationResult,
  type Retry,
} from '../replication/index.js'
import { progressView } from './bar.js'
import { bigintAsText } from './json.js'
import { type HostFlags, parseCount, withHostFlags } from './options.js'
import { addTreeFlags, type Direction, planOnly, replicateWhole, type TreeFlags } from './replicate-tree.js'
import { withPeer } from './session.js'
import { addStreamFlags, describeLeftOut, type StreamFlags, streamOptions } from './stream-flags.js'

interface ReplicateFlags extends HostFlags, TreeFlags, StreamFlags {
  snapshot?: string
  preserve?: boolean
  retry: number
}

type Replicate = (host: Host, volume: string, peer: Peer, options: ReplicationOptions) => Promise<ReplicationResult>

export function pushCommand(): Command {
  const push: Replicate = async (host, name, peer, options) => pushVolume(await host.getVolume(name), peer, options)
  return withReplicateFlags('push', push, 'to').description('Bring the present state of a volume to another host')
}

export function pullCommand(): Command {
  const pull: Replicate = (_, name, peer, options) => pullVolume(name, peer, options)
  return withReplicateFlags('pull', pull, 'from').description("Bring the present state of another host's volume here")
}

function withReplicateFlags(name: string, run: Replicate, direction: Direction): Command {
  const command = withHostFlags(new Command(name))
    .argument('<volume>', 'name of the volume, below the root')
    .argument('<host>', 'the peer: HOST or HOST:PORT')
    .option('--snapshot <name>', 'replicate this snapshot instead of taking one')
    .option('--preserve', 'where both have data and nothing in common, give what is there another name and begin again')
    .option('--retry <times>', 'try again so many times in a row after what goes away by itself', parseCount, 0)
    .option('--recursive', 'bring all that is below the volume too, and what is renamed or cloned there')
    .option('--dry-run', 'only say what would be done')
  return addTreeFlags(addStreamFlags(command)).action(
    async (volume: string, address: string, flags: ReplicateFlags) => {
      if (flags.recursive || flags.dryRun) refuseForTrees(flags)
      if (flags.dryRun) await planOnly(direction, volume, address, flags)
      else if (flags.recursive) await replicateWhole(direction, volume, address, flags, retryOf(flags))
      else await replicate(run, volume, address, flags)
    },
  )
}

function refuseForTrees({ snapshot, preserve }: ReplicateFlags): void {
  if (snapshot === undefined && !preserve) return
  throw new ArgumentError('--snapshot and --preserve are for one volume alone: not with --recursive or --dry-run')
}

async function replicate(run: Replicate, volume: string, address: string, flags: ReplicateFlags): Promise<void> {
  const view = progressView(volume)
  await withPeer(flags, address, async (host, peer, signal) => {
    const { snapshot } = flags
    try {
      const result = await run(host, volume, peer, {
        signal,
        onProgress: view.update,
        partial: flags.discardPartial ? 'discard' : 'resume',
        onAbort: 'keep',
        onDivergence: flags.preserve ? 'preserve' : 'stop',
        ...retryOf(flags),
        ...(snapshot === undefined ? {} : { snapshot }),
        ...streamOptions(flags),
      })
      view.end()
      console.log(flags.json ? JSON.stringify(result, bigintAsText) : describe(result, host, peer))
    } finally {
      view.end()
    }
  })
}

const retryOf = ({ retry }: ReplicateFlags): Pick<ReplicationOptions, 'retry' | 'onRetry'> => ({
  retry: { attempts: retry },
  onRetry: tellRetry,
})

function tellRetry({ attempt, error, waitMilliseconds }: Retry): void {
  const why = error instanceof Error ? error.message : String(error)
  console.error(`${why}\nTrying again (${attempt}) in ${(waitMilliseconds / 1000).toFixed(1)} s.`)
}

function describe(result: ReplicationResult, host: Host, peer: Peer): string {
  const { kind, snapshot, guid, bytes, milliseconds, resumed, propertiesLeftOut } = result
  const kept = resumed === undefined ? '' : ` besides ${resumed.kept} that were there`
  const how = `${kind}, ${bytes} bytes${kept} in ${(milliseconds / 1000).toFixed(1)} s`
  const done = `${snapshot} is on ${host.identity} and ${peer.identity} (${how}, guid ${guid})`
  return [done, ...describeLeftOut(propertiesLeftOut)].join('\n')
}
