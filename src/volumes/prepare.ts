/** Whether a volume could be taken over, as far as that can be known before. */
import { getProperties } from '../datasets/index.js'
import { NotSupportedError, OwnershipError, ZfsError } from '../errors.js'
import { exists, isEmbedded } from '../lzc/index.js'
import { type VolumesHost, volumeOf } from './context.js'
import { findRecord, type VolumeRecord } from './record.js'
import { readService } from './service.js'

/** What is to be taken over. */
export interface Candidate {
  id: string
  type: 'filesystem' | 'volume'
  path?: string | undefined
}

/**
 * Checks that this host could serve a volume that another gives it.
 * @throws OwnershipError `OWNED_HERE`, `PATH_DIFFERS`; ZfsError `EXISTS`: what has its name here is something else, `KEY_NOT_LOADED`;
 *   NotSupportedError: a filesystem, and this host is an embedded one
 */
export async function checkCanTake(host: VolumesHost, dataset: string, candidate: Candidate): Promise<void> {
  if (candidate.type === 'filesystem' && isEmbedded()) {
    throw new NotSupportedError(`${dataset} can't be mounted: the embedded OpenZFS has block volumes only`, {
      dataset,
      next: 'It can be received and kept here, and handed to a host whose kernel has ZFS.',
    })
  }
  const record = await findRecord(dataset)
  if (record !== undefined) checkSame(host, dataset, record, candidate)
  if (candidate.type === 'volume') return
  const path = await pathHere(host, dataset)
  if (candidate.path === undefined || path === candidate.path) return
  throw new OwnershipError(
    'PATH_DIFFERS',
    `${volumeOf(host, dataset)} is at ${candidate.path}, and would be at ${path ?? 'no path'} on ${host.identity}`,
    {
      dataset,
      next: `Give what volumes are below the same mountpoint on every host, such as with zfs set mountpoint=… ${host.root}`,
    },
  )
}

function checkSame(host: VolumesHost, dataset: string, record: VolumeRecord, { id }: Candidate): void {
  if (record.id !== id) {
    throw new ZfsError('EXISTS', `${dataset} is another volume of the same name: its id is ${record.id}`, { dataset })
  }
  if (record.owner.host === host.identity) {
    throw new OwnershipError('OWNED_HERE', `${host.identity} owns ${dataset} since epoch ${record.owner.epoch}`, {
      dataset,
    })
  }
}

async function pathHere({ root }: VolumesHost, dataset: string): Promise<string | undefined> {
  if (await exists(dataset)) {
    const { path, keyMissing } = await readService(dataset)
    if (!keyMissing) return path
    throw new ZfsError('KEY_NOT_LOADED', `${dataset} could not be mounted: its encryption key is not loaded`, {
      dataset,
      next: 'Load it with zfs load-key, before the volume is handed over.',
    })
  }
  const below = dataset.slice(root.length)
  if (!(await exists(root))) return `/${root.slice(root.lastIndexOf('/') + 1)}${below}`
  const path = (await getProperties(root, ['mountpoint'])).mountpoint?.value
  return typeof path === 'string' && path.startsWith('/') ? `${path === '/' ? '' : path}${below}` : undefined
}
