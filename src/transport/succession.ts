/** How a stream gets its next connection: who asks, who makes the ticket, who dials. One at a time. */
import { AbortError, FlockerError, TransportError } from '../errors.js'
import type { Carrier } from './carrier.js'
import type { Successors, Ticket } from './data-plane.js'
import { type FramePiece, FrameType, frame, frameHeader } from './frames.js'
import { LINGER_MILLISECONDS } from './settings.js'

export interface SuccessionEvents {
  /** Says this to the peer on the present connection. */
  say(frame: Buffer): void
  ready(): void
  failed(error: unknown): void
}

export class Succession {
  #state: 'idle' | 'asked' | 'opening' | 'ready' | 'over' = 'idle'
  #carrier: Carrier | undefined
  #ticket: Ticket | undefined
  #failing: NodeJS.Timeout | undefined
  readonly #stop = new AbortController()

  constructor(
    readonly successors: Successors,
    readonly sending: boolean,
    readonly events: SuccessionEvents,
  ) {}

  /** The successor, once it is there. */
  get carrier(): Carrier | undefined {
    return this.#carrier
  }

  /** Whether the peer may have a successor already: a server has it first, a client may still be reading the welcome. */
  get due(): boolean {
    return this.#state === 'ready' || (this.#state === 'opening' && this.successors.role === 'client')
  }

  /** Gets a successor: the sender's to call. Does nothing while one is on its way. */
  want(): void {
    if (this.#state !== 'idle') return
    if (this.successors.role === 'server') {
      this.#offer(this.successors)
      return
    }
    this.#state = 'asked'
    this.events.say(frameHeader(FrameType.WANT, 0))
  }

  /** Takes the peer's WANT or TICKET. Returns false if it was not its turn. */
  take({ type, bytes }: FramePiece): boolean {
    const { successors, sending } = this
    if (type === FrameType.WANT) {
      if (successors.role !== 'server' || sending || this.#state !== 'idle') return false
      this.#offer(successors)
      return true
    }
    if (successors.role !== 'client' || this.#state !== (sending ? 'asked' : 'idle')) return false
    this.#state = 'opening'
    successors.open(bytes.toString('latin1'), this.#stop.signal).then(
      (carrier) => this.#opened(carrier),
      (error: unknown) => this.#failed(error),
    )
    return true
  }

  /** Hands the successor over, which must be there; from now on another can be had. */
  handOver(): Carrier {
    const carrier = this.#carrier
    if (carrier === undefined) throw new FlockerError('INTERNAL', 'There is no successor to hand over')
    this.#carrier = undefined
    this.#state = 'idle'
    return carrier
  }

  /** The stream is at its end. A successor that is there is left to the caller. */
  stop(): void {
    this.#state = 'over'
    this.#ticket?.withdraw()
    clearTimeout(this.#failing)
    this.#stop.abort(new AbortError('The stream has ended'))
  }

  #offer(successors: Extract<Successors, { role: 'server' }>): void {
    this.#state = 'opening'
    this.#ticket = successors.offer({
      redeemed: (carrier) => this.#opened(carrier),
      spoiled: (error) => this.events.failed(error),
    })
    this.events.say(frame(FrameType.TICKET, Buffer.from(this.#ticket.ticket, 'latin1')))
  }

  #failed(error: unknown): void {
    if (this.#state === 'over') return
    // A peer that has given up refuses its tickets; why it has is on its way, behind what it sent before.
    this.#failing = setTimeout(() => this.events.failed(error), LINGER_MILLISECONDS)
  }

  #opened(carrier: Carrier): void {
    if (this.#state === 'over') {
      carrier.destroy()
      return
    }
    this.#state = 'ready'
    this.#carrier = carrier
    this.events.ready()
  }
}

/** The error for a sender that was given no successor. */
export function lateSuccessor(peer: string, milliseconds: number): FlockerError {
  const message = `${peer} has everything so far, and no next connection for the stream came about within ${milliseconds} ms`
  return new TransportError('PEER_UNREACHABLE', message, { peer })
}
