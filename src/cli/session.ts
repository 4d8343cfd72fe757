import { type Host, openHost } from '../host.js'
import type { Peer } from '../replication/index.js'
import { type HostFlags, hostOptions } from './options.js'

/** Opens the host, connects with the peer, and lets an interrupt end what is done with them. */
export async function withPeer(
  flags: HostFlags,
  address: string,
  use: (host: Host, peer: Peer, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  await interruptible(async (signal) => {
    await using host = await openHost(hostOptions(flags))
    await using peer = await host.connect(address, { signal })
    const stopped = (): void => console.error('Stopping. To go on from here later, run the same command again.')
    signal.addEventListener('abort', stopped, { once: true })
    await use(host, peer, signal)
  })
}

/** Lets an interrupt end what is done. */
export async function interruptible(use: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const interrupt = new AbortController()
  const stop = (): void => interrupt.abort(new DOMException('interrupted', 'AbortError'))
  process.once('SIGINT', stop).once('SIGTERM', stop)
  try {
    await use(interrupt.signal)
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop)
  }
}
