/** A wire to a port of this machine that can be cut, garbled and held still, at any of the TLS records that go over it. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

/** `there` is from who has dialled. */
export type Direction = 'there' | 'back'

/** One direction of one connection. */
export interface Flow {
  /** In the order in which they were made, from 0. */
  connection: number
  direction: Direction
  records: number
  bytes: number
}

/** A place in what goes over the wire: a record and a part of it (from 0 up to 1), or a byte. */
export type Spot = { connection: number; direction: Direction } & (
  | { record: number; part: number }
  | { offset: number }
)

/** Is given a record before it goes on, and the place in it; gives what is to go on instead. */
export type Strike = (record: Buffer, at: number) => Buffer | Promise<Buffer>

const headerBytes = 5
const coarseMilliseconds = 10

export class Link implements AsyncDisposable {
  /** The most that goes each way of each connection. */
  bytesPerSecond = Number.POSITIVE_INFINITY
  readonly #sockets = new Set<Socket>()
  #flows: Flow[] = []
  #connections = 0
  #trap: { spot: Spot; strike: Strike } | undefined
  #down = false
  #still: Promise<unknown> = Promise.resolve()
  /** When what has gone over a flow should have. */
  readonly #due = new WeakMap<Flow, number>()

  private constructor(
    private readonly server: Server,
    /** The port where connections go. */
    public target: number,
  ) {
    server.on('connection', (socket) => this.#connect(socket))
  }

  static async listen(target: number): Promise<Link> {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Link(server, target)
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  /** Numbers connections anew, from the next one on. */
  begin(trap?: { spot: Spot; strike: Strike }): void {
    this.#flows = []
    this.#connections = 0
    this.#trap = trap
  }

  /** What went over the connections since {@link begin}. */
  get flows(): readonly Flow[] {
    return this.#flows
  }

  /** Cuts all connections, and lets none come about until {@link mend}. */
  cut(): void {
    this.#down = true
    for (const socket of this.#sockets) socket.destroy()
  }

  mend(): void {
    this.#down = false
    this.#trap = undefined
  }

  /** Nothing goes on for so long, and nothing is lost. */
  hold(milliseconds: number): void {
    this.#still = wait(milliseconds)
  }

  #connect(near: Socket): void {
    if (this.#down) {
      near.destroy()
      return
    }
    const far = connect({ port: this.target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    for (const socket of [near, far]) {
      this.#sockets.add(socket)
      // What is lost on one side is lost on the other, as on a wire.
      socket.on('error', () => undefined)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    const connection = this.#connections++
    const flowOf = (direction: Direction): Flow => ({ connection, direction, records: 0, bytes: 0 })
    const [there, back] = [flowOf('there'), flowOf('back')]
    this.#flows.push(there, back)
    void this.#pump(near, far, there)
    void this.#pump(far, near, back)
  }

  async #pump(from: Socket, to: Socket, flow: Flow): Promise<void> {
    let rest: Buffer = Buffer.alloc(0)
    try {
      for await (const chunk of from.iterator({ destroyOnReturn: false })) {
        rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
        for (let length = recordLength(rest); length !== undefined; length = recordLength(rest)) {
          await this.#pass(rest.subarray(0, length), to, flow)
          rest = rest.subarray(length)
        }
      }
    } catch {
      // It was lost, which its `close` tells the other one.
      return
    }
    to.end(rest)
  }

  async #pass(record: Buffer, to: Socket, flow: Flow): Promise<void> {
    await this.#still
    const at = this.#strikesAt(record, flow)
    flow.records += 1
    let passed = record
    if (at !== undefined) {
      const { strike } = this.#trap as { strike: Strike }
      this.#trap = undefined
      passed = await strike(record, at)
      await this.#still
    }
    flow.bytes += passed.length
    if (to.destroyed) return
    if (!to.write(passed)) await drained(to)
    await this.#pace(record.length, flow)
  }

  /** A timer is too coarse for each record of its own. */
  async #pace(bytes: number, flow: Flow): Promise<void> {
    const now = performance.now()
    const due = Math.max(now, this.#due.get(flow) ?? 0) + (bytes / this.bytesPerSecond) * 1000
    this.#due.set(flow, due)
    if (due - now > coarseMilliseconds) await wait(due - now)
  }

  #strikesAt(record: Buffer, { connection, direction, records, bytes }: Flow): number | undefined {
    const spot = this.#trap?.spot
    if (spot === undefined || spot.connection !== connection || spot.direction !== direction) return undefined
    if ('record' in spot) return spot.record === records ? Math.floor(spot.part * record.length) : undefined
    const at = spot.offset - bytes
    return at >= 0 && at < record.length ? at : undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    this.server.close()
    await once(this.server, 'close')
  }
}

/** Of the first record, header and all; `undefined` while it is not there in full. */
function recordLength(bytes: Buffer): number | undefined {
  if (bytes.length < headerBytes) return undefined
  const length = headerBytes + bytes.readUInt16BE(3)
  return bytes.length < length ? undefined : length
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done)
      socket.off('close', done)
      resolve()
    }
    socket.on('drain', done)
    socket.on('close', done)
  })
}
