import { OwnershipError } from '../errors.js'
import { alone, datasetOf, type VolumesHost } from './context.js'
import { giveBack, grant, renew } from './lease-rules.js'
import { checkOwner } from './ownership.js'
import { changeRecord, type LeaseRecord, type VolumeRecord } from './record.js'

/** A right to have a volume stay where it is: while somebody has it, the volume is neither handed over nor destroyed. */
export interface Lease {
  readonly volume: string
  readonly holder: string
  /**
   * A fencing token: greater than that of every lease on this volume before, on whichever host. What is asked for with a smaller one comes
   * from somebody who has lost the lease and does not know yet.
   */
  readonly token: bigint
  /** When it ends by itself; `undefined`: when it is released. */
  readonly expires: Date | undefined
}

/** How long a lease lasts. */
export interface LeaseOptions {
  /** From now, in milliseconds, by this host's clock. Default: until it is released. */
  milliseconds?: number
}

/** Acquires a lease: at most one holder has one. One's own is replaced, with a new token. */
export async function acquireLease(
  host: VolumesHost,
  volume: string,
  holder: string,
  { milliseconds }: LeaseOptions,
): Promise<Lease> {
  return change(host, volume, ({ lease, owner, journal }, now, dataset) => {
    if (journal === undefined) return grant(lease, owner.epoch, holder, now, milliseconds, dataset)
    throw new OwnershipError('HANDOFF_UNDER_WAY', `${dataset} is changing hands`, { dataset })
  })
}

export async function renewLease(
  host: VolumesHost,
  { volume, token }: Pick<Lease, 'volume' | 'token'>,
  { milliseconds }: LeaseOptions,
): Promise<Lease> {
  return change(host, volume, ({ lease }, now, dataset) => renew(lease, token, now, milliseconds, dataset))
}

export async function releaseLease(
  host: VolumesHost,
  { volume, token }: Pick<Lease, 'volume' | 'token'>,
): Promise<void> {
  await change(host, volume, ({ lease }, now, dataset) => giveBack(lease, token, now, dataset))
}

type Change = (record: VolumeRecord, now: number, dataset: string) => LeaseRecord

async function change(host: VolumesHost, volume: string, decide: Change): Promise<Lease> {
  const dataset = datasetOf(host, volume)
  return alone(host, dataset, async () => {
    const { lease } = await changeRecord(dataset, (record) => {
      checkOwner(record, host.identity)
      return { lease: decide(record, Date.now(), dataset) }
    })
    const { holder = '', token, expires } = lease as LeaseRecord
    return { volume, holder, token, expires: expires === undefined ? undefined : new Date(expires) }
  })
}
