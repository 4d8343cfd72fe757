/** Runs the builder's commands: each in a process group of its own, its output in the log, its lines counted. */
import { spawn } from 'node:child_process'
import type { WriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { StringDecoder } from 'node:string_decoder'
import { abortReason, TimeoutError, throwIfAborted } from '../../../src/errors.js'
import { LabError } from '../errors.js'

/** The build log, and the file it is in. */
export interface Log {
  path: string
  stream: WriteStream
}

export interface CommandOptions {
  /** What the command does, for the messages of errors, such as `compiling the kernel`. */
  what: string
  log: Log
  signal?: AbortSignal | undefined
  /** Milliseconds until the command is killed. */
  deadline: number
  cwd?: string
  env?: Record<string, string>
  /** Called with every whole line of standard output and standard error. */
  onLine?: (line: string) => void
}

const LAST_LINES = 20

/**
 * Runs a program to its end and returns its standard output.
 * @throws LabError `BUILD_FAILED` with the log's path and last lines; TimeoutError; AbortError. All its processes are gone then.
 */
export async function run(program: string, args: readonly string[], options: CommandOptions): Promise<string> {
  const { log, signal, deadline, what } = options
  throwIfAborted(signal, what)
  log.stream.write(`$ ${program} ${args.join(' ')}\n`)
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, LC_ALL: 'C', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let stdout = ''
  const lines = lineSplitter(options.onLine)
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString('latin1')
    log.stream.write(chunk)
    lines(chunk)
  })
  child.stderr.on('data', (chunk: Buffer) => {
    log.stream.write(chunk)
    lines(chunk)
  })

  let stopped: Error | undefined
  const stop = (reason: Error) => {
    stopped ??= reason
    killGroup(child.pid)
  }
  const onAbort = () => stop(abortReason(signal as AbortSignal, what))
  const timer = setTimeout(
    () => stop(new TimeoutError(`${what} took more than ${deadline / 1000} s`, { next: `The log: ${log.path}` })),
    deadline,
  )
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    const end = await new Promise<string | undefined>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (status, name) => resolve(status === 0 ? undefined : (name ?? `exit status ${status}`)))
    })
    if (stopped !== undefined) throw stopped
    if (end !== undefined) throw await failure(`${what} failed: ${program}: ${end}`, log)
    return Buffer.from(stdout, 'latin1').toString('utf8')
  } catch (cause) {
    throw cause instanceof Error && 'syscall' in cause
      ? await failure(`${what} failed: ${program} can't be started`, log, cause)
      : cause
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}

/** The error for a failed step: what failed, where the log is, and how it ends. */
export async function failure(what: string, log: Log, cause?: Error): Promise<LabError> {
  await new Promise<void>((resolve) => log.stream.write('', () => resolve()))
  const tail = (await readFile(log.path, 'utf8')).trimEnd().split('\n').slice(-LAST_LINES).join('\n')
  return new LabError('BUILD_FAILED', `${what}\n${tail}`, { cause, next: `The whole log: ${log.path}` })
}

/** Ends a process group by its leader; one that is gone is no fault. */
export function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function lineSplitter(onLine: ((line: string) => void) | undefined): (chunk: Buffer) => void {
  if (onLine === undefined) return () => undefined
  const decoder = new StringDecoder('utf8')
  let rest = ''
  return (chunk) => {
    const lines = (rest + decoder.write(chunk)).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line)
  }
}
