/** Two hosts, with what takes part. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Cluster } from '../../test/hosts/cluster.js'
import { ensureTools } from '../tools/packages.js'
import { equip } from './peers.js'

export interface Stage extends AsyncDisposable {
  cluster: Cluster
  /** Why the tools of others can't take part, if they can't. */
  missing: string | undefined
  versions: Record<string, string>
}

/** What this machine lacks for it, if it does. */
export async function lacks(): Promise<string | undefined> {
  // Tools and an sshd go into the hosts, which must not be this machine.
  if (process.env.FLOCKER_ZFS_LAB === 'local') return 'FLOCKER_ZFS_LAB=local has no hosts of its own'
  return existsSync('/usr/bin/apt-get') ? undefined : 'the lab is built from Debian packages'
}

/** @param disk the size of each host's, of which only what is written takes room */
export async function openStage(disk = '8 GiB'): Promise<Stage> {
  prepareLab()
  const cluster = await Cluster.open({ disk, memory: '2 GiB' })
  try {
    const tools = await ensureTools().catch((error: Error) => ({ missing: `can't be had: ${error.message}` }))
    const missing = 'missing' in tools ? tools.missing : undefined
    if (missing === undefined) await equip(cluster)
    const { stdout } = await cluster.alpha.run(['sh', '-c', 'zfs version | head -1; uname -r'])
    const [zfs = '', kernel = ''] = stdout.trim().split('\n')
    const others =
      'missing' in tools ? {} : { sanoid: tools.versions.sanoid ?? '', ssh: tools.versions['openssh-client'] ?? '' }
    const versions = { OpenZFS: zfs, 'Linux of the hosts': kernel, ...others }
    return { cluster, missing, versions, [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose]() }
  } catch (error) {
    await cluster[Symbol.asyncDispose]()
    throw error
  }
}

/** Builds what a lab host is made of, where it is not there: minutes, once. */
function prepareLab(): void {
  const program = join(__dirname, '../../test/lab/build/main.js')
  const built = spawnSync(process.execPath, [program, 'newest'], { stdio: 'inherit' })
  if (built.status !== 0) throw new Error('the lab could not be built')
}
