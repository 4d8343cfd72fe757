import { discardPartialReceive, readResumeToken } from '../datasets/index.js'
import { OwnershipError, throwIfAborted } from '../errors.js'
import { alone, commitTo, type VolumesHost, volumeOf } from './context.js'
import { recordOf, serve } from './custody.js'
import { takeStep } from './events.js'
import { readHistory } from './history.js'
import { type Ownership, promote } from './ownership.js'
import { changeStanding } from './record.js'

/** What a promotion would lose, and whom it would take the volume from. */
export interface Promotion {
  volume: string
  /** Who owns it, as far as this host knows. That host must be out of the way. */
  owner: Ownership
  /** The newest snapshot that this host has whole: all that was written after it is lost to the new owner. */
  newest: { name: string; guid: bigint; creation: Date }
  /** The age of that snapshot: what was written within so long before now is lost, in milliseconds. */
  lossMilliseconds: number
}

/** What {@link Host.promoteVolume} needs. */
export interface PromoteOptions {
  /**
   * Proves that the owner is out of the way: it returns true once that host can't write to the volume any more, nor will before it has heard
   * of this promotion; because it was powered off, say, or cut off from its disks and clients. What it throws ends the promotion.
   */
  fence: (promotion: Promotion) => boolean | Promise<boolean>
  signal?: AbortSignal
}

/** What a promotion has done. */
export interface Promoted extends Promotion {
  /** This host, at its new epoch. */
  promoted: Ownership
}

/**
 * Tells what promoting a replica on this host would lose.
 * @throws ZfsError `NOT_FOUND`; OwnershipError `OWNED_HERE`, `HANDOFF_INCOMPLETE`: it has no whole snapshot
 */
export async function describePromotion(host: VolumesHost, dataset: string): Promise<Promotion> {
  const record = await recordOf(dataset)
  promote(record, host.identity)
  const [newest] = await readHistory(dataset)
  if (newest === undefined) {
    throw new OwnershipError('HANDOFF_INCOMPLETE', `${dataset} has no snapshot: there is nothing to serve`, { dataset })
  }
  const { name, guid, creation } = newest
  return {
    volume: volumeOf(host, dataset),
    owner: record.owner,
    newest: { name, guid, creation },
    lossMilliseconds: Math.max(0, Date.now() - creation.getTime()),
  }
}

/** Makes a replica the owner, its owner being gone. */
export async function promoteHere(
  host: VolumesHost,
  dataset: string,
  { fence, signal }: PromoteOptions,
): Promise<Promoted> {
  const promotion = await describePromotion(host, dataset)
  if ((await fence(promotion)) !== true) {
    throw new OwnershipError('FENCE_REFUSED', `It was not proved that ${promotion.owner.host} is out of the way`, {
      dataset,
      next: 'Nothing was changed. Two hosts that write to one volume lose data.',
    })
  }
  throwIfAborted(signal, `The promotion of ${dataset}`)
  return alone(host, dataset, async () => {
    const before = await recordOf(dataset)
    const known = await host.registry?.read({ id: before.id, name: promotion.volume }, signal)
    const { owner } = promote(before, host.identity, known)
    // A part of a stream of the old owner's has no use any more, and keeps the dataset from being mounted.
    if ((await readResumeToken(dataset)) !== undefined) await discardPartialReceive(dataset)
    const record = await takeStep(host.logger, dataset, 'promote', async () => {
      await commitTo(host, dataset, { id: before.id, owner: known ?? before.owner }, owner, signal)
      return changeStanding(dataset, (standing) => promote(standing, host.identity, known), {
        peers: [...new Set([...before.peers, before.owner.host])].filter((peer) => peer !== host.identity),
      })
    })
    await serve(host, dataset, record)
    return { ...promotion, promoted: record.owner }
  })
}
