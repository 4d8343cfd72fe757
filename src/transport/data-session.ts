/**
 * The second TLS session of a data connection. Node.js's own TLS makes the connection, verifies both certificates and reads the ticket;
 * then both ends leave that session for another one over the same TCP connection, whose key is exported from the first (RFC 8446,
 * section 7.5): whoever has it is who was authenticated. The addon can be an end of the second, as Node.js's TLS can.
 */
import { Socket } from 'node:net'
import { createServer, type TLSSocket, connect as tlsConnect } from 'node:tls'
import type { Logger } from 'pino'
import { sessionAddon } from '../lzc/native.js'
import type { Carrier, PlaneName } from './carrier.js'
import { kernelTlsProblem } from './kernel-tls.js'
import { SessionCarrier } from './session-carrier.js'
import { SocketCarrier } from './socket-carrier.js'
import { tune } from './tls.js'

/** Which plane a host uses: the native one where it can, the same with the kernel's TLS where that can, or JavaScript's. */
export type PlaneChoice = 'auto' | 'kernel-tls' | 'javascript'

const LABEL = 'EXPERIMENTAL flocker-zfs data session'
const KEY_BYTES = 32
const PSK_IDENTITY = 'flocker-zfs'

/** What of a socket's handle is used, which Node.js does not document: where it isn't there, a stream stays with the first session. */
interface Handle {
  fd: number
  readStop(): void
}

function handleOf(socket: TLSSocket): Handle | undefined {
  const { _handle: handle } = socket as unknown as { _handle?: Partial<Handle> | null }
  const usable = typeof handle?.readStop === 'function' && typeof handle.fd === 'number' && handle.fd >= 0
  return usable ? (handle as Handle) : undefined
}

/** What this end of a connection can be, or undefined where it can't leave its first session. */
export function planeOf(socket: TLSSocket, choice: PlaneChoice, logger: Logger): PlaneName | undefined {
  const { problem } = sessionAddon()
  if (handleOf(socket) === undefined) return undefined
  if (problem !== undefined) logger.debug({ problem }, 'streams go through JavaScript')
  return choice !== 'javascript' && problem === undefined ? 'native' : 'javascript'
}

export interface SessionEnd {
  role: 'client' | 'server'
  peer: string
  ours: PlaneName | undefined
  theirs: PlaneName | undefined
  choice: PlaneChoice
  /** Bytes that a key may carry. */
  keyBytes: number
  /** How long a handshake may take. */
  milliseconds: number
}

/** Whether the connection moves to a second session: JavaScript alone gains nothing by it. */
export function movesOn({ ours, theirs }: Pick<SessionEnd, 'ours' | 'theirs'>): boolean {
  return ours !== undefined && theirs !== undefined && (ours === 'native' || theirs === 'native')
}

/** Of a server, before its welcome, after which the client's second session may begin at once: nothing of it may be read here. */
export function stopReading(socket: TLSSocket): void {
  handleOf(socket)?.readStop()
}

/**
 * Moves a connection to its second session, if both ends do. The socket is not to be used any more. A carrier of a connection that has been
 * lost meanwhile says so to whoever listens.
 */
export async function carrierOf(socket: TLSSocket, end: SessionEnd): Promise<Carrier> {
  const handle = handleOf(socket)
  if (!movesOn(end) || handle === undefined) return new SocketCarrier(socket, end.peer)
  const key = socket.exportKeyingMaterial(KEY_BYTES, LABEL, Buffer.alloc(0))
  try {
    const carrier = secondSession(handle.fd, key, end)
    // It closes its own descriptor; the copy keeps the connection.
    socket.destroy()
    return await carrier
  } catch (error) {
    // No descriptor, no thread or no memory is left.
    socket.destroy(error as Error)
    return new SocketCarrier(socket, end.peer)
  }
}

async function secondSession(fd: number, key: Buffer, end: SessionEnd): Promise<Carrier> {
  const { addon } = sessionAddon()
  try {
    if (end.ours === 'native') {
      const { role, keyBytes, milliseconds } = end
      const inKernel = end.choice === 'kernel-tls' && kernelTlsProblem() === undefined
      const session = addon.openSession(fd, role === 'server', key, BigInt(keyBytes), milliseconds, inKernel)
      return new SessionCarrier(addon, session, end.peer)
    }
    const socket = new Socket({ fd: addon.duplicate(fd), readable: true, writable: true })
    return new SocketCarrier(await reconnect(socket, Buffer.from(key), end), end.peer)
  } finally {
    key.fill(0)
  }
}

const options = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256',
} as const

/** The second session as Node.js's own TLS: a socket that is secured, or destroyed. */
function reconnect(socket: Socket, psk: Buffer, { role, milliseconds }: SessionEnd): Promise<TLSSocket> {
  return new Promise((resolve) => {
    const settle = (secured: TLSSocket): void => {
      clearTimeout(late)
      // A peer that has not the key could offer a certificate in its place, which nobody would verify.
      if (!secured.destroyed && !secured.isSessionReused()) secured.destroy(noCommonKey())
      psk.fill(0)
      tune(secured)
      secured.on('error', () => undefined)
      resolve(secured)
    }
    const late = setTimeout(() => socket.destroy(), milliseconds)
    if (role === 'client') {
      const pskCallback = () => ({ psk, identity: PSK_IDENTITY })
      const secured = tlsConnect({ ...options, socket, pskCallback, checkServerIdentity: noCommonKey })
      for (const event of ['secureConnect', 'error', 'close']) secured.once(event, () => settle(secured))
      return
    }
    const server = createServer({ ...options, pskCallback: () => psk })
    server.once('secureConnection', settle)
    server.once('tlsClientError', (_, secured) => {
      secured.destroy()
      settle(secured)
    })
    server.emit('connection', socket)
  })
}

/** Of an end whose peer had not the key. */
const noCommonKey = (): Error =>
  Object.assign(new Error('The peer does not have the key of the data session'), { code: 'ERR_SSL_NO_COMMON_KEY' })
