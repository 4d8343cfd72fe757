/** What is sent: volumes of files, made and changed on alpha. */
import type { Cluster } from '../../test/hosts/cluster.js'
import { root } from '../../test/lab/pair.js'
import { destroy } from './destroy.js'
import type { WriteOrder } from './guest/write.js'

export interface Load {
  title: string
  volumes: number
  /** Of each volume. */
  files: number
  bytes: number
  /** Every so manieth part is written anew between two snapshots. */
  every: number
}

const minutes = 60_000

export function namesOf({ volumes }: Load): string[] {
  return Array.from({ length: volumes }, (_, i) => `v${i}`)
}

/** Makes the volumes, full, with the snapshot `base`. */
export async function makeVolumes(cluster: Cluster, load: Load): Promise<void> {
  for (const name of namesOf(load)) await cluster.createVolume(name)
  await write(cluster, load, 1)
  await takeSnapshot(cluster, 'base')
}

/** Writes a part anew, and takes a snapshot. */
export async function changeVolumes(cluster: Cluster, load: Load, snapshot: string): Promise<void> {
  await write(cluster, load, load.every)
  await takeSnapshot(cluster, snapshot)
}

export async function destroyVolumes({ alpha }: Cluster): Promise<void> {
  await destroy(alpha, root(alpha))
}

async function write({ alpha }: Cluster, load: Load, every: number): Promise<void> {
  const directories = namesOf(load).map((name) => `/flocker/${name}`)
  const order: WriteOrder = { directories, files: load.files, bytes: load.bytes, every }
  await alpha.runEntry('bench/hosts/guest/write.ts', [JSON.stringify(order)], { timeoutMilliseconds: 10 * minutes })
  await alpha.run(['sync'])
}

async function takeSnapshot({ alpha }: Cluster, name: string): Promise<void> {
  await alpha.run(['zfs', 'snapshot', '-r', `${root(alpha)}@${name}`])
}
