/**
 * Who owns a volume, as decisions without I/O. Each host keeps a {@link Standing} of the volume in its own pool and changes it in
 * one transaction at a time; the functions here say what it becomes, or why it may not. test/unit/ownership-model.test.ts walks
 * through all orders in which two hosts, their messages and their crashes can come.
 *
 * The rule that everything follows from: a host serves a volume only while its own record names it as the owner, and the record of
 * the giver names the taker before the taker's does. So giving up comes first, and its one write is the commit.
 */
import { OwnershipError } from '../errors.js'

/** Who owns a volume since when. Each change of hands has a greater epoch than all before it. */
export interface Ownership {
  /** The owner's identity. */
  readonly host: string
  readonly epoch: bigint
}

/** What a host has under way, and would have to end after a crash. `process` is at it: while that lives, nobody else ends it. */
export type Journal =
  /** It gives the volume away. While it is still the owner, it may also keep it. */
  | {
      readonly kind: 'giving'
      readonly handoff: string
      readonly to: string
      /** Of the giver's last snapshot, once it is decided. */
      readonly guid?: bigint
      readonly process?: string
    }
  /** It has asked the owner to give it the volume, and may be the new owner without having heard so. */
  | {
      readonly kind: 'taking'
      readonly handoff: string
      readonly from: string
      readonly guid: bigint
      readonly process?: string
    }

/** What one host knows of a volume. */
export interface Standing {
  readonly owner: Ownership
  readonly journal?: Journal
}

/**
 * Orders ownerships: the later one is greater. Two hosts that were both promoted to one epoch, which takes two calls that both prove
 * the same, are ordered by name, so that all hosts come to the same one.
 */
export function compareOwnership(a: Ownership, b: Ownership): number {
  if (a.epoch !== b.epoch) return a.epoch > b.epoch ? 1 : -1
  return a.host === b.host ? 0 : a.host > b.host ? 1 : -1
}

export const sameOwnership = (a: Ownership, b: Ownership): boolean => compareOwnership(a, b) === 0

/**
 * Checks that a host owns the volume.
 * @throws OwnershipError `NOT_OWNER`
 */
export function checkOwner({ owner }: Standing, self: string): void {
  if (owner.host === self) return
  throw new OwnershipError('NOT_OWNER', `${owner.host} owns it since epoch ${owner.epoch}; ${self} has a replica`, {
    next: `Do it on ${owner.host}, or have the volume handed over.`,
  })
}

/**
 * The owner stops serving, to give the volume to another host.
 * @throws OwnershipError `NOT_OWNER`, `HANDOFF_UNDER_WAY`
 */
export function freeze(standing: Standing, self: string, to: string, handoff: string): Standing {
  checkOwner(standing, self)
  const { owner, journal } = standing
  if (journal?.kind === 'giving' && journal.handoff === handoff && journal.to === to) return standing
  if (journal !== undefined) {
    throw new OwnershipError('HANDOFF_UNDER_WAY', `Its handoff to ${partner(journal)} is under way`, {
      next: 'Wait for it to end; after a crash, it is settled by host.recover().',
    })
  }
  return { owner, journal: { kind: 'giving', handoff, to } }
}

/**
 * The commit: the frozen owner names the new one, and never serves at this epoch again.
 * @param guid of the last snapshot, which the new owner has confirmed
 * @param asked the new owner has asked for it, keeps a journal of its own, and will not have to be told
 * @throws OwnershipError `HANDOFF_ENDED`: this handoff was given up meanwhile
 */
export function release(standing: Standing, self: string, handoff: string, guid: bigint, asked = false): Standing {
  const { owner, journal } = standing
  if (owner.host !== self || journal?.kind !== 'giving' || journal.handoff !== handoff) {
    throw new OwnershipError(
      'HANDOFF_ENDED',
      `That handoff has ended: ${owner.host} owns it since epoch ${owner.epoch}`,
    )
  }
  const given = { host: journal.to, epoch: owner.epoch + 1n }
  return asked ? { owner: given } : { owner: given, journal: { ...journal, guid } }
}

/**
 * Before somebody else is asked to decide on the commit: notes what it would be.
 * @throws OwnershipError `HANDOFF_ENDED`
 */
export function offer(standing: Standing, self: string, handoff: string, guid: bigint): Standing {
  release(standing, self, handoff, guid)
  return { owner: standing.owner, journal: { ...standing.journal, guid } as Journal }
}

/**
 * Ends a handoff that was not committed, and then the owner serves again. After the commit it changes nothing.
 * @param handoff this one only; any, unless given
 */
export function thaw(standing: Standing, self: string, handoff?: string): Standing {
  const { owner, journal } = standing
  if (owner.host !== self || journal?.kind !== 'giving') return standing
  return handoff === undefined || journal.handoff === handoff ? { owner } : standing
}

