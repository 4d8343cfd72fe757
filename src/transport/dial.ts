/** One connection made, authenticated and welcomed; or one error that says why not. */
import { isIP } from 'node:net'
import { type SecureContext, type TLSSocket, connect as tlsConnect } from 'node:tls'
import type { Logger } from 'pino'
import { abortReason, FlockerError, TransportError, throwIfAborted } from '../errors.js'
import { identityOf } from './identity.js'
import {
  decodeMessage,
  describeVersions,
  encodeMessage,
  type Opening,
  type Reply,
  replySchema,
  VERSIONS,
} from './messages.js'
import { readMessage, waitFor } from './socket.js'
import { ALPN, certificateFromDer, checkServer, connectError, peerCertificate, tune } from './tls.js'
import { fromWire } from './wire-error.js'

export interface DialTarget {
  /** DNS name or IP address; the server's certificate must name it, unless `expectIdentity` is given. */
  host: string
  port: number
  /** Of `tlsOptions`: to read certificates and a key takes milliseconds, and every stream has a connection of its own. */
  secureContext: SecureContext
  /** The identity that the server must have; replaces the check of its address. */
  expectIdentity?: string | undefined
  timeoutMilliseconds: number
  helloBytes: number
  logger: Logger
}

export interface Dialled {
  /** Read up to the end of the reply and no further. */
  socket: TLSSocket
  identity: string
  /** What was said to it. */
  opened: Opening
  reply: Extract<Reply, { type: 'welcome' }>
}

/** What a connection is for, once it is secured. */
type Opens = (socket: TLSSocket) => Opening

function refusal(reply: Extract<Reply, { type: 'refused' }>, identity: string): FlockerError {
  if (reply.error.code !== 'VERSION' || reply.versions === undefined) return fromWire(reply.error, identity)
  const ours = describeVersions(VERSIONS)
  const message = `No protocol version in common: this host speaks ${ours}, ${identity} speaks ${describeVersions(reply.versions)}`
  return new TransportError('VERSION', message, { peer: identity, next: 'Upgrade the older of the two.' })
}

async function greet(socket: TLSSocket, target: DialTarget, opening: Opens): Promise<Dialled> {
  const identity = identityOf(peerCertificate(socket) ?? certificateFromDer(socket.getPeerCertificate().raw))
  if (identity === undefined || socket.alpnProtocol !== ALPN) {
    throw new TransportError('TLS_FAILED', `What listens at ${target.host}:${target.port} does not speak ${ALPN}`)
  }
  const opened = opening(socket)
  socket.write(encodeMessage(opened, target.helloBytes))
  const reply = decodeMessage(await readMessage(socket, target.helloBytes), replySchema, identity)
  if (reply.type === 'refused') throw refusal(reply, identity)
  if (reply.version < VERSIONS.minimum || reply.version > VERSIONS.maximum) {
    throw new TransportError(
      'PROTOCOL',
      `${identity} chose protocol version ${reply.version}, which was not on offer`,
      { peer: identity },
    )
  }
  return { socket, identity, opened, reply }
}

/** Connects, authenticates the server, says what the connection is for, and reads the answer. See `connect` for the errors. */
export async function dial(target: DialTarget, opening: Opens, signal: AbortSignal | undefined): Promise<Dialled> {
  const { host, port, expectIdentity, timeoutMilliseconds } = target
  const where = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`
  throwIfAborted(signal, `The connection to ${where}`)
  const socket = tlsConnect({
    secureContext: target.secureContext,
    ALPNProtocols: [ALPN],
    host,
    port,
    servername: isIP(host) ? '' : host,
    rejectUnauthorized: true,
    checkServerIdentity: (_, { raw }) => checkServer(certificateFromDer(raw), host, expectIdentity),
  })
  tune(socket)
  const failed: { error?: unknown } = {}
  socket.on('error', (error) => {
    failed.error ??= error
  })
  let secured = false
  const late = setTimeout(() => {
    const stage = secured ? 'did not answer the hello' : 'did not answer'
    socket.destroy(new TransportError('PEER_UNREACHABLE', `${where} ${stage} within ${timeoutMilliseconds} ms`))
  }, timeoutMilliseconds)
  const aborted = () => signal && socket.destroy(abortReason(signal, `The connection to ${where}`))
  signal?.addEventListener('abort', aborted, { once: true })
  try {
    await waitFor(socket, 'secureConnect')
    secured = true
    return await greet(socket, target, opening)
  } catch (error) {
    const certificate = socket.destroyed ? undefined : peerCertificate(socket)
    socket.destroy()
    const cause = error instanceof FlockerError ? error : (failed.error ?? error)
    throw connectError(cause, where, secured, certificate)
  } finally {
    clearTimeout(late)
    signal?.removeEventListener('abort', aborted)
  }
}
