import { type Command, InvalidArgumentError, Option } from 'commander'
import { kernelTlsProblem, type PlaneChoice, planeChoices } from '../transport/index.js'

/** The options by which every command finds its host. */
export interface HostFlags {
  embedded?: string
  pool?: string
  root?: string
  credentials: string
  dataPlane?: PlaneChoice
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
    .addOption(new Option('--data-plane <plane>', 'what moves the bytes of streams at this end').choices(planeChoices))
}

/** These options, as `openHost` wants them. */
export function hostOptions({ embedded, pool, root, credentials, dataPlane }: HostFlags) {
  const problem = dataPlane === 'kernel-tls' ? kernelTlsProblem() : undefined
  if (problem !== undefined) console.error(`TLS stays out of the kernel: ${problem}`)
  return {
    ...(dataPlane === undefined ? {} : { dataPlane }),
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

/** Bytes per second: a number, or one with a unit of 1024 and its powers, such as 50M or 1.5 GiB. */
export function parseRate(text: string): number {
  const [, number = '', unit = ''] = /^(\d{1,15}(?:\.\d{1,9})?) ?([KMGT]?)(?:i?B)?$/i.exec(text) ?? []
  const rate = Math.floor(Number(number) * 1024 ** ' KMGT'.indexOf(unit.toUpperCase() || ' '))
  if (rate >= 1 && Number.isSafeInteger(rate)) return rate
  throw new InvalidArgumentError('Give bytes per second, such as 500K, 50M or 1G.')
}

export function parsePort(text: string): number {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new InvalidArgumentError('a port is 0 to 65535')
  return port
}
