import type { Peer } from './peer.js'

/** What the layer that knows who owns a volume has to say before a dataset is sent, written or changed. Each throws to refuse. */
export interface Guard {
  /** Before this host brings a dataset to a peer: tells the peer who owns it. */
  pushing(dataset: string, volume: string, peer: Peer, signal?: AbortSignal): Promise<void>
  /** Before this host fetches a volume from a peer. */
  pulling(dataset: string, volume: string, peer: Peer, signal?: AbortSignal): Promise<void>
  /**
   * Before a stream is received into a dataset of this host.
   * @returns user properties for the replica to have, which is there only afterwards
   */
  receiving(dataset: string, from: string): Promise<Readonly<Record<string, string>>>
  /** Before a dataset of this host is taken a snapshot of, for a peer. */
  snapshotting(dataset: string): Promise<void>
  /** Before a dataset of this host is rolled back or gets another name, for a peer or for this host. */
  changing(dataset: string): Promise<void>
}
