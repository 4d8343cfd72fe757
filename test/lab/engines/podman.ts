import type { Host } from '../host.js'
import { createDataset, Engine, hasDataset, type StoreOptions } from './engine.js'
import { receiveSeed } from './seed.js'

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
export async function startPodman(host: Host, options: StoreOptions = {}): Promise<Engine> {
  const dataset = options.dataset ?? `${host.pool}/podman`
  if (!(await hasDataset(host, dataset))) {
    if (options.images === false) await createDataset(host, dataset, MOUNTPOINT)
    else await receiveSeed('podman', host, dataset, startEmpty)
  }
  await host.run(['mkdir', '-p', '/etc/containers', '/run/podman'])
  for (const [name, text] of Object.entries(CONFIGURATION)) await host.writeFile(`/etc/containers/${name}`, text)
  const argv = ['podman', 'system', 'service', '--time', '0', `unix://${SOCKET}`]
  return Engine.start(host, { kind: 'podman', argv, socket: SOCKET })
}

function startEmpty(host: Host, dataset: string): Promise<Engine> {
  return startPodman(host, { dataset, images: false })
}