/** The new owner has said that it knows, or has been found to be overtaken: nothing is left to tell. */
export function finish(standing: Standing, handoff: string): Standing {
  const { owner, journal } = standing
  return journal?.handoff === handoff ? { owner } : standing
}

/**
 * The host writes down that it asks the owner for the volume.
 * @throws OwnershipError `HANDOFF_UNDER_WAY`, `OWNED_HERE`
 */
export function ask(standing: Standing, self: string, from: string, handoff: string, guid: bigint): Standing {
  const { owner, journal } = standing
  if (owner.host === self) throw new OwnershipError('OWNED_HERE', `${self} owns it already`)
  if (journal !== undefined && journal.handoff !== handoff) {
    throw new OwnershipError('HANDOFF_UNDER_WAY', `Its handoff with ${partner(journal)} is under way`)
  }
  return { owner, journal: { kind: 'taking', handoff, from, guid } }
}

/**
 * The host learns that the owner has named it the new one.
 * @param newest the GUID of its newest snapshot
 * @param guid that of the last one of the giver
 * @throws OwnershipError `STALE_EPOCH`: somebody owns it at a later epoch; `HANDOFF_INCOMPLETE`: it has not the giver's last snapshot
 */
export function take(
  standing: Standing,
  self: string,
  given: { epoch: bigint; guid: bigint },
  newest: bigint | undefined,
): Standing {
  const owner = { host: self, epoch: given.epoch }
  // Told once more: it may have begun to give it to the next one.
  if (sameOwnership(owner, standing.owner)) return standing.journal?.kind === 'taking' ? { owner } : standing
  if (compareOwnership(owner, standing.owner) < 0) throw staleEpoch(standing.owner, owner)
  if (newest !== given.guid) {
    throw new OwnershipError(
      'HANDOFF_INCOMPLETE',
      `${self} has ${newest === undefined ? 'no snapshot' : `guid ${newest}`} where the giver's last snapshot is guid ${given.guid}`,
    )
  }
  return { owner }
}

/**
 * What a host does with what another says of who owns the volume.
 * `known`: nothing new. `learned`: the standing is another now. `stale`: the other does not know yet.
 */
export type Learned =
  | { kind: 'known' }
  | { kind: 'learned'; standing: Standing; wasOwner: boolean }
  | { kind: 'stale'; owner: Ownership }

/** Takes in what another host says of who owns the volume. */
export function learn({ owner, journal }: Standing, self: string, said: Ownership): Learned {
  const order = compareOwnership(said, owner)
  if (order === 0) return { kind: 'known' }
  if (order < 0) return { kind: 'stale', owner }
  // That it is the owner a host hears as the answer to what it has asked, or when it is told to take it: not from hearsay.
  if (said.host === self) return { kind: 'known' }
  const gone = journal?.kind === 'taking' ? { owner: said, journal } : { owner: said }
  return { kind: 'learned', standing: gone, wasOwner: owner.host === self }
}

/**
 * A replica becomes the owner, its owner being out of the way.
 * @param latest what others know
 * @throws OwnershipError `OWNED_HERE`
 */
export function promote({ owner }: Standing, self: string, latest: Ownership = owner): Standing {
  if (owner.host === self) throw new OwnershipError('OWNED_HERE', `${self} owns it already`)
  const { epoch } = compareOwnership(latest, owner) > 0 ? latest : owner
  return { owner: { host: self, epoch: epoch + 1n } }
}

/** What a host that finds a standing in its pool has to do. */
export type Duty =
  /** It owns the volume: it may serve once nobody it could have been promoted over says otherwise. */
  | { kind: 'serve' }
  /** It owns the volume and had begun to give it away: as before, and the journal goes. */
  | { kind: 'keep'; handoff: string }
  /** It has given the volume away, and tells the new owner until that has heard. */
  | { kind: 'tell'; journal: Extract<Journal, { kind: 'giving' }> & { guid: bigint } }
  /** It may have been given the volume, and asks. */
  | { kind: 'ask'; journal: Extract<Journal, { kind: 'taking' }> }
  /** It has a replica. */
  | { kind: 'follow' }

/** What is to be done with a volume after a start. */
export function dutyOf({ owner, journal }: Standing, self: string): Duty {
  if (owner.host === self) return journal === undefined ? { kind: 'serve' } : { kind: 'keep', handoff: journal.handoff }
  if (journal?.kind === 'taking') return { kind: 'ask', journal }
  if (journal?.guid !== undefined) return { kind: 'tell', journal: { ...journal, guid: journal.guid } }
  return { kind: 'follow' }
}

/** The answer to a host that is behind. */
export function staleEpoch(owner: Ownership, said: Ownership): OwnershipError {
  return new OwnershipError(
    'STALE_EPOCH',
    `${owner.host} owns it since epoch ${owner.epoch}; ${said.host} is at epoch ${said.epoch}`,
    { next: `${said.host} has a replica by now: host.recover() there makes it one.` },
  )
}

const partner = (journal: Journal): string => (journal.kind === 'giving' ? journal.to : journal.from)
