import type { Duplex } from 'node:stream'
import { type FlockerError, TimeoutError } from '../../src/errors.js'
import { LabError } from './errors.js'
import { encodeFrame, type Frame, FrameReader, FrameType, LINE_WINDOW, PROTOCOL_VERSION } from './frames.js'
import { Outcome } from './outcome.js'

/** What takes the frames that concern one command. */
export interface FrameReceiver {
  onFrame(frame: Frame): void
  /** The host has gone. */
  onLost(error: FlockerError): void
}

/** The harness's end of one guest's serial line, from power-on to power-off. */
export class Connection {
  readonly #line: Duplex
  readonly #receivers = new Map<number, FrameReceiver>()
  readonly #greeting = new Outcome<void>()
  readonly #setUp = new Outcome<void>()
  readonly #unsent: Buffer[] = []
  #underWay = 0
  #nextId = 1
  #lost: FlockerError | undefined

  /** @param onBroken called when the line fails or carries nonsense; the host must be ended then */
  constructor(line: Duplex, onBroken: (cause: unknown) => void) {
    this.#line = line
    const reader = new FrameReader()
    line.on('data', (bytes: Buffer) => {
      try {
        for (const frame of reader.push(bytes)) this.#dispatch(frame)
      } catch (error) {
        onBroken(error)
      }
    })
    line.on('error', onBroken)
  }

  /** Resolves when the agent has come up and the host is as `configuration` says. */
  async setUp(configuration: Buffer): Promise<void> {
    await this.#greeting.promise
    this.send(FrameType.SETUP, 0, configuration)
    await this.#setUp.promise
  }

  /** Registers a receiver under a number of its own; throws when the host has gone. */
  register(receiver: FrameReceiver): number {
    if (this.#lost !== undefined) throw this.#lost
    const id = this.#nextId++
    this.#receivers.set(id, receiver)
    return id
  }

  forget(id: number): void {
    this.#receivers.delete(id)
  }

  send(type: number, id: number, payload?: Uint8Array): void {
    if (this.#lost !== undefined) return
    this.#unsent.push(encodeFrame(type, id, payload))
    this.#flush()
  }

  #flush(): void {
    while (this.#underWay < LINE_WINDOW) {
      const frame = this.#unsent.shift()
      if (frame === undefined) return
      const room = LINE_WINDOW - this.#underWay
      if (frame.length > room) this.#unsent.unshift(frame.subarray(room))
      const part = frame.subarray(0, room)
      this.#underWay += part.length
      this.#line.write(part)
    }
  }

  /** The host has gone: all that waits for it learns why. */
  lose(error: FlockerError): void {
    if (this.#lost !== undefined) return
    this.#lost = error
    this.#greeting.reject(error)
    this.#setUp.reject(error)
    this.#line.destroy()
    for (const receiver of this.#receivers.values()) receiver.onLost(error)
    this.#receivers.clear()
  }

  #dispatch(frame: Frame): void {
    if (frame.id !== 0) {
      this.#receivers.get(frame.id)?.onFrame(frame)
    } else if (frame.type === FrameType.HELLO) {
      const version = frame.payload.readUInt32LE(0)
      if (version === PROTOCOL_VERSION) this.#greeting.resolve()
      else
        this.lose(new LabError('BOOT_FAILED', `the agent speaks protocol version ${version}, not ${PROTOCOL_VERSION}`))
    } else if (frame.type === FrameType.LINE_ACK) {
      this.#underWay -= frame.payload.readUInt32LE(0)
      this.#flush()
    } else if (frame.type === FrameType.READY) {
      this.#setUp.resolve()
    } else if (frame.type === FrameType.FAILED) {
      this.lose(new LabError('BOOT_FAILED', `the guest could not be set up: ${frame.payload.toString()}`))
    }
  }
}

/** Rejects with a `TimeoutError` that says what took too long. The promise itself goes on. */
export async function withDeadline<T>(promise: Promise<T>, milliseconds: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new TimeoutError(`${what} took longer than ${milliseconds} ms`)), milliseconds)
  })
  try {
    return await Promise.race([promise, deadline])
  } finally {
    clearTimeout(timer)
  }
}
