import type { Host } from '../host.js'
import { createDataset, Engine, hasDataset, type StoreOptions } from './engine.js'
import { receiveSeed } from './seed.js'

export interface DockerOptions extends StoreOptions {
  /** Lets Docker write rules for its networks, so that containers reach other hosts from there; default: no. */
  iptables?: boolean
}

/** Where Docker keeps all that it has. */
const DATA_ROOT = '/var/lib/docker'

/**
 * Starts Docker Engine in a host whose pool is imported. Without iptables its proxy processes publish ports, which needs nothing of
 * the kernel and starts some seconds faster.
 */
export async function startDocker(host: Host, options: DockerOptions = {}): Promise<Engine> {
  const dataset = options.dataset ?? `${host.pool}/docker`
  if (!(await hasDataset(host, dataset))) {
    if (options.images === false) await createDataset(host, dataset, DATA_ROOT)
    else await receiveSeed('docker', host, dataset, startEmpty)
  }
  const network = options.iptables ? [] : ['--iptables=false', '--ip6tables=false']
  const argv = ['dockerd', '--data-root', DATA_ROOT, '--storage-driver', 'zfs', '--log-level', 'warn', ...network]
  return Engine.start(host, { kind: 'docker', argv, socket: '/run/docker.sock' })
}

function startEmpty(host: Host, dataset: string): Promise<Engine> {
  return startDocker(host, { dataset, images: false })
}
