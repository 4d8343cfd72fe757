import { type Command, InvalidArgumentError } from 'commander'

/** The options by which every command finds its host. */
export interface HostFlags {
  embedded?: string
  pool?: string
  root?: string
  credentials: string
}

/** Gives a command those options. */
export function withHostFlags(command: Command): Command {
  return command
    .option('--pool <name>', 'pool in which volumes live, below POOL/flocker')
    .option('--root <dataset>', 'dataset below which volumes live, in place of --pool')
    .option(
      '--embedded <directory>',
      'use a pool in a file in that directory (default pool: embedded), without a kernel module',
    )
    .requiredOption('--credentials <directory>', 'directory with ca.pem, host.pem and host.key')
}

/** `--embedded`, `--pool` and `--root`, as `openHost` wants them. */
export function hostOptions({ embedded, pool, root, credentials }: HostFlags) {
  return {
    ...(embedded === undefined ? {} : { embedded }),
    ...(pool === undefined ? {} : { pool }),
    ...(root === undefined ? {} : { root }),
    credentials,
    // The agent looks after the volumes; a command does what it was asked to.
    recovery: 'none' as const,
  }
}

/** For an option that can be given more than once. */
export const collect = (value: string, before: string[] = []): string[] => [...before, value]

/** A whole number of at least zero. */
export function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Give a whole number.')
  return Number(text)
}

export function parsePort(text: string): number {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new InvalidArgumentError('a port is 0 to 65535')
  return port
}
