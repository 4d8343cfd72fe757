import { execFile } from 'node:child_process'
import { accessSync, existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { LabError } from './errors.js'
import type { Host } from './host.js'
import { type HostPlan, hostsFile, keptDirectories, type Machine } from './machine.js'

const run = promisify(execFile)
const POOL_PREFIX = 'flocker-lab-'

/**
 * This very machine with its own ZFS, for those who have it: each host is the agent in namespaces of its own (mounts, name,
 * processes), with its own /etc, /root and /tmp, its disks being files. The kernel, the ZFS and the loopback network are shared, so
 * there are no power cuts and no link faults, profiles mean nothing, and pools need the name that {@link Host.pool} gives.
 */
export class LocalMachine implements Machine {
  readonly plan: HostPlan
  readonly address: string
  readonly disks: readonly string[]
  readonly pool: string
  readonly canLosePower = false

  constructor(plan: HostPlan) {
    this.plan = plan
    this.address = addressOf(plan.number)
    this.disks = plan.diskImages
    this.pool = `${POOL_PREFIX}${process.pid}-${plan.name}`
  }

  async command(): Promise<string[]> {
    const flags = ['--mount', '--uts', '--pid', '--fork', '--kill-child', '--mount-proc']
    return ['/usr/bin/unshare', ...flags, this.plan.tools.agent]
  }

  async environment(): Promise<Record<string, string>> {
    return { LAB_LINE_FD: '3' }
  }

  configuration(): string[] {
    const { name, names, directory } = this.plan
    return [
      'local=1',
      `hostname=${name}`,
      `hosts=${hostsFile(names, addressOf)}`,
      `inbox=${directory}`,
      ...[...keptDirectories(), dirname(directory)].map((path) => `keep=${path}`),
    ]
  }

  /** Destroys the host's pools, which only files of the lab hold. */
  async giveBack(host: Host): Promise<void> {
    const { stdout } = await host.run(['zpool', 'list', '-H', '-o', 'name'])
    const ours = stdout.split('\n').filter((pool) => pool === this.pool || pool.startsWith(`${this.pool}-`))
    for (const pool of ours) await host.run(['zpool', 'destroy', '-f', pool])
  }
}

/**
 * Makes sure that this machine can be a lab's, and destroys the pools that killed harnesses have left.
 * @throws LabError `LOCAL_UNAVAILABLE`
 */
export async function prepareLocal(): Promise<void> {
  if (process.getuid?.() !== 0 || !existsSync('/dev/zfs')) {
    const next = 'Leave FLOCKER_ZFS_LAB unset to use hosts in User-Mode Linux, which need neither'
    throw new LabError('LOCAL_UNAVAILABLE', 'a lab on this machine itself needs root and /dev/zfs', { next })
  }
  accessSync('/usr/bin/unshare')
  const { stdout } = await run('zpool', ['list', '-H', '-o', 'name'])
  for (const pool of stdout.split('\n')) {
    const owner = new RegExp(`^${POOL_PREFIX}(\\d+)-`).exec(pool)?.[1]
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) await run('zpool', ['destroy', '-f', pool])
  }
}

function addressOf(number: number): string {
  return `127.0.77.${number}`
}
