/** The cluster's CA and its hosts' certificates: ECDSA P-256, SHA-256 (RFC 5280, RFC 5480). */
import { randomBytes, webcrypto } from 'node:crypto'
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import type { Extension, X509Certificate } from '@peculiar/x509'
import { ArgumentError } from '../errors.js'
import { CA_FILE, CERTIFICATE_FILE, KEY_FILE } from './credentials.js'
import { checkIdentity, IDENTITY_URN } from './identity.js'

export const CA_KEY_FILE = 'ca.key'

const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY = 86_400_000
/** Clocks of a cluster's hosts differ; a certificate made just now must be valid on all of them. */
const CLOCK_SKEW = 300_000
const HOSTNAME = /^(?:\*\.)?[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/i

/** How long a certificate is valid. */
export interface Validity {
  /** Days from now. */
  days?: number
  /** Exact times, instead of `days`. */
  notBefore?: Date
  notAfter?: Date
}

export interface CaOptions extends Validity {
  /** The CA's name, for people. Default `flocker-zfs CA`. Valid for 3650 days unless told. */
  name?: string
}

export interface HostCertificateOptions extends Validity {
  /** The host's name in the cluster: what authorisation rules and errors call it. Valid for 825 days unless told. */
  identity: string
  /** The DNS names and IP addresses at which others dial it. */
  addresses?: readonly string[]
}

/** It is only needed to make certificates, and costs 0.2 s to load. */
async function loadX509(): Promise<typeof import('@peculiar/x509')> {
  await import('reflect-metadata')
  return await import('@peculiar/x509')
}

function validity({ days, notBefore, notAfter }: Validity, fallback: number): { notBefore: Date; notAfter: Date } {
  if (days !== undefined && !(Number.isFinite(days) && days > 0 && days <= 36_500)) {
    throw new ArgumentError(`A certificate can't be valid for ${days} days`, {
      next: 'Give a number of days from 1 to 36500.',
    })
  }
  const now = Date.now()
  return {
    notBefore: notBefore ?? new Date(now - CLOCK_SKEW),
    notAfter: notAfter ?? new Date(now + (days ?? fallback) * DAY),
  }
}

/** Positive, and with more than the 64 random bits that the CA/Browser Forum asks for. */
const serial = (): string => `01${randomBytes(15).toString('hex')}`

const pem = (label: string, der: ArrayBuffer): string =>
  `-----BEGIN ${label}-----\n${(
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  ).join('\n')}\n-----END ${label}-----\n`

const exportKey = async (key: webcrypto.CryptoKey): Promise<string> =>
  pem('PRIVATE KEY', await webcrypto.subtle.exportKey('pkcs8', key))

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

async function refuseToOverwrite(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    if (await exists(path)) {
      throw new ArgumentError(`${path} exists and is never overwritten`, {
        next: 'Choose another directory, or move the file away if it is no longer needed.',
      })
    }
  }
}

/** Writes all files or none. */
async function writeNew(files: ReadonlyArray<{ path: string; text: string; mode: number }>): Promise<void> {
  const written: string[] = []
  try {
    for (const { path, text, mode } of files) {
      await writeFile(path, text, { flag: 'wx', mode })
      written.push(path)
    }
  } catch (error) {
    for (const path of written) await rm(path, { force: true })
    throw error
  }
}

/**
 * Creates a CA in `directory` (made, 0700, if absent): `ca.pem` and its key `ca.key` (0600). The key is only needed to
 * make further certificates and belongs on no replicating host.
 * @throws {ArgumentError} if either file exists, or an option is out of range
 */
export async function createCa(directory: string, options: CaOptions = {}): Promise<void> {
  const name = options.name ?? 'flocker-zfs CA'
  if (name.length === 0 || name.length > 64) throw new ArgumentError('The name of a CA has 1 to 64 characters')
  const dates = validity(options, 3650)
  const certificatePath = join(directory, CA_FILE)
  const keyPath = join(directory, CA_KEY_FILE)
  await refuseToOverwrite([certificatePath, keyPath])

  const x509 = await loadX509()
  const keys = await webcrypto.subtle.generateKey(EC, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serial(),
      name: [{ CN: [name] }],
      ...dates,
      keys,
      signingAlgorithm: EC,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  )
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await writeNew([
    { path: keyPath, text: await exportKey(keys.privateKey), mode: 0o600 },
    { path: certificatePath, text: `${certificate.toString('pem')}\n`, mode: 0o644 },
  ])
}

