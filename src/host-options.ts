/** What a host is opened, served and reached with. */
import type { Logger } from 'pino'
import { ArgumentError } from './errors.js'
import type { Router } from './routing/index.js'
import type { Credentials, PlaneChoice, Rule } from './transport/index.js'
import type { OwnershipRegistry } from './volumes/index.js'

/** The TCP port that agents listen on unless told otherwise. */
export const defaultPort = 4523

/** What {@link openHost} needs: where volumes live, and who this host is. */
export interface HostOptions {
  /**
   * A directory for a pool in a file, used by OpenZFS in this process: no kernel module, no root. Made where it is missing; the
   * pool is `embedded` (in `embedded.zpool`) unless `pool` or `root` names another. Volumes are block volumes. docs/embedded.md
   * With FLOCKER_ZFS_ENGINE=embedded it is FLOCKER_ZFS_DIRECTORY, or `./data`, if not given; a pool that the program has open is used.
   */
  embedded?: string
  /** The pool in which volumes live, below `POOL/flocker`. Give this or `root`. */
  pool?: string
  /** The dataset below which volumes live, such as `tank/data`. */
  root?: string
  /** A directory with ca.pem, host.pem and host.key (`flocker-zfs certs`), or their contents. */
  credentials: string | Credentials
  /** Where to log; silent by default. */
  logger?: Logger
  /**
   * What moves the bytes of streams between the network and ZFS at this end: `auto`, the default, is the native data plane where this Node.js
   * has what it needs, and Node.js's own TLS elsewhere; `kernel-tls` is the native data plane with TLS records made and read by the kernel,
   * where {@link kernelTlsProblem} has no objection, and else `auto`, with a warning in the log; `javascript` is Node.js's own TLS. Peers need
   * not have the same. docs/protocol.md
   */
  dataPlane?: PlaneChoice
  /**
   * The addresses of the other hosts of the cluster. A volume that one of them may have been promoted to own, while this host was away, is
   * served once all of those have been asked; and a handoff that a crash has interrupted is ended with them. docs/ownership.md
   */
  peers?: readonly string[]
  /** Where it is decided who owns a volume, if the hosts are not to do so themselves. */
  registry?: OwnershipRegistry
  /**
   * The socket of the container engine of this machine, Docker's or Podman's: then applications are kept running where their volumes
   * are served, and nowhere else. `true` for `/var/run/docker.sock`.
   */
  engine?: string | true
  /** The proxy of this machine, at which clients of applications are led to the hosts that run them. The host closes it. docs/routing.md */
  router?: Router
  /** Where the other hosts reach what runs here, an address or a name. Default: the first in this host's certificate. */
  address?: string
  /**
   * `background`, the default: bring all volumes to where they belong, at once as far as no other host is needed, and go on with the others
   * until they are. `none`: leave them as they are, until {@link Host.recover} is called.
   */
  recovery?: 'background' | 'none'
}

/** Where {@link Host.listen} serves, and whom. */
export interface ListenOptions {
  /** Default: 4523; 0 for any free one. */
  port?: number
  /** Address to listen on. Default: all. */
  address?: string
  /** Who may do what with which datasets of this host; nobody may do anything by default. */
  authorize: readonly Rule[]
}

/** How {@link Host.connect} dials a peer. */
export interface ConnectOptions {
  signal?: AbortSignal
  /** For the connection, TLS and the hello together. Default: 10 seconds. */
  timeoutMilliseconds?: number
  /** Accept only this identity, in place of one that names the address dialled. */
  expectIdentity?: string
}

/** `HOST`, `HOST:PORT` or `[IPV6]:PORT`. @throws ArgumentError `INVALID_ARGUMENT` */
export function parseAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]/\s]+))(?::(\d{1,5}))?$/.exec(address)
  const port = match?.[3] === undefined ? defaultPort : Number(match[3])
  const host = match?.[1] ?? match?.[2]
  if (host === undefined || port < 1 || port > 65535) {
    throw new ArgumentError(`${JSON.stringify(address)} is not an address: HOST, HOST:PORT or [IPV6]:PORT`)
  }
  return { host, port }
}
