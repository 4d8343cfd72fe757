import { spawn } from 'node:child_process'
import { once } from 'node:events'

/**
 * Runs a program of the user's, without a shell and without arguments; what it prints goes to standard error.
 * @param about what it is told in its environment
 * @returns its exit status
 * @throws if it can't be run, or was ended by a signal
 */
export async function runProgram(file: string, about: Record<string, string>, signal?: AbortSignal): Promise<number> {
  const child = spawn(file, [], {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, ...about },
    ...(signal && { signal }),
  })
  const [status, ended] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  if (status === null) throw new Error(`${file} was ended by ${ended}`)
  return status
}

/** As {@link runProgram}, where only 0 will do. */
export async function mustRun(file: string, about: Record<string, string>, signal?: AbortSignal): Promise<void> {
  const status = await runProgram(file, about, signal)
  if (status !== 0) throw new Error(`${file} ended with status ${status}`)
}