async function readCa(
  directory: string,
): Promise<{ certificate: X509Certificate; key: webcrypto.CryptoKey; pem: string }> {
  const read = (file: string): Promise<string> =>
    readFile(join(directory, file), 'utf8').catch((cause: unknown) => {
      throw new ArgumentError(`There is no CA in ${directory}: ${file} can't be read`, {
        cause,
        next: `Create one: flocker-zfs certs init --directory ${directory}`,
      })
    })
  const [text, keyText] = await Promise.all([read(CA_FILE), read(CA_KEY_FILE)])
  const x509 = await loadX509()
  try {
    const certificate = new x509.X509Certificate(text)
    const der = x509.PemConverter.decodeFirst(keyText)
    const key = await webcrypto.subtle.importKey('pkcs8', der, EC, false, ['sign'])
    return { certificate, key, pem: text }
  } catch (cause) {
    throw new ArgumentError(`The CA in ${directory} is damaged: ${CA_FILE} or ${CA_KEY_FILE} can't be parsed`, {
      cause,
    })
  }
}

async function hostExtensions(
  ca: X509Certificate,
  publicKey: webcrypto.CryptoKey,
  options: HostCertificateOptions,
): Promise<Extension[]> {
  const x509 = await loadX509()
  const names = (options.addresses ?? []).map((value) => ({ type: isIP(value) ? 'ip' : 'dns', value }) as const)
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
    new x509.SubjectAlternativeNameExtension([{ type: 'url', value: `${IDENTITY_URN}${options.identity}` }, ...names]),
    await x509.SubjectKeyIdentifierExtension.create(publicKey, false, webcrypto),
    await x509.AuthorityKeyIdentifierExtension.create(ca.publicKey, false, webcrypto),
  ]
}

/**
 * Creates a host's certificate, signed by the CA in `caDirectory`, in `outDirectory` (made, 0700, if absent): `host.pem`,
 * `host.key` (0600) and a copy of `ca.pem`: all that the host needs.
 * @throws {ArgumentError} if a file exists, there is no CA, or the identity or an address is not valid
 */
export async function createHostCertificate(
  caDirectory: string,
  outDirectory: string,
  options: HostCertificateOptions,
): Promise<void> {
  checkIdentity(options.identity)
  for (const address of options.addresses ?? []) {
    if (isIP(address) === 0 && !(address.length <= 253 && HOSTNAME.test(address))) {
      throw new ArgumentError(`${JSON.stringify(address)} is neither a DNS name nor an IP address`)
    }
  }
  const dates = validity(options, 825)
  const paths = {
    ca: join(outDirectory, CA_FILE),
    certificate: join(outDirectory, CERTIFICATE_FILE),
    key: join(outDirectory, KEY_FILE),
  }
  const authority = await readCa(caDirectory)
  await refuseToOverwrite(Object.values(paths))

  const x509 = await loadX509()
  const keys = await webcrypto.subtle.generateKey(EC, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: serial(),
      subject: [{ CN: [options.identity] }],
      issuer: authority.certificate.subjectName,
      ...dates,
      publicKey: keys.publicKey,
      signingKey: authority.key,
      signingAlgorithm: EC,
      extensions: await hostExtensions(authority.certificate, keys.publicKey, options),
    },
    webcrypto,
  )
  await mkdir(outDirectory, { recursive: true, mode: 0o700 })
  await writeNew([
    { path: paths.key, text: await exportKey(keys.privateKey), mode: 0o600 },
    { path: paths.certificate, text: `${certificate.toString('pem')}\n`, mode: 0o644 },
    { path: paths.ca, text: authority.pem, mode: 0o644 },
  ])
}
