import { NotSupportedError, TransportError, ZfsError } from '../errors.js'
import type { DataChannel } from '../transport/index.js'
import { askTwice } from './ask-twice.js'
import {
  confirmVolume,
  estimateStream,
  maxListedPoints,
  maxTakenNameBytes,
  maxTakenSnapshots,
  offerVolume,
  sendVolume,
  snapshotTree,
  snapshotVolume,
  withdrawVolume,
} from './messages.js'
import type { Peer } from './peer.js'
import type { Tree } from './planner/tree.js'
import { optional } from './remote-destination.js'
import { readRemoteTree } from './remote-tree.js'
import type { OnDestination, Outgoing, Source, SourceInventory, StreamOrder, Target } from './sides.js'

/** A peer as the sending side: what it sends, it sends to the identity in this host's certificate. */
export class RemoteSource implements Source {
  constructor(
    private readonly peer: Peer,
    private readonly transfer: string,
  ) {}

  of(transfer: string): RemoteSource {
    return new RemoteSource(this.peer, transfer)
  }

  get identity(): string {
    return this.peer.identity
  }

  async inspect(volume: string, onDestination: OnDestination, signal?: AbortSignal): Promise<SourceInventory> {
    const { guids, complete, partial, wanted } = onDestination
    const has = [...guids].slice(0, maxListedPoints)
    const common = { transfer: this.transfer, volume, has, complete: complete && has.length === guids.size }
    let after = 0n
    for (let inventory: SourceInventory | undefined; ; ) {
      const params = {
        ...common,
        after,
        ...(partial === undefined ? {} : { partial }),
        ...(wanted === undefined ? {} : { wanted }),
      }
      const page = await this.peer.connection.request(offerVolume, params, optional(signal))
      const snapshots = page.snapshots.map((each) => ({ ...each, pendingFor: each.pendingFor }))
      inventory = { ...page, snapshots: [...(inventory?.snapshots ?? []), ...snapshots] }
      const last = page.snapshots.at(-1)
      if (last === undefined || !page.more) return inventory
      after = last.createtxg
    }
  }

  async takeSnapshot(volume: string, signal?: AbortSignal): Promise<Target> {
    const point = await this.peer.connection.request(snapshotVolume, this.#change(volume), optional(signal))
    return { ...point, ours: true }
  }

  async readTree(volume: string, recursive: boolean, signal?: AbortSignal): Promise<Tree> {
    const tree = await readRemoteTree(this.peer, 'source', volume, recursive, signal)
    if (tree.datasets.length > 0) return tree
    const { identity: peer } = this.peer
    throw new ZfsError('NOT_FOUND', `${tree.root} does not exist on ${peer}`, { dataset: tree.root, peer })
  }

  async takeSnapshots(volume: string, names: readonly string[], signal?: AbortSignal): Promise<Map<string, Target>> {
    const params = { ...this.#change(volume), names: [...names] }
    const { name, createtxg, guids } = await this.peer.connection.request(snapshotTree, params, optional(signal))
    if (guids.length !== names.length) {
      throw new TransportError('PROTOCOL', `${this.peer.identity} took other snapshots than those asked for`)
    }
    return new Map(guids.map((guid, i) => [names[i] as string, { name, guid, createtxg, ours: true }]))
  }

  checkTakes(names: readonly string[]): void {
    const bytes = names.reduce((sum, { length }) => sum + length + 3, 0)
    if (names.length <= maxTakenSnapshots && bytes <= maxTakenNameBytes) return
    const { identity: peer } = this.peer
    throw new NotSupportedError(
      `${peer} would have to take a snapshot of ${names.length} datasets at one moment: ${maxTakenSnapshots} and names of together ` +
        `${maxTakenNameBytes} bytes are what it can be asked for. Nothing was changed.`,
      {
        peer,
        next: "Push from that host, which has no such bound; or take the snapshot there, and give snapshot: 'existing'.",
      },
    )
  }

  async estimate(
    { volume, target, base }: Pick<StreamOrder, 'volume' | 'target' | 'base'>,
    signal?: AbortSignal,
  ): Promise<bigint> {
    const params = { volume, guid: target.guid, ...(base === undefined ? {} : { base: base.guid }) }
    return (await this.peer.connection.request(estimateStream, params, optional(signal))).bytes
  }

  async open(order: StreamOrder, signal: AbortSignal): Promise<Outgoing> {
    const { connection } = this.peer
    const { transfer, volume, target, base, resume, properties: wanted } = order
    const stop = new AbortController()
    const both = AbortSignal.any([signal, stop.signal])
    const params = {
      transfer,
      volume,
      guid: target.guid,
      ...(base === undefined ? {} : { base: base.guid }),
      ...(resume === undefined ? {} : { resume }),
      ...(wanted && { properties: true }),
    }
    const { ready, outcome } = await askTwice(this.peer, sendVolume, params, both, 'answered without offering a stream')
    const { ticket, begin, total, properties } = ready
    return {
      begin: Buffer.from(begin, 'base64'),
      total,
      properties,
      body: { channel: (): Promise<DataChannel> => connection.openData(ticket, { signal: both }) },
      outcome,
      close: async () => stop.abort(),
    }
  }

  async confirm(volume: string, { guid }: Target): Promise<void> {
    await this.peer.connection.request(confirmVolume, { ...this.#change(volume), guid })
  }

  async withdraw(volume: string, { guid }: Target): Promise<void> {
    await this.peer.connection.request(withdrawVolume, { ...this.#change(volume), guid })
  }

  #change(volume: string): { transfer: string; volume: string } {
    return { transfer: this.transfer, volume }
  }
}
