/** Leases, as decisions without I/O. */
import { OwnershipError } from '../errors.js'
import type { LeaseRecord } from './record.js'

/** Whether a lease protects its volume now. @param now Unix milliseconds */
export function isHeld(lease: LeaseRecord | undefined, now: number): lease is LeaseRecord & { holder: string } {
  return lease?.holder !== undefined && (lease.expires === undefined || lease.expires > now)
}

/**
 * Checks that nobody has a lease.
 * @throws OwnershipError `LEASED`
 */
export function checkNotLeased(lease: LeaseRecord | undefined, now: number, dataset: string): void {
  if (!isHeld(lease, now)) return
  throw leased(lease, dataset)
}

function leased({ holder, expires }: LeaseRecord & { holder: string }, dataset: string): OwnershipError {
  const until = expires === undefined ? 'until it is released' : `until ${new Date(expires).toISOString()}`
  return new OwnershipError('LEASED', `${holder} has a lease on ${dataset}, ${until}`, {
    dataset,
    next: 'It can be moved and destroyed once the holder has released it.',
  })
}

/**
 * Each grant has a greater token than all before it, on whichever host: whoever is given work with a token refuses that of an
 * earlier one.
 */
export function nextToken(lease: LeaseRecord | undefined, epoch: bigint): bigint {
  const first = epoch << 32n
  return lease !== undefined && lease.token >= first ? lease.token + 1n : first + 1n
}

/** What a grant makes of a lease. @throws OwnershipError `LEASED`: somebody else has it */
export function grant(
  lease: LeaseRecord | undefined,
  epoch: bigint,
  holder: string,
  now: number,
  milliseconds: number | undefined,
  dataset: string,
): LeaseRecord {
  if (isHeld(lease, now) && lease.holder !== holder) throw leased(lease, dataset)
  return {
    token: nextToken(lease, epoch),
    holder,
    expires: milliseconds === undefined ? undefined : now + milliseconds,
  }
}

/** What a renewal makes of it. @throws OwnershipError `LEASE_LOST` */
export function renew(
  lease: LeaseRecord | undefined,
  token: bigint,
  now: number,
  milliseconds: number | undefined,
  dataset: string,
): LeaseRecord {
  const { holder } = own(lease, token, now, dataset)
  return { token, holder, expires: milliseconds === undefined ? undefined : now + milliseconds }
}

/** What a release leaves: the token, so that the next one is greater. @throws OwnershipError `LEASE_LOST` */
export function giveBack(lease: LeaseRecord | undefined, token: bigint, now: number, dataset: string): LeaseRecord {
  own(lease, token, now, dataset)
  return { token }
}

function own(
  lease: LeaseRecord | undefined,
  token: bigint,
  now: number,
  dataset: string,
): LeaseRecord & { holder: string } {
  if (isHeld(lease, now) && lease.token === token) return lease
  throw new OwnershipError('LEASE_LOST', `The lease with token ${token} on ${dataset} was released or has expired`, {
    dataset,
    next: 'Stop what relied on it. Acquire another, with a new token.',
  })
}
