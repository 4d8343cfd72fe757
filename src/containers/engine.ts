/** The container engine of this host: Docker, or Podman by its compatible API (Docker Engine API 1.41). */
import type Docker from 'dockerode'
import { AbortError, ContainerError, type ErrorDetails, TimeoutError, throwIfAborted } from '../errors.js'

/** Where Docker's engine is asked. Podman's is `/run/podman/podman.sock`. */
export const defaultSocket = '/var/run/docker.sock'

/** How long the engine may take for what it does at once, in milliseconds. */
const requestMilliseconds = 60_000

/** A request to the engine. */
export interface EngineCall {
  signal?: AbortSignal | undefined
  /** In milliseconds; default one minute. */
  timeoutMilliseconds?: number | undefined
}

/** An engine that answers. */
export interface Engine {
  readonly docker: Docker
  readonly socketPath: string
  readonly kind: 'docker' | 'podman'
  /** Its version, such as `20.10.24`. */
  readonly version: string
}

/**
 * Finds the engine. Nothing is kept open: each request has a connection of its own.
 * @param socketPath the engine's socket
 * @throws ContainerError `ENGINE_UNAVAILABLE`, `ENGINE_PERMISSION`, `ENGINE_FAILED`
 */
export async function openEngine(socketPath = defaultSocket, call: EngineCall = {}): Promise<Engine> {
  // It takes as long to load as all the rest: only who has containers waits for it.
  const { default: DockerClient } = await import('dockerode')
  const docker = new DockerClient({ socketPath })
  const { Version, Components } = await ask(`ask the engine at ${socketPath}`, call, () => docker.version())
  const podman = (Components ?? []).some(({ Name }) => Name.startsWith('Podman'))
  return { docker, socketPath, kind: podman ? 'podman' : 'docker', version: Version }
}

interface EngineFailure {
  statusCode?: unknown
  code?: unknown
  json?: { message?: unknown } | null
  reason?: unknown
}

/**
 * Asks the engine something.
 * @param what in messages: `start the container db`
 * @param run what asks; its signal has the deadline, until it has its answer: a stream that it returns goes on
 * @throws ContainerError `ENGINE_UNAVAILABLE`, `ENGINE_PERMISSION`; `ENGINE_FAILED` with what the engine says, and its status as `errno`
 */
export async function ask<T>(
  what: string,
  { signal, timeoutMilliseconds = requestMilliseconds }: EngineCall,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  throwIfAborted(signal, `To ${what}`)
  const stop = new AbortController()
  let late = false
  const deadline = setTimeout(() => {
    late = true
    stop.abort()
  }, timeoutMilliseconds)
  const cancel = (): void => stop.abort(signal?.reason)
  signal?.addEventListener('abort', cancel, { once: true })
  try {
    const stopped = new Promise<never>((_, reject) => {
      stop.signal.addEventListener('abort', () => reject(stop.signal.reason), { once: true })
    })
    return await Promise.race([run(stop.signal), stopped])
  } catch (error) {
    throwIfAborted(signal, `To ${what}`)
    if (late) {
      throw new TimeoutError(`The engine did not ${what} within ${timeoutMilliseconds} ms`, { cause: error })
    }
    throw engineError(what, error)
  } finally {
    clearTimeout(deadline)
    signal?.removeEventListener('abort', cancel)
  }
}

function engineError(what: string, error: unknown): Error {
  if (error instanceof AbortError || error instanceof ContainerError) return error
  const { statusCode, code, json, reason } = error as EngineFailure
  if (typeof statusCode === 'number') {
    const said = typeof json?.message === 'string' ? json.message : String(reason ?? (error as Error).message)
    return failed(`The engine could not ${what}: ${said.trim().slice(0, 2000)}`, { cause: error, errno: statusCode })
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new ContainerError('ENGINE_PERMISSION', `The container engine's socket can't be opened: ${code}`, {
      cause: error,
      next: 'Run as root, or as a member of the group that the socket belongs to (docker).',
    })
  }
  if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ECONNRESET' || code === 'EPIPE') {
    return new ContainerError('ENGINE_UNAVAILABLE', `No container engine answers to ${what}: ${code}`, {
      cause: error,
      next: 'Start it (systemctl start docker, or podman.socket), and give openHost() its socket: { engine }.',
    })
  }
  return failed(`The engine could not ${what}: ${(error as Error).message}`, { cause: error })
}

function failed(message: string, details: ErrorDetails): ContainerError {
  return new ContainerError('ENGINE_FAILED', message, details)
}

/** The HTTP status with which the engine refused, if it did. */
export function refusedWith(error: unknown): number | undefined {
  return error instanceof ContainerError && error.code === 'ENGINE_FAILED' ? error.errno : undefined
}
