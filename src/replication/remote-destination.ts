import type { DataChannel } from '../transport/index.js'
import type { LeftOutProperty, WhyLeftOut } from './admit-properties.js'
import { askTwice } from './ask-twice.js'
import type { SentProperties } from './choose-properties.js'
import {
  createParent,
  discardPartial,
  inspectVolume,
  preserveVolume,
  receiveVolume,
  renameVolume,
  rollbackVolume,
} from './messages.js'
import type { Peer } from './peer.js'
import { readRemoteTree } from './remote-tree.js'
import type { Arrival, Destination, DestinationInventory, DestinationTree, Incoming, Received } from './sides.js'

/** How long a peer's own word may take that it has given up, in milliseconds. */
const wordMilliseconds = 1000

/** A peer as the receiving side. */
export class RemoteDestination implements Destination {
  constructor(
    private readonly peer: Peer,
    private readonly transfer: string,
  ) {}

  of(transfer: string): RemoteDestination {
    return new RemoteDestination(this.peer, transfer)
  }

  get identity(): string {
    return this.peer.identity
  }

  async inspect(volume: string, signal?: AbortSignal): Promise<DestinationInventory> {
    return this.peer.connection.request(inspectVolume, { volume }, optional(signal))
  }

  /** It answers twice: with a ticket when the stream is welcome, and with how the receive ended. */
  async open(
    { transfer, volume, snapshot, origin, properties }: Arrival,
    begin: Buffer,
    least: bigint,
    signal: AbortSignal,
  ): Promise<Incoming> {
    const { connection } = this.peer
    const params = {
      transfer,
      volume,
      snapshot,
      begin: begin.toString('base64'),
      least,
      ...(origin && { origin }),
      ...(properties && { properties: asMessage(properties) }),
    }
    const stop = new AbortController()
    const both = AbortSignal.any([signal, stop.signal])
    const instead = 'answered without asking for the stream'
    const { ready, outcome } = await askTwice(this.peer, receiveVolume, params, both, instead)
    const channel = async (): Promise<DataChannel> => {
      try {
        return await connection.openData(ready.ticket, { signal })
      } catch (error) {
        // A peer that has given up refuses its tickets, and why it has is on its way. Any other would wait until the ticket is void.
        const timer = setTimeout(() => stop.abort(error), wordMilliseconds)
        const clear = (): void => clearTimeout(timer)
        outcome.then(clear, clear)
        throw error
      }
    }
    const received = outcome.then(
      ({ leftOut, ...result }): Received => ({ ...result, leftOut: readLeftOut(leftOut, properties) }),
    )
    return { body: { channel }, outcome: received }
  }

  async discardPartial(volume: string, token: string, signal?: AbortSignal): Promise<void> {
    await this.peer.connection.request(discardPartial, { ...this.#change(volume), token }, optional(signal))
  }

  async preserve(volume: string, signal?: AbortSignal): Promise<string> {
    return (await this.peer.connection.request(preserveVolume, this.#change(volume), optional(signal))).dataset
  }

  async rollback(volume: string, to: bigint, losing: readonly bigint[], signal?: AbortSignal): Promise<void> {
    const params = { ...this.#change(volume), to, losing: [...losing] }
    await this.peer.connection.request(rollbackVolume, params, optional(signal))
  }

  async readTree(volume: string, recursive: boolean, signal?: AbortSignal): Promise<DestinationTree> {
    return readRemoteTree(this.peer, 'destination', volume, recursive, signal)
  }

  async rename(volume: string, to: string, signal?: AbortSignal): Promise<void> {
    await this.peer.connection.request(renameVolume, { ...this.#change(volume), to }, optional(signal))
  }

  async createParent(volume: string, signal?: AbortSignal): Promise<void> {
    await this.peer.connection.request(createParent, this.#change(volume), optional(signal))
  }

  #change(volume: string): { transfer: string; volume: string } {
    return { transfer: this.transfer, volume }
  }
}

export function optional(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal }
}

function asMessage({ received, overrides }: SentProperties) {
  return { ...(received && { received: [...received] }), overrides: [...overrides] }
}

const reasons = new Set<string>(['not-allowed', 'never', 'other-type', 'bad-value', 'refused'] satisfies WhyLeftOut[])

/**
 * A peer that says nothing of properties does not receive any; a later version's reasons are refusals too. What names nothing that could
 * be meant is not passed on.
 */
export function readLeftOut(
  leftOut: readonly { name: string; why: string }[] | undefined,
  sent: SentProperties | undefined,
): LeftOutProperty[] {
  const all = [...(sent?.received ?? []), ...(sent?.overrides ?? [])]
  if (leftOut === undefined) return all.map(({ name }) => ({ name, why: 'not-understood' }))
  const known = new Set([...all.map(({ name }) => name), 'readonly', 'canmount'])
  const named = leftOut.filter(({ name }) => known.has(name))
  return named.map(({ name, why }) => ({ name, why: reasons.has(why) ? (why as WhyLeftOut) : 'refused' }))
}
