import type { Host } from '../host.js'
import { Engine, prepareDataset } from './engine.js'

export interface DockerOptions {
  /** Where images and containers are kept, which survive a power cut there; default `POOL/docker`. */
  dataset?: string
  /** Lets Docker write rules for its networks, so that containers reach the outside; default: no. Ports are published either way. */
  iptables?: boolean
}

/** Where Docker keeps all that it has. */
const DATA_ROOT = '/var/lib/docker'

/**
 * Starts Docker Engine in a host whose pool is imported. Without iptables it publishes ports by its proxy processes, which needs nothing of the
 * kernel and is some seconds faster.
 */
export async function startDocker(host: Host, options: DockerOptions = {}): Promise<Engine> {
  await prepareDataset(host, options.dataset ?? `${host.pool}/docker`, DATA_ROOT)
  const network = options.iptables ? [] : ['--iptables=false', '--ip6tables=false']
  const argv = ['dockerd', '--data-root', DATA_ROOT, '--storage-driver', 'zfs', '--log-level', 'warn', ...network]
  return Engine.start(host, { kind: 'docker', argv, socket: '/run/docker.sock' })
}
