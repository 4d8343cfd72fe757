/** TLS 1.3, both ends with certificates from the cluster's CA, and what its failures mean. */
import { X509Certificate } from 'node:crypto'
import { isIP, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { FlockerError, TransportError } from '../errors.js'
import type { Credentials } from './credentials.js'
import { identityOf } from './identity.js'

export const ALPN = 'flocker-zfs/1'

/** Options common to both ends. AES-128-GCM first: the cheapest that is strong; Node.js would prefer AES-256. */
export function tlsOptions({ ca, certificate, key }: Credentials) {
  return {
    ca,
    cert: certificate,
    key,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
    ALPNProtocols: [ALPN],
  } as const
}

const UNKNOWN_CA = "was not signed by this cluster's CA"
const REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'has expired',
  CERT_NOT_YET_VALID: 'is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_CA,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_CA,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_CA,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_CA,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_CA,
  CERT_SIGNATURE_FAILURE: UNKNOWN_CA,
  INVALID_PURPOSE: 'is not made for this use',
  INVALID_CA: "was not signed by a certificate that may sign others'",
}

/** Alerts by which another implementation than this one may refuse our certificate (RFC 8446, section 6.2). */
const ALERTS: ReadonlyArray<[RegExp, string]> = [
  [/UNKNOWN_CA/, `this host's certificate ${UNKNOWN_CA}, it says`],
  [/CERTIFICATE_EXPIRED/, "this host's certificate has expired, it says"],
  [/CERTIFICATE_REQUIRED/, 'this host showed no certificate, it says'],
  [/ALERT_.*CERTIFICATE/, "it refused this host's certificate"],
  [/NO_APPLICATION_PROTOCOL/, `it does not speak ${ALPN}`],
  [/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/, 'it does not speak TLS 1.3'],
  [/WRONG_VERSION_NUMBER|HTTP_REQUEST|PACKET_LENGTH/, 'what listens there does not speak TLS'],
]

const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : ''

/** Where a certificate's validity ended or will begin, as far as that explains the reason. */
function when(code: string, certificate: X509Certificate | undefined): string {
  if (certificate === undefined) return ''
  if (code === 'CERT_HAS_EXPIRED') return ` (on ${new Date(certificate.validTo).toISOString()})`
  if (code === 'CERT_NOT_YET_VALID') return ` (before ${new Date(certificate.validFrom).toISOString()})`
  return ''
}

function advice(code: string): string {
  if (code.startsWith('CERT_HAS') || code.startsWith('CERT_NOT')) {
    return 'Compare the clocks of both hosts; if they are right, create a new certificate with `flocker-zfs certs host NAME`.'
  }
  return "Both hosts need certificates from one cluster's CA: compare their ca.pem, and see `flocker-zfs certs`."
}

/**
 * What a server has against a client that finished its TLS handshake. Everything that TLS verified is read here, before a
 * byte of the client's is: the handshake itself lets anybody through so that the refusal can say why.
 */
export function vetClient(socket: TLSSocket): { identity: string } | { refusal: string; next: string } {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return { refusal: 'it showed no certificate', next: advice('') }
  if (!socket.authorized) {
    const code = String(socket.authorizationError)
    return {
      refusal: `its certificate ${REASONS[code] ?? `was not accepted: ${code}`}${when(code, certificate)}`,
      next: advice(code),
    }
  }
  // A resumed session would skip the verification of a certificate that may have expired since.
  if (socket.isSessionReused()) return { refusal: 'it resumed a TLS session', next: 'Connect anew.' }
  if (socket.alpnProtocol !== ALPN) return { refusal: `it does not ask for ${ALPN}`, next: 'Connect with flocker-zfs.' }
  const identity = identityOf(certificate)
  if (identity === undefined) return { refusal: 'its certificate names no host', next: advice('') }
  return { identity }
}

/** What a client has against a server's certificate that the CA did sign: undefined if it is the one that was meant. */
export function checkServer(
  certificate: X509Certificate,
  host: string,
  expectIdentity: string | undefined,
): Error | undefined {
  const identity = identityOf(certificate)
  const fail = (what: string, next: string) => new TransportError('TLS_FAILED', what, { peer: identity, next })
  if (identity === undefined) {
    return fail(
      `The certificate of ${host} names no host of a cluster`,
      'Create one with `flocker-zfs certs host NAME`.',
    )
  }
  if (expectIdentity !== undefined) {
    if (identity === expectIdentity) return undefined
    return fail(`${host} is ${identity}, not ${expectIdentity}`, 'Dial the right address, or expect that host.')
  }
  const named = isIP(host) ? certificate.checkIP(host) : certificate.checkHost(host, { subject: 'never' })
  if (named !== undefined) return undefined
  const next = `Create one with \`flocker-zfs certs host ${identity} --address ${host}\`, or say that you expect ${identity}.`
  return fail(`${identity}'s certificate does not name the address ${host}`, next)
}

/** Why there is no connection, given where it broke. */
export function connectError(
  error: unknown,
  where: string,
  secured: boolean,
  certificate?: X509Certificate,
): FlockerError {
  if (error instanceof FlockerError) return error
  const code = codeOf(error)
  const tls = (reason: string, next: string) =>
    new TransportError('TLS_FAILED', `No TLS connection to ${where}: ${reason}`, { next, cause: error })
  if (code.includes('BAD_RECORD_MAC')) return garbledError(`The connection to ${where}`, error)
  if (code in REASONS) return tls(`its certificate ${REASONS[code]}${when(code, certificate)}`, advice(code))
  const alert = ALERTS.find(([pattern]) => pattern.test(code))
  if (alert) return tls(alert[1], advice(code))
  if (isTlsFailure(code)) return tls(code, advice(''))
  const said = error instanceof Error ? error.message || code : String(error)
  if (secured)
    return new TransportError('PEER_LOST', `${where} closed the connection before it said hello`, { cause: error })
  const next = 'Check the address, that an agent listens there, and the firewalls between.'
  return new TransportError('PEER_UNREACHABLE', `${where} can't be reached: ${said}`, { next, cause: error })
}

/** Whether it was TLS that failed: Node.js says EPROTO where it finds that out while it writes. */
const isTlsFailure = (code: string): boolean => code.startsWith('ERR_SSL') || code === 'EPROTO'

/** Why an established connection broke: `GARBLED` if TLS found bytes that were changed on the way, else `PEER_LOST`. */
export function lostError(error: unknown, peer: string, what = 'The connection'): FlockerError {
  if (error instanceof FlockerError) return error
  const code = codeOf(error)
  if (isTlsFailure(code)) return garbledError(`${what} with ${peer}`, error, peer)
  const how = code === '' ? 'closed by the other side' : `lost (${code})`
  return new TransportError('PEER_LOST', `${what} with ${peer} was ${how}`, { peer, cause: error })
}

function garbledError(what: string, cause: unknown, peer?: string): TransportError {
  const next =
    'Nothing that arrived garbled was used. Look for a faulty network card, cable or middlebox, then try again.'
  return new TransportError('GARBLED', `${what} carried bytes that were changed on the way`, { peer, next, cause })
}

/** The certificate that the other end showed, if the handshake got that far. */
export const peerCertificate = (socket: TLSSocket): X509Certificate | undefined => socket.getPeerX509Certificate()

export const certificateFromDer = (der: Buffer): X509Certificate => new X509Certificate(der)

/** Settings for every socket: answers leave at once, and the kernel looks after a peer that vanished. */
export function tune(socket: Socket): void {
  socket.setNoDelay(true)
  socket.setKeepAlive(true, 5000)
}
