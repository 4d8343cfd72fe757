/** Certificates, servers and faulty links for the transport's tests. All TLS is real. */
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server as NetServer, connect as netConnect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import {
  type Connection,
  type ConnectOptions,
  type Credentials,
  connect,
  createCa,
  createHostCertificate,
  type DataChannel,
  type DataOffer,
  defineMethod,
  type Handler,
  type HostCertificateOptions,
  handle,
  type ListenOptions,
  listen,
  loadCredentials,
  type PlaneChoice,
  type Server,
  uint64,
} from '../../src/transport/index.js'

/** A throw-away cluster: a CA and as many hosts as are asked for. */
export class Cluster {
  readonly #hosts = new Map<string, Promise<Credentials>>()

  private constructor(readonly directory: string) {}

  static async create(): Promise<Cluster> {
    const directory = await mkdtemp(join(tmpdir(), 'flocker-zfs-transport-'))
    await createCa(join(directory, 'ca'))
    return new Cluster(directory)
  }

  /** A cluster that another thread has created, and destroys. */
  static of(directory: string): Cluster {
    return new Cluster(directory)
  }

  /** A host's credentials: new ones where options are given, else always the same. */
  host(identity: string, options?: Partial<HostCertificateOptions>): Promise<Credentials> {
    if (options !== undefined) return this.#create(identity, options)
    const known = this.#hosts.get(identity) ?? this.#create(identity, {})
    this.#hosts.set(identity, known)
    return known
  }

  async #create(identity: string, options: Partial<HostCertificateOptions>): Promise<Credentials> {
    const out = join(this.directory, `${identity}-${Math.random().toString(36).slice(2)}`)
    await createHostCertificate(join(this.directory, 'ca'), out, {
      identity,
      addresses: ['localhost', '127.0.0.1'],
      ...options,
    })
    return await loadCredentials(out)
  }

  async destroy(): Promise<void> {
    await rm(this.directory, { recursive: true })
  }
}

export const ping = defineMethod('ping', {
  params: z.object({ text: z.string(), number: uint64 }),
  result: z.object({ text: z.string(), number: uint64, peer: z.string() }),
})

export const pingHandler: Handler = handle(ping, async ({ text, number }, { peer }) => ({ text, number, peer }))

/** Everything that a test opened, closed in reverse. */
export class Scope {
  readonly #undo: Array<() => unknown> = []

  defer(undo: () => unknown): void {
    this.#undo.push(undo)
  }

  async listen(credentials: Credentials, options: Partial<ListenOptions> = {}): Promise<Server> {
    const server = await listen({
      host: '127.0.0.1',
      port: 0,
      credentials,
      handlers: [pingHandler],
      hello: { name: 'server' },
      ...options,
    })
    this.defer(() => server.close())
    return server
  }

  async connect(credentials: Credentials, port: number, options: Partial<ConnectOptions> = {}): Promise<Connection> {
    const connection = await connect({ host: '127.0.0.1', port, credentials, hello: { name: 'client' }, ...options })
    this.defer(() => connection.close())
    return connection
  }

  async close(): Promise<void> {
    for (const undo of this.#undo.reverse()) await undo()
  }
}

/** Runs a test's body and closes what it opened, also when it fails. */
export function scoped(body: (scope: Scope) => Promise<void>): () => Promise<void> {
  return async () => {
    const scope = new Scope()
    try {
      await body(scope)
    } finally {
      await scope.close()
    }
  }
}

/** The error that a promise rejects with; fails if it does not within the time. */
export async function failure(
  promise: Promise<unknown>,
  milliseconds = 10_000,
): Promise<Error & { code: string; peer?: string }> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`still waiting after ${milliseconds} ms`)), milliseconds)
  })
  try {
    await Promise.race([promise, late])
  } catch (error) {
    assert.instance(error, Error)
    return error as Error & { code: string }
  } finally {
    clearTimeout(timer)
  }
  throw new Error('resolved although it should have failed')
}

