/** What runs on volumes, as their records keep it: opaque here. It goes with the volume to whoever owns it. */
import { OwnershipError } from '../errors.js'
import { datasetOf, type VolumesHost, volumeOf } from './context.js'
import { recordOf } from './custody.js'
import { checkOwner, type Ownership } from './ownership.js'
import { changeRecord, type VolumeRecord } from './record.js'
import { findVolumes } from './recover.js'
import { isServed, readService } from './service.js'

/** What is noted on one volume. */
export interface NotedApplication {
  volume: string
  dataset: string
  text: string
  owner: Ownership
  owned: boolean
  /** Whether this host owns and serves it, and no handoff is under way. */
  served: boolean
}

/** What is noted on the volumes of this host's pool. */
export async function readApplications(host: VolumesHost): Promise<NotedApplication[]> {
  const noted: NotedApplication[] = []
  for (const { dataset, record } of await findVolumes(host)) {
    const { application: text, owner } = record
    if (text === undefined) continue
    const owned = owner.host === host.identity
    const served = owned && record.journal === undefined && (await isServed(dataset, record))
    noted.push({ volume: volumeOf(host, dataset), dataset, text, owner, owned, served })
  }
  return noted
}

/**
 * Changes what is noted on a volume of this host's.
 * @param decide what is to be noted in place of what is; throws to refuse
 * @returns what was noted before
 * @throws OwnershipError `NOT_OWNER`; ZfsError `NOT_FOUND`
 */
export async function changeApplication(
  host: VolumesHost,
  volume: string,
  decide: (present: string | undefined, dataset: string) => string | undefined,
): Promise<string | undefined> {
  const dataset = datasetOf(host, volume)
  let before: string | undefined
  await changeRecord(dataset, (record) => {
    checkOwner(record, host.identity)
    before = record.application
    const text = decide(before, dataset)
    return text === before ? undefined : { application: text ?? null }
  })
  return before
}

/**
 * Where a volume of this host's is mounted, for what is to use it; a block volume is nowhere.
 * @throws OwnershipError `NOT_OWNER`; `HANDOFF_UNDER_WAY`, `OWNER_UNCONFIRMED`: it is not served; ZfsError `NOT_FOUND`, `NOT_MOUNTABLE`
 */
export async function servedPath(
  host: VolumesHost,
  volume: string,
): Promise<{ path: string | undefined; owner: Ownership }> {
  const dataset = datasetOf(host, volume)
  const record = await recordOf(dataset)
  checkOwner(record, host.identity)
  if (record.journal !== undefined) {
    throw new OwnershipError('HANDOFF_UNDER_WAY', `${dataset} is changing hands`, { dataset })
  }
  if (!(await isServed(dataset, record))) {
    throw new OwnershipError('OWNER_UNCONFIRMED', `${dataset} is not served by this host yet`, {
      dataset,
      next: 'host.recover() says why.',
    })
  }
  const { path, type } = await readService(dataset)
  return { path: type === 'filesystem' ? path : undefined, owner: record.owner }
}

/**
 * Refuses what would take a volume away from under an application.
 * @throws OwnershipError `IN_USE`
 */
export function checkNoApplication({ application }: Pick<VolumeRecord, 'application'>, dataset: string): void {
  if (application === undefined) return
  throw new OwnershipError('IN_USE', `An application runs on ${dataset}, or is to`, {
    dataset,
    next: 'Move it with moveContainer(), which takes the volume along; or remove it first.',
  })
}
