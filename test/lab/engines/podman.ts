import type { Host } from '../host.js'
import { Engine, prepareDataset } from './engine.js'

export interface PodmanOptions {
  /** Where images and containers are kept, which survive a power cut there; default `POOL/podman`. */
  dataset?: string
}

/** What the file system of the storage must be mounted at: Podman's ZFS driver looks at the parent of its own directory. */
const MOUNTPOINT = '/var/lib/containers'
const SOCKET = '/run/podman/podman.sock'

const CONFIGURATION = {
  'policy.json': '{"default":[{"type":"insecureAcceptAnything"}]}\n',
  'registries.conf': 'unqualified-search-registries = []\n',
  'storage.conf': `[storage]
driver = "zfs"
runroot = "/run/containers/storage"
graphroot = "${MOUNTPOINT}/storage"
`,
  // There is no systemd in a lab host.
  'containers.conf': `[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
[containers]
log_driver = "k8s-file"
`,
}

/** Starts Podman's API service, which speaks Docker's API, in a host whose pool is imported. */
export async function startPodman(host: Host, options: PodmanOptions = {}): Promise<Engine> {
  await prepareDataset(host, options.dataset ?? `${host.pool}/podman`, MOUNTPOINT)
  await host.run(['mkdir', '-p', '/etc/containers', '/run/podman'])
  for (const [name, text] of Object.entries(CONFIGURATION)) await host.writeFile(`/etc/containers/${name}`, text)
  const argv = ['podman', 'system', 'service', '--time', '0', `unix://${SOCKET}`]
  return Engine.start(host, { kind: 'podman', argv, socket: SOCKET })
}
