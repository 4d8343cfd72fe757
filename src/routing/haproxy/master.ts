/** HAProxy's runtime API, by the socket of its master process (HAProxy Management Guide, sections 9.3 and 9.4). */
import { connect } from 'node:net'
import { RoutingError } from '../../errors.js'

/** How long a command may take. */
const COMMAND_MILLISECONDS = 5000
/** A list of sessions has some 400 bytes for each. */
const MOST_ANSWER_BYTES = 256 * 1024 * 1024

export interface Workers {
  readonly master: number
  /** The worker that takes new connections. */
  readonly current: number | undefined
  /** Those that keep connections from before a reload. */
  readonly old: readonly number[]
  /** How many reloads in a row have failed. */
  readonly failed: number
}

export class MasterSocket {
  constructor(readonly path: string) {}

  /**
   * Sends a command to the master, or to one of its workers.
   * @throws RoutingError `ROUTER_FAILED`: no connection, or no answer in time
   */
  async command(command: string, worker?: number): Promise<string> {
    const line = worker === undefined ? command : `@!${worker} ${command}`
    try {
      return await exchange(this.path, line)
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause)
      throw new RoutingError('ROUTER_FAILED', `HAProxy did not carry out "${line}": ${message}`, {
        cause,
        next: `Is HAProxy running with its master socket at ${this.path}?`,
      })
    }
  }

  async workers(): Promise<Workers> {
    return parseWorkers(await this.command('show proc'))
  }
}

function exchange(path: string, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true })
    const parts: Buffer[] = []
    let bytes = 0
    const give = (error: Error) => socket.destroy(error)
    const timer = setTimeout(() => give(new Error(`no answer after ${COMMAND_MILLISECONDS} ms`)), COMMAND_MILLISECONDS)
    socket.on('data', (part: Buffer) => {
      parts.push(part)
      bytes += part.length
      if (bytes > MOST_ANSWER_BYTES) give(new Error(`an answer of more than ${MOST_ANSWER_BYTES} bytes`))
    })
    socket.once('error', reject)
    socket.once('close', () => {
      clearTimeout(timer)
      resolve(Buffer.concat(parts).toString('latin1').trim())
    })
    socket.end(`${line}\n`)
  })
}

/**
 * Reads `show proc`.
 * @throws RoutingError `ROUTER_FAILED`: it says nothing of a master
 */
export function parseWorkers(text: string): Workers {
  let master: number | undefined
  let failed = 0
  let section = ''
  const found = { current: [] as number[], old: [] as number[] }
  for (const line of text.split('\n')) {
    section = /^# (.*\S)/.exec(line)?.[1] ?? section
    const [, pid, kind, count] = /^(\d+)\s+(master|worker)\s+\d+(?:\s+\[failed: (\d+)\])?/.exec(line) ?? []
    if (kind === 'master') {
      master = Number(pid)
      failed = Number(count ?? 0)
    } else if (kind === 'worker') found[section === 'old workers' ? 'old' : 'current'].push(Number(pid))
  }
  if (master === undefined) {
    throw new RoutingError(
      'ROUTER_FAILED',
      `HAProxy's "show proc" was not understood: ${JSON.stringify(text.slice(0, 200))}`,
    )
  }
  return { master, current: found.current[0], old: found.old, failed }
}
