/** Runs a command in a container. */
import { PassThrough, type Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { ask, type Engine, type EngineCall } from './engine.js'

/** How a command in a container ended. */
export interface ExecResult {
  status: number
  /** The end of what it wrote, as UTF-8, at most 16 KiB. */
  output: string
}

const mostOutput = 16 * 1024

/**
 * Runs a command in a running container, to its end. One that takes too long goes on in the container: the engine can't end it.
 * @throws ContainerError `ENGINE_FAILED`: also where the container does not run; TimeoutError, AbortError
 */
export async function exec(
  { docker }: Engine,
  container: string,
  command: readonly string[],
  call: EngineCall = {},
): Promise<ExecResult> {
  return ask(`run ${command[0]} in the container ${container}`, call, async (abortSignal) => {
    const created = await docker
      .getContainer(container)
      .exec({ Cmd: [...command], AttachStdout: true, AttachStderr: true, abortSignal })
    const stream = await created.start({ abortSignal })
    const tail = new Tail()
    const stop = (): void => void stream.destroy(abortSignal.reason)
    abortSignal.addEventListener('abort', stop, { once: true })
    try {
      docker.modem.demuxStream(stream, tail.stream, tail.stream)
      await finished(stream, { writable: false })
    } finally {
      abortSignal.removeEventListener('abort', stop)
    }
    const { ExitCode } = await created.inspect({ abortSignal })
    return { status: ExitCode ?? -1, output: tail.text() }
  })
}

/** Keeps the end of what it is given. */
class Tail {
  readonly stream: Writable = new PassThrough().on('data', (chunk: Buffer) => this.#keep(chunk))
  #kept: Buffer = Buffer.alloc(0)

  text(): string {
    return this.#kept.toString('utf8')
  }

  #keep(chunk: Buffer): void {
    this.#kept = Buffer.concat([this.#kept, chunk]).subarray(-mostOutput)
  }
}
