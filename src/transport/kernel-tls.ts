/** Whether the kernel can make and read the records of TLS. */
import type { Logger } from 'pino'
import { ArgumentError } from '../errors.js'
import { sessionAddon } from '../lzc/native.js'
import type { PlaneChoice } from './data-session.js'

let tried: { problem: string | undefined } | undefined

/**
 * Why `dataPlane: 'kernel-tls'` would be of no use on this machine, found out by trying it once over a connection to itself; `undefined` where
 * the kernel takes TLS 1.3 keys and lets them be changed, which is since Linux 6.14, with its module `tls` loaded. Needs no ZFS.
 * Source: Documentation/networking/tls.rst of Linux.
 * @throws {AddonError} `ADDON_MISSING`
 */
export function kernelTlsProblem(): string | undefined {
  tried ??= { problem: sessionAddon().addon.kernelTlsProblem() ?? undefined }
  return tried.problem
}

export const planeChoices: readonly PlaneChoice[] = ['auto', 'kernel-tls', 'javascript']

/**
 * Warns where a plane was asked for that this machine does not have, and another takes its place.
 * @throws {ArgumentError} for one that there isn't
 */
export function checkPlane(choice: PlaneChoice, logger: Logger): void {
  if (!planeChoices.includes(choice)) {
    throw new ArgumentError(`There is no data plane "${choice}"`, { next: `Give one of ${planeChoices.join(', ')}.` })
  }
  const problem = choice === 'kernel-tls' ? kernelTlsProblem() : undefined
  if (problem !== undefined) logger.warn({ problem }, 'TLS stays out of the kernel')
}
