/** `flocker-zfs push` and `pull`: one replication, its progress on standard error, its result on standard output. */
import { Command } from 'commander'
import { type Host, openHost } from '../host.js'
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
import { type HostFlags, hostOptions, parseCount, withHostFlags } from './options.js'

interface ReplicateFlags extends HostFlags {
  snapshot?: string
  discardPartial?: boolean
  preserve?: boolean
  retry: number
  json?: boolean
}

type Replicate = (host: Host, volume: string, peer: Peer, options: ReplicationOptions) => Promise<ReplicationResult>

export function pushCommand(): Command {
  const push: Replicate = async (host, name, peer, options) => pushVolume(await host.getVolume(name), peer, options)
  return withReplicateFlags('push', push).description('Bring the present state of a volume to another host')
}

export function pullCommand(): Command {
  const pull: Replicate = (_, name, peer, options) => pullVolume(name, peer, options)
  return withReplicateFlags('pull', pull).description("Bring the present state of another host's volume here")
}

function withReplicateFlags(name: string, run: Replicate): Command {
  return withHostFlags(new Command(name))
    .argument('<volume>', 'name of the volume, below the root')
    .argument('<host>', 'the peer: HOST or HOST:PORT')
    .option('--snapshot <name>', 'replicate this snapshot instead of taking one')
    .option('--discard-partial', 'discard what an interrupted run has left there, in place of going on with it')
    .option('--preserve', 'where both have data and nothing in common, give what is there another name and begin again')
    .option('--retry <times>', 'try again so many times in a row after what goes away by itself', parseCount, 0)
    .option('--json', 'print the result as JSON')
    .action((volume: string, address: string, flags: ReplicateFlags) => replicate(run, volume, address, flags))
}

async function replicate(run: Replicate, volume: string, address: string, flags: ReplicateFlags): Promise<void> {
  const interrupt = new AbortController()
  const stop = (): void => interrupt.abort(new DOMException('interrupted', 'AbortError'))
  process.once('SIGINT', stop).once('SIGTERM', stop)
  await using host = await openHost(hostOptions(flags))
  await using peer = await host.connect(address, { signal: interrupt.signal })
  const view = progressView(volume)
  const stopped = (): void => console.error('Stopping. To go on from here later, run the same command again.')
  interrupt.signal.addEventListener('abort', stopped, { once: true })
  try {
    const { snapshot } = flags
    const result = await run(host, volume, peer, {
      signal: interrupt.signal,
      onProgress: view.update,
      partial: flags.discardPartial ? 'discard' : 'resume',
      onAbort: 'keep',
      onDivergence: flags.preserve ? 'preserve' : 'stop',
      retry: { attempts: flags.retry },
      onRetry: tellRetry,
      ...(snapshot === undefined ? {} : { snapshot }),
    })
    view.end()
    console.log(flags.json ? JSON.stringify(result, bigintAsText) : describe(result, host, peer))
  } finally {
    view.end()
    process.off('SIGINT', stop).off('SIGTERM', stop)
  }
}

function tellRetry({ attempt, error, waitMilliseconds }: Retry): void {
  const why = error instanceof Error ? error.message : String(error)
  console.error(`${why}\nTrying again (${attempt}) in ${(waitMilliseconds / 1000).toFixed(1)} s.`)
}

function describe(result: ReplicationResult, host: Host, peer: Peer): string {
  const { kind, snapshot, guid, bytes, milliseconds, resumed } = result
  const kept = resumed === undefined ? '' : ` besides ${resumed.kept} that were there`
  const how = `${kind}, ${bytes} bytes${kept} in ${(milliseconds / 1000).toFixed(1)} s`
  return `${snapshot} is on ${host.identity} and ${peer.identity} (${how}, guid ${guid})`
}
