/**
 * A host's identity: one URI in its certificate's subjectAltName, `urn:flocker-zfs:host:NAME`. The subject's common name
 * says nothing here: names are for people, and RFC 6125 retired it for matching.
 */
import type { X509Certificate } from 'node:crypto'
import { ArgumentError } from '../errors.js'

export const IDENTITY_URN = 'urn:flocker-zfs:host:'

/** A host's name: lower-case letters, digits, `.`, `_` and `-`, at most 63 characters, a letter or digit at both ends. */
const NAME = /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/

/** Throws an {@link ArgumentError} unless `name` can be a host's identity. */
export function checkIdentity(name: string): void {
  if (NAME.test(name)) return
  throw new ArgumentError(`${JSON.stringify(name)} is not a host name for a certificate`, {
    next: 'Use 1 to 63 lower-case letters, digits, dots, underscores and dashes, beginning and ending with a letter or digit.',
  })
}

/** The one identity that a certificate names, or undefined if it names none, several, or an impossible one. */
export function identityOf(certificate: X509Certificate): string | undefined {
  const names = certificate.subjectAltName ?? ''
  // Node.js quotes a name that holds a separator; no certificate of ours has one, and unquoting is where such parsers fail.
  if (names.includes('"')) return undefined
  const found = names.split(', ').filter((entry) => entry.startsWith(`URI:${IDENTITY_URN}`))
  const name = found[0]?.slice(`URI:${IDENTITY_URN}`.length)
  return found.length === 1 && name !== undefined && NAME.test(name) ? name : undefined
}
