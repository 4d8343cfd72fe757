import { type ErrorDetails, FlockerError } from '../../src/errors.js'
import type { RunResult } from './host.js'

/**
 * Something of the lab itself failed: `PROFILE_MISSING` (its kernel was not built), `TOOL_BUILD_FAILED`, `BOOT_FAILED`,
 * `HOST_DIED` (a guest ended without being told to), `HOST_OFF` (its power is cut), `COMMAND_NOT_STARTED`, `COMMAND_FAILED`,
 * `SWITCH_FAILED`, `LOCAL_UNAVAILABLE`, `ENGINE_FAILED` (a container engine did not start).
 */
export class LabError extends FlockerError {}

/** A command ended with a status other than zero, or by a signal. Code `COMMAND_FAILED`. */
export class LabCommandError extends LabError {
  readonly result: RunResult

  constructor(host: string, argv: readonly string[], result: RunResult, details?: ErrorDetails) {
    const end = result.signal === null ? `exit status ${result.status}` : `signal ${result.signal}`
    super('COMMAND_FAILED', `${host}: ${argv.join(' ')}: ${end}${describeOutput(result)}`, details)
    this.result = result
  }
}

const SHOWN_CHARACTERS = 4000

/** The ends of both outputs, for the message of an error. */
export function describeOutput(result: Pick<RunResult, 'stdout' | 'stderr'>): string {
  return [result.stderr, result.stdout]
    .map((text) => text.trim().slice(-SHOWN_CHARACTERS))
    .filter((text) => text !== '')
    .map((text) => `\n${text}`)
    .join('')
}
