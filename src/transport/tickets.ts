/** Tickets: each stands for one data connection, once, by one peer. */
import { createHash, randomBytes } from 'node:crypto'
import { NotAuthorizedError } from '../errors.js'
import type { Carrier } from './carrier.js'
import type { Ticket, TicketEvents } from './data-plane.js'

/** Held by hash, so that how long a look-up takes says nothing about how much of a guess was right. */
const digest = (ticket: string): string => createHash('sha256').update(ticket).digest('hex')

/** The server's open tickets. */
export class Tickets {
  readonly #open = new Map<string, TicketEvents & { peer: string }>()

  get size(): number {
    return this.#open.size
  }

  issue(peer: string, { redeemed, spoiled }: TicketEvents): Ticket {
    const ticket = randomBytes(32).toString('base64url')
    const key = digest(ticket)
    this.#open.set(key, { peer, redeemed, spoiled })
    return { ticket, withdraw: () => void this.#open.delete(key) }
  }

  /**
   * Uses the ticket up. Returns what takes its connection; undefined if it is unknown, was used, was withdrawn or is not this peer's: which
   * one is nobody's business.
   */
  redeem(ticket: string, peer: string): ((carrier: Carrier) => void) | undefined {
    const key = digest(ticket)
    const found = this.#open.get(key)
    if (found === undefined) return undefined
    this.#open.delete(key)
    if (found.peer === peer) return found.redeemed
    // Somebody else holds it: it has leaked and is worth nothing any more.
    found.spoiled(new NotAuthorizedError(`${found.peer}'s ticket was shown by ${peer}`, { peer: found.peer }))
    return undefined
  }
}
