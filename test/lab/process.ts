import { constants } from 'node:os'
import { createInterface } from 'node:readline'
import { Readable, Writable } from 'node:stream'
import { abortReason, type FlockerError, TimeoutError, throwIfAborted } from '../../src/errors.js'
import { type Connection, type FrameReceiver, withDeadline } from './connection.js'
import { LabError } from './errors.js'
import { encodeSize, encodeSpawn, type Frame, FrameType, type SpawnRequest, u32, WINDOW } from './frames.js'
import type { ExitStatus, LabProcess, SpawnOptions } from './host.js'
import { Outcome } from './outcome.js'

const INPUT_CHUNK_BYTES = 32 * 1024
/** How long a killed command may take to be gone before its host counts as hung. */
const KILL_PATIENCE_MILLISECONDS = 10_000

function signalName(number: number): NodeJS.Signals | null {
  const entry = Object.entries(constants.signals).find(([, value]) => value === number)
  return entry === undefined ? null : (entry[0] as NodeJS.Signals)
}

/** One output of a command: bytes are acknowledged when they were taken out of the stream, so the guest's pipe fills before we do. */
class Output extends Readable {
  #unacknowledged = 0
  readonly #acknowledge: (bytes: number) => void

  constructor(acknowledge: (bytes: number) => void) {
    super({ highWaterMark: WINDOW / 2 })
    this.#acknowledge = acknowledge
  }

  receive(bytes: Buffer): void {
    this.#unacknowledged += bytes.length
    if (this.destroyed || this.push(bytes)) this.#settleUp()
  }

  override _read(): void {
    this.#settleUp()
  }

  #settleUp(): void {
    if (this.#unacknowledged > 0) this.#acknowledge(this.#unacknowledged)
    this.#unacknowledged = 0
  }
}

/** A command in a guest. See {@link LabProcess} for what its members promise. */
export class GuestProcess implements LabProcess, FrameReceiver {
  readonly stdin: Writable
  readonly stdout: Output
  readonly stderr: Output
  readonly #what: string
  readonly #connection: Connection
  readonly #id: number
  readonly #exit = new Outcome<ExitStatus>()
  readonly #started = new Outcome<number>()
  readonly #cleanUp: (() => void)[] = []
  #credit = WINDOW
  #inputDropped = false
  #unsent: { bytes: Buffer; done: () => void } | undefined
  #killedBecause: FlockerError | undefined
  #openOutputs = 2
  #lines: AsyncIterator<string> | undefined
  #nextLine: Promise<IteratorResult<string>> | undefined