/** Resolves when the condition holds; fails after the time. */
export async function until(condition: () => boolean, milliseconds = 5000): Promise<void> {
  const deadline = Date.now() + milliseconds
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`still not so after ${milliseconds} ms: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** A TCP proxy in front of a port, which can fall silent, garble what passes, refuse, or reset what is open. */
export class FaultyLink {
  readonly #sockets = new Set<Socket>()
  /** Bytes forwarded of each connection: of the more used of its two directions. */
  readonly carried: number[] = []
  /** What becomes of new connections. `ignored`: accepted, and never answered. */
  next: 'forwarded' | 'refused' | 'ignored' = 'forwarded'
  /** Called for every chunk that was forwarded. */
  onForward: (bytes: number) => void = () => undefined
  readonly #server: NetServer
  /** Forward nothing any more, keep everything open. */
  silent = false
  /** Flip one bit in the middle of the next chunk of at least this many bytes, in either direction. */
  garbleFrom: number | undefined
  /** Bytes forwarded. */
  forwarded = 0

  private constructor(readonly target: number) {
    this.#server = createServer((near) => {
      if (this.next !== 'forwarded') {
        this.#sockets.add(near)
        near.on('error', () => undefined)
        if (this.next === 'refused') near.resetAndDestroy()
        return
      }
      const far = netConnect(this.target, '127.0.0.1')
      const index = this.carried.push(0) - 1
      this.#forward(near, far, index)
      this.#forward(far, near, index)
    })
  }

  /** Connections that are open. */
  get open(): number {
    return this.#sockets.size
  }

  static async open(scope: Scope, target: number): Promise<FaultyLink> {
    const link = new FaultyLink(target)
    await new Promise<void>((resolve) => link.#server.listen(0, '127.0.0.1', resolve))
    scope.defer(() => link.close())
    return link
  }

  get port(): number {
    const address = this.#server.address()
    if (typeof address !== 'object' || address === null) throw new Error('not listening')
    return address.port
  }

  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #forward(from: Socket, to: Socket, index: number): void {
    let carried = 0
    this.#sockets.add(from)
    from.on('error', () => to.destroy())
    from.on('close', () => {
      this.#sockets.delete(from)
      if (!this.silent) to.destroy()
    })
    from.on('data', (chunk) => {
      if (this.silent) return
      if (this.garbleFrom !== undefined && chunk.length >= this.garbleFrom) {
        // Not where a record may begin: of its outer type the kernel takes no notice, nor does anything else.
        const middle = (chunk.length >> 1) + 37
        chunk.writeUInt8(chunk.readUInt8(middle) ^ 0x10, middle)
        this.garbleFrom = undefined
      }
      this.forwarded += chunk.length
      carried += chunk.length
      this.carried[index] = Math.max(this.carried[index] ?? 0, carried)
      this.onForward(this.forwarded)
      if (!to.write(chunk)) {
        from.pause()
        to.once('drain', () => from.resume())
      }
    })
  }
}

export const offerData = defineMethod('offer', { params: z.object({}), result: z.object({ ticket: z.string() }) })

export interface Pair {
  server: Server
  connection: Connection
  offers: DataOffer[]
  /** Both ends of a new data channel. */
  channels(): Promise<{ near: DataChannel; far: DataChannel }>
}

/** A handler that offers data connections, and what it has offered. */
export function offering(): { offers: DataOffer[]; handler: Handler } {
  const offers: DataOffer[] = []
  const handler: Handler = handle(offerData, (_, context) => {
    const offer = context.offerData()
    offers.push(offer)
    return { ticket: offer.ticket }
  })
  return { offers, handler }
}

export interface PairOptions {
  /** Puts something between the two: takes the server's port, returns its own. */
  through?: (port: number) => Promise<number>
  near?: Partial<ConnectOptions>
  far?: Partial<ListenOptions>
}

/** The data planes of the near host and of the far one: each test file whose name says so runs with each combination. */
const [nearPlane = 'auto', farPlane = 'auto'] = (process.env.TEST_PLANES?.split(' ') ?? []) as PlaneChoice[]

/** Two connected hosts, alpha (near) and beta (far). */
export async function pair(scope: Scope, cluster: Cluster, options: PairOptions = {}): Promise<Pair> {
  const { offers, handler } = offering()
  const server = await scope.listen(await cluster.host('beta'), {
    handlers: [handler],
    dataPlane: farPlane,
    ...options.far,
  })
  const port = options.through === undefined ? server.port : await options.through(server.port)
  const connection = await scope.connect(await cluster.host('alpha'), port, {
    dataPlane: nearPlane,
    ...options.near,
  })
  const channels = async () => {
    const { ticket } = await connection.request(offerData, {})
    const near = await connection.openData(ticket)
    const far = await offers[offers.length - 1]?.channel()
    assert.ok(far)
    return { near, far }
  }
  return { server, connection, offers, channels }
}

/** Takes everything, keeping its hash and length. */
export class HashSink extends Writable {
  readonly #hash = createHash('sha256')
  bytes = 0

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.#hash.update(chunk)
    this.bytes += chunk.length
    done()
  }

  digest(): string {
    return this.#hash.digest('hex')
  }
}

/** Bytes without end, 64 KiB at a time. */
export function endless(onRead?: (bytes: number) => void): Readable {
  const chunk = Buffer.alloc(65_536, 7)
  return new Readable({
    read() {
      onRead?.(chunk.length)
      setImmediate(() => this.push(chunk))
    },
  })
}
