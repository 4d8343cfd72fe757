import type { Ownership } from './ownership.js'

/** A volume, as a registry knows it. */
export interface VolumeKey {
  /** Its UUID, the same on every host and for ever. */
  id: string
  /** Its name below each host's root. */
  name: string
}

/**
 * Where it is decided who owns a volume. By default by the hosts themselves: the owner's own record, in its pool, decides on a handoff,
 * and the caller's proof on a promotion. With a store that reaches consensus (etcd, Consul, a database) behind this interface, that
 * decides on both, and answers a host that comes back.
 */
export interface OwnershipRegistry {
  /**
   * Who owns a volume.
   * @returns `undefined` where it does not know the volume yet
   * @throws whatever keeps it from knowing: then nothing is put into service
   */
  read(volume: VolumeKey, signal?: AbortSignal): Promise<Ownership | undefined>
  /**
   * Decides that `to` owns the volume from now on, if `from` still is what {@link read} tells, or it does not know the volume. Called
   * before anything of it is written down elsewhere; may be called again with the same.
   * @throws where that is not so, and nothing was decided
   */
  commit(volume: VolumeKey, from: Ownership, to: Ownership, signal?: AbortSignal): Promise<void>
}
