import { ArgumentError, OwnershipError } from '../errors.js'
import type { Guard, LocalHost, Peer } from '../replication/index.js'
import { Announced, announce, hear, replicaRecord } from './claim.js'
import type { VolumesHost } from './context.js'
import { newestGuid } from './history.js'
import { withoutApplication } from './messages.js'
import { checkOwner } from './ownership.js'
import { encodeRecord, findRecord } from './record.js'
import { isServed } from './service.js'

/** Lets a volume be sent by its owner only, and written where it is a replica only. Datasets that are no volumes it leaves alone. */
export class VolumeGuard implements Guard {
  readonly announced = new Announced()

  constructor(readonly host: VolumesHost) {}

  async pushing(dataset: string, volume: string, peer: Peer, signal?: AbortSignal): Promise<void> {
    await announce(this.host, dataset, volume, peer, signal)
  }

  async pulling(dataset: string, volume: string, peer: Peer, signal?: AbortSignal): Promise<void> {
    await this.changing(dataset)
    const description = await hear(this.host, dataset, volume, peer, signal)
    // Whom this host pulls from need not be one that may have anything run here.
    if (description !== undefined) this.announced.set(dataset, peer.identity, withoutApplication(description))
  }

  async receiving(dataset: string, from: string): Promise<Readonly<Record<string, string>> | undefined> {
    const record = await findRecord(dataset)
    const said = this.announced.get(dataset, from)
    if (record === undefined) return said === undefined ? undefined : encodeRecord(replicaRecord(said))
    await this.changing(dataset)
    // A replica can be filled from any host that has the volume; whoever pushes it must own it.
    if (record.owner.host === from || said !== undefined) return {}
    throw new OwnershipError(
      'STALE_EPOCH',
      `${record.owner.host} owns ${dataset} since epoch ${record.owner.epoch}, not ${from}`,
      {
        dataset,
      },
    )
  }

  async snapshotting(dataset: string): Promise<void> {
    const record = await findRecord(dataset)
    if (record !== undefined) checkOwner(record, this.host.identity)
  }

  async changing(dataset: string): Promise<void> {
    const record = await findRecord(dataset)
    if (record?.owner.host !== this.host.identity) return
    // It is on its way back to the owner, which has lost it.
    if ((await newestGuid(dataset)) === undefined && !(await isServed(dataset, record))) return
    throw new OwnershipError('OWNED_HERE', `${this.host.identity} owns ${dataset}: it is not a replica`, {
      dataset,
      next: 'Nothing is received into it, renamed or rolled back. Hand it over first.',
    })
  }
}

/** The guard of a host that has volumes. */
export function guardOf({ guard }: LocalHost): VolumeGuard {
  if (guard instanceof VolumeGuard) return guard
  throw new ArgumentError('This host was not opened by openHost()')
}
