import { OwnershipError } from '../errors.js'
import { checkVolumeName, type LocalHost } from '../replication/index.js'
import type { Ownership } from './ownership.js'
import type { VolumeRecord } from './record.js'
import type { OwnershipRegistry } from './registry.js'

/** This host, as what decides on its volumes sees it. */
export interface VolumesHost extends LocalHost {
  registry?: OwnershipRegistry | undefined
}

/** The name of a volume below a host's root. */
export function volumeOf({ root }: LocalHost, dataset: string): string {
  return dataset.slice(root.length + 1)
}

/** A volume's full name on this host. @throws ArgumentError `INVALID_ARGUMENT` */
export function datasetOf(host: VolumesHost, name: string): string {
  checkVolumeName(name)
  return `${host.root}/${name}`
}

/** Has a registry, if there is one, decide that a volume changes hands. */
export async function commitTo(
  host: VolumesHost,
  dataset: string,
  { id, owner }: Pick<VolumeRecord, 'id' | 'owner'>,
  to: Ownership,
  signal?: AbortSignal,
): Promise<void> {
  await host.registry?.commit({ id, name: volumeOf(host, dataset) }, owner, to, signal)
}

/** What this process claims as long as it is at a handoff of a dataset. */
export const handoffKey = (dataset: string): string => `handoff ${dataset}`

/** One thing at a time is done with a volume within this process. */
export async function alone<T>(host: LocalHost, dataset: string, run: () => Promise<T>): Promise<T> {
  const release = await host.claims.takeWithin(`owner ${dataset}`, 60_000)
  if (release === undefined) {
    throw new OwnershipError('VOLUME_BUSY', `Something else is being done with ${dataset} in this process`, { dataset })
  }
  try {
    return await run()
  } finally {
    release()
  }
}
