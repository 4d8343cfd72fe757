import { Command } from 'commander'
import { pino } from 'pino'
import { openHost } from '../host.js'
import { type PushResult, pushVolume } from '../replication/index.js'
import { progressView } from './bar.js'
import { bigintAsText } from './json.js'
import { type HostFlags, hostOptions, withHostFlags } from './options.js'

interface PushFlags extends HostFlags {
  snapshot?: string
  json?: boolean
}

/** `flocker-zfs push VOLUME HOST`: one push, its progress on standard error, its result on standard output. */
export function pushCommand(): Command {
  return withHostFlags(new Command('push'))
    .description('Bring the present state of a volume to another host')
    .argument('<volume>', 'name of the volume, below the root')
    .argument('<host>', 'the peer: HOST or HOST:PORT')
    .option('--snapshot <name>', 'push this snapshot instead of taking one')
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
  try {
    const { snapshot } = flags
    const result = await pushVolume(volume, peer, {
      signal: interrupt.signal,
      onProgress: view.update,
      ...(snapshot === undefined ? {} : { snapshot }),
    })
    view.end()
    console.log(flags.json ? JSON.stringify(result, bigintAsText) : describe(result, peer.identity))
  } finally {
    view.end()
    process.off('SIGINT', stop).off('SIGTERM', stop)
  }
}

function describe({ kind, snapshot, guid, bytes, milliseconds }: PushResult, peer: string): string {
  return `${snapshot} is on ${peer} (${kind}, ${bytes} bytes in ${(milliseconds / 1000).toFixed(1)} s, guid ${guid})`
}
