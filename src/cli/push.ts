import { Command } from 'commander'
import { pino } from 'pino'
import { openHost } from '../host.js'
import { type PushResult, pushVolume } from '../replication/index.js'
import { progressView } from './bar.js'
import { bigintAsText } from './json.js'
import { type HostFlags, hostOptions, withHostFlags } from './options.js'

interface PushFlags extends HostFlags {
  snapshot?: string
  discardPartial?: boolean
  json?: boolean
}

/** `flocker-zfs push VOLUME HOST`: one push, its progress on standard error, its result on standard output. */
export function pushCommand(): Command {
  return withHostFlags(new Command('push'))
    .description('Bring the present state of a volume to another host')
    .argument('<volume>', 'name of the volume, below the root')
    .argument('<host>', 'the peer: HOST or HOST:PORT')
    .option('--snapshot <name>', 'push this snapshot instead of taking one')
    .option('--discard-partial', 'discard what an interrupted push has left there, in place of going on with it')
    .option('--json', 'print the result as JSON')
    .action(push)
}

async function push(name: string, address: string, flags: PushFlags): Promise<void> {
  const interrupt = new AbortController()
  const stop = (): void => interrupt.abort(new DOMException('interrupted', 'AbortError'))
  process.once('SIGINT', stop).once('SIGTERM', stop)
  const logger = pino({ enabled: false })
  await using host = await openHost({ ...hostOptions(flags), logger })
  const volume = await host.getVolume(name)
  await using peer = await host.connect(address, { signal: interrupt.signal })
  const view = progressView(name)
  const stopped = (): void => console.error('Stopping. To go on from here later, run the same command again.')
  interrupt.signal.addEventListener('abort', stopped, { once: true })
  try {
    const { snapshot } = flags
    const result = await pushVolume(volume, peer, {
      signal: interrupt.signal,
      onProgress: view.update,
      partial: flags.discardPartial ? 'discard' : 'resume',
      onAbort: 'keep',
      ...(snapshot === undefined ? {} : { snapshot }),
    })
    view.end()
    console.log(flags.json ? JSON.stringify(result, bigintAsText) : describe(result, peer.identity))
  } finally {
    view.end()
    process.off('SIGINT', stop).off('SIGTERM', stop)
  }
}

function describe({ kind, snapshot, guid, bytes, milliseconds, resumed }: PushResult, peer: string): string {
  const kept = resumed === undefined ? '' : ` besides ${resumed.kept} that were there`
  const how = `${kind}, ${bytes} bytes${kept} in ${(milliseconds / 1000).toFixed(1)} s`
  return `${snapshot} is on ${peer} (${how}, guid ${guid})`
}
