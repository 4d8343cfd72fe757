/** A host's certificate, its key and the cluster's CA, as they lie in a directory. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { ArgumentError } from '../errors.js'
import { identityOf } from './identity.js'

/** What a host shows and what it trusts. All three texts are PEM. */
export interface Credentials {
  /** The host's name, from its certificate (`urn:flocker-zfs:host:NAME`). */
  readonly identity: string
  /** The cluster's CA certificate: the only one that is trusted. */
  readonly ca: string
  readonly certificate: string
  /** The private key. It never leaves this object. */
  readonly key: string
}

export const CA_FILE = 'ca.pem'
export const CERTIFICATE_FILE = 'host.pem'
export const KEY_FILE = 'host.key'

async function readPem(path: string, secret: boolean): Promise<string> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw new ArgumentError(`${path} can't be read: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
      next: 'Create a CA with `flocker-zfs certs init` and a certificate for this host with `flocker-zfs certs host NAME`.',
    })
  })
  try {
    const { mode } = await file.stat()
    if (secret && (mode & 0o077) !== 0) {
      throw new ArgumentError(`${path} is a private key that others can read (mode ${(mode & 0o777).toString(8)})`, {
        next: `Make it private: chmod 600 ${path}. If others had access to it, create a new one.`,
      })
    }
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

/**
 * Builds credentials from PEM texts, checking that they belong together.
 * @throws {ArgumentError} if one can't be parsed, the certificate has no identity, isn't the key's or isn't the CA's
 */
export function parseCredentials(ca: string, certificate: string, key: string): Credentials {
  const parse = <T>(what: string, make: () => T): T => {
    try {
      return make()
    } catch (cause) {
      throw new ArgumentError(`The ${what} is not valid PEM`, { cause })
    }
  }
  const authority = parse('CA certificate', () => new X509Certificate(ca))
  const host = parse("host's certificate", () => new X509Certificate(certificate))
  const privateKey = parse("host's key", () => createPrivateKey(key))
  const identity = identityOf(host)
  if (identity === undefined) {
    throw new ArgumentError("The host's certificate names no host (urn:flocker-zfs:host:NAME)", {
      next: 'Create one with `flocker-zfs certs host NAME`.',
    })
  }
  if (!host.checkPrivateKey(privateKey)) throw new ArgumentError(`The key is not that of ${identity}'s certificate`)
  if (!host.verify(authority.publicKey)) throw new ArgumentError(`${identity}'s certificate was not signed by this CA`)
  return { identity, ca, certificate, key }
}

/** The first address in a host's certificate, a DNS name or an IP address, if it has one. */
export function certifiedAddress({ certificate }: Pick<Credentials, 'certificate'>): string | undefined {
  const names = new X509Certificate(certificate).subjectAltName ?? ''
  return /(?:^|, )(?:DNS|IP Address):([^,]+)/.exec(names)?.[1]
}

/**
 * Reads `ca.pem`, `host.pem` and `host.key` from a directory, as `flocker-zfs certs host` writes them. Whether the
 * certificate is still valid is for the handshake to say.
 * @throws {ArgumentError} if a file is missing, the key is readable by others, or the three don't belong together
 */
export async function loadCredentials(directory: string): Promise<Credentials> {
  const [ca, certificate, key] = await Promise.all([
    readPem(join(directory, CA_FILE), false),
    readPem(join(directory, CERTIFICATE_FILE), false),
    readPem(join(directory, KEY_FILE), true),
  ])
  return parseCredentials(ca, certificate, key)
}
