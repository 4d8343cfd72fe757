/** Disks that take their time, by OpenZFS's own fault injector. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cluster } from '../../test/hosts/cluster.js'
import { readRecipe } from '../../test/lab/build/pins.js'
import { benchCache } from '../tools/cache.js'
import { ensureUnpacked } from '../tools/unpacked.js'

const zinject = '/usr/sbin/zinject'

/** Puts the injector into both hosts, of the release that they have. @throws LabError where it can't be had */
export async function bringInjector({ alpha, beta }: Cluster): Promise<void> {
  const { version, suite } = (await readRecipe('newest')).zfs
  const directory = join(await benchCache(), 'zinject')
  await ensureUnpacked(directory, [{ package: 'zfs-test', version, suite }])
  const program = await readFile(join(directory, 'usr/sbin/zinject'))
  const put = ['sh', '-c', `cat > ${zinject} && chmod 755 ${zinject}`]
  await Promise.all([alpha.run(put, { input: program }), beta.run(put, { input: program })])
}

/** From now on each disk of both pools does one write after the other, of so much at most, and takes so long for each: zinject(8). */
export async function delayWrites({ alpha, beta }: Cluster, milliseconds: number, kibibytes: number): Promise<void> {
  const limit = '/sys/module/zfs/parameters/zfs_vdev_aggregation_limit'
  for (const host of [alpha, beta]) {
    await host.run(['sh', '-c', `echo ${kibibytes * 1024} > ${limit}`])
    for (const disk of host.disks) {
      await host.run([zinject, '-d', disk, '-D', `${milliseconds}:1`, '-T', 'write', host.pool])
    }
  }
}

export async function endDelays({ alpha, beta }: Cluster): Promise<void> {
  for (const host of [alpha, beta]) await host.run([zinject, '-c', 'all'])
}
