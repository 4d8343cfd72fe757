import { InvalidArgumentError } from 'commander'

/** The options by which every command finds its host. */
export interface HostFlags {
  embedded?: string
  pool?: string
  root?: string
  credentials: string
}

/** `--embedded`, `--pool` and `--root`, as `openHost` wants them. */
export function hostOptions({ embedded, pool, root, credentials }: HostFlags) {
  return {
    ...(embedded === undefined ? {} : { embedded }),
    ...(pool === undefined ? {} : { pool }),
    ...(root === undefined ? {} : { root }),
    credentials,
  }
}

export function parsePort(text: string): number {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new InvalidArgumentError('a port is 0 to 65535')
  return port
}