  constructor(connection: Connection, host: string, request: SpawnRequest, options: SpawnOptions) {
    this.#what = `${host}: ${request.argv.join(' ')}`
    throwIfAborted(options.signal, this.#what)
    this.#connection = connection
    this.#id = connection.register(this)
    this.stdout = new Output((bytes) => connection.send(FrameType.ACK_STDOUT, this.#id, u32(bytes)))
    this.stderr = new Output((bytes) => connection.send(FrameType.ACK_STDERR, this.#id, u32(bytes)))
    this.stdin = new Writable({
      write: (bytes: Buffer, _encoding, done) => {
        if (this.#inputDropped) return done()
        this.#unsent = { bytes, done }
        this.#sendInput()
      },
      final: (done) => {
        connection.send(FrameType.STDIN_END, this.#id)
        done()
      },
    })
    if (request.terminal !== undefined) this.#endOutput(this.stderr)
    connection.send(FrameType.SPAWN, this.#id, encodeSpawn(request))
    this.#watch(options)
  }

  get exit(): Promise<ExitStatus> {
    return this.#exit.promise
  }

  get started(): Promise<number> {
    return this.#started.promise
  }

  async nextLine(timeoutMilliseconds = 30_000): Promise<string | null> {
    this.#lines ??= createInterface({ input: this.stdout })[Symbol.asyncIterator]()
    // A line that came too late for one call is the next call's.
    this.#nextLine ??= this.#lines.next()
    const next = await withDeadline(this.#nextLine, timeoutMilliseconds, `the next line of ${this.#what}`)
    this.#nextLine = undefined
    return next.done === true ? null : next.value
  }

  kill(signal: NodeJS.Signals = 'SIGTERM'): void {
    this.#connection.send(FrameType.KILL, this.#id, u32(constants.signals[signal]))
  }

  resize(rows: number, columns: number): void {
    this.#connection.send(FrameType.RESIZE, this.#id, encodeSize(rows, columns))
  }

  onFrame({ type, payload }: Frame): void {
    if (type === FrameType.STDOUT) this.stdout.receive(payload)
    else if (type === FrameType.STDERR) this.stderr.receive(payload)
    else if (type === FrameType.STDOUT_END) this.#endOutput(this.stdout)
    else if (type === FrameType.STDERR_END) this.#endOutput(this.stderr)
    else if (type === FrameType.STARTED) this.#started.resolve(payload.readUInt32LE(0))
    else if (type === FrameType.REFUSED) this.#refused(payload)
    else if (type === FrameType.EXIT) this.#exited(payload.readUInt32LE(0), payload.readUInt32LE(4))
    else if (type === FrameType.CREDIT) this.#addCredit(payload.readUInt32LE(0))
  }

  onLost(error: FlockerError): void {
    this.#finish()
    this.#started.reject(error)
    this.#exit.reject(error)
    this.#dropInput()
    this.stdout.push(null)
    this.stderr.push(null)
  }

  #watch({ signal, timeoutMilliseconds }: SpawnOptions): void {
    if (timeoutMilliseconds !== undefined) {
      const passed = () =>
        this.#killBecause(new TimeoutError(`${this.#what} took longer than ${timeoutMilliseconds} ms`))
      const timer = setTimeout(passed, timeoutMilliseconds)
      this.#cleanUp.push(() => clearTimeout(timer))
    }
    if (signal !== undefined) {
      const aborted = () => this.#killBecause(abortReason(signal, this.#what))
      signal.addEventListener('abort', aborted, { once: true })
      this.#cleanUp.push(() => signal.removeEventListener('abort', aborted))
    }
  }

  #killBecause(error: FlockerError): void {
    if (this.#killedBecause !== undefined) return
    this.#killedBecause = error
    this.kill('SIGKILL')
    const timer = setTimeout(() => {
      this.#exit.reject(new LabError('HOST_DIED', `${this.#what} does not die: its host hangs`, { cause: error }))
      this.#finish()
    }, KILL_PATIENCE_MILLISECONDS)
    this.#cleanUp.push(() => clearTimeout(timer))
  }

  #exited(status: number, signal: number): void {
    this.#finish()
    if (this.#killedBecause !== undefined) this.#exit.reject(this.#killedBecause)
    else this.#exit.resolve(signal === 0 ? { status, signal: null } : { status: null, signal: signalName(signal) })
    this.#forgetIfDone()
  }

  #refused(payload: Buffer): void {
    const error = new LabError('COMMAND_NOT_STARTED', `${this.#what}: ${payload.toString('utf8', 4)}`, {
      errno: payload.readUInt32LE(0),
    })
    this.#connection.forget(this.#id)
    this.onLost(error)
  }

  #endOutput(output: Output): void {
    output.push(null)
    this.#openOutputs--
    this.#forgetIfDone()
  }

  #forgetIfDone(): void {
    if (!this.#exit.settled || this.#openOutputs > 0) return
    this.#connection.forget(this.#id)
    this.#dropInput()
  }

  /** Nobody is there to read what is written from now on; `exit` tells the writer. */
  #dropInput(): void {
    this.#inputDropped = true
    this.#unsent?.done()
    this.#unsent = undefined
  }

  #finish(): void {
    for (const step of this.#cleanUp.splice(0)) step()
  }

  #addCredit(bytes: number): void {
    this.#credit += bytes
    this.#sendInput()
  }

  #sendInput(): void {
    while (this.#unsent !== undefined && this.#credit > 0) {
      const { bytes, done } = this.#unsent
      const chunk = bytes.subarray(0, Math.min(this.#credit, INPUT_CHUNK_BYTES))
      this.#connection.send(FrameType.STDIN, this.#id, chunk)
      this.#credit -= chunk.length
      this.#unsent = chunk.length < bytes.length ? { bytes: bytes.subarray(chunk.length), done } : undefined
      if (this.#unsent === undefined) done()
    }
  }
}
