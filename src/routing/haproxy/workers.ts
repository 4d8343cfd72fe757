/** What is asked of all of HAProxy's workers: the one that takes new connections, and the old ones that keep theirs. */
import { RoutingError } from '../../errors.js'
import { parseCounts, parseSessions, parseWaiting, type Session } from './answers.js'
import type { MasterSocket, Workers } from './master.js'
import { until } from './until.js'

const RELOAD_MILLISECONDS = 15_000

export class WorkerPool {
  constructor(readonly master: MasterSocket) {}

  /**
   * Gives the Lua script of every worker a command about a route.
   * @throws RoutingError `ROUTER_FAILED`: the present worker did not take it
   */
  async tell(command: string): Promise<void> {
    await this.#each(async (worker, isCurrent) => {
      const answer = await this.master.command(`flocker ${command}`, worker)
      if (isCurrent && answer !== 'ok') throw refused(`flocker ${command}`, answer)
    })
  }

  /** Has old workers refuse those who wait for a route that is no longer there. */
  async drop(key: string): Promise<void> {
    await this.#each(async (worker) => void (await this.master.command(`flocker drop ${key}`, worker)))
  }

  /** Sessions of each server, by `backend/server`; and those that wait for each route, by its key. */
  async count(): Promise<{ open: Map<string, number>; waiting: Map<string, number> }> {
    const open = new Map<string, number>()
    const waiting = new Map<string, number>()
    await this.#each(async (worker) => {
      add(open, parseCounts(await this.master.command('show stat -1 4 -1', worker)))
      add(waiting, parseWaiting(await this.master.command('flocker show', worker)))
    })
    return { open, waiting }
  }

  /** Ends the sessions of one backend that are with one of the servers, or all of them, and returns how many there were. */
  async shutDown(backend: string, servers?: ReadonlySet<string>): Promise<number> {
    let count = 0
    await this.#each(async (worker, isCurrent) => {
      const sessions = parseSessions(await this.master.command('show sess', worker))
      const wanted = sessions.filter((each) => each.backend === backend && (servers?.has(each.server) ?? true))
      count += wanted.length
      if (isCurrent) await this.#shutDownServers(backend, wanted, worker)
      else await this.#shutDownEach(wanted, worker)
    })
    return count
  }

  /**
   * Has HAProxy read its configuration again, and waits until a new worker does the work.
   * @throws RoutingError `ROUTER_FAILED`: it did not like the configuration, or a port could not be had
   */
  async reload(): Promise<void> {
    const before = await this.master.workers()
    await this.master.command('reload')
    let failed = false
    const done = await until(async () => {
      const now = await this.#glance()
      failed = now !== undefined && now.failed > before.failed
      return (
        failed || (now?.current !== undefined && now.current !== before.current && (await this.#answers(now.current)))
      )
    }, RELOAD_MILLISECONDS)
    if (failed || !done)
      throw new RoutingError('ROUTER_FAILED', `HAProxy ${failed ? 'refused' : 'did not take'} its new configuration`)
  }

  /** An old worker's servers can't be named any more, and no new connections come to it whose name could be one of these. */
  async #shutDownEach(sessions: readonly Session[], worker: number): Promise<void> {
    for (const { id } of sessions) await this.master.command(`shutdown session ${id}`, worker)
  }

  async #shutDownServers(backend: string, sessions: readonly Session[], worker: number): Promise<void> {
    for (const server of new Set(sessions.map((each) => each.server))) {
      const command = `shutdown sessions server ${backend}/${server}`
      const answer = await this.master.command(command, worker)
      if (answer !== '') throw refused(command, answer)
    }
  }

  async #each(ask: (worker: number, isCurrent: boolean) => Promise<void>): Promise<void> {
    const { current, old } = await this.master.workers()
    if (current === undefined) throw new RoutingError('ROUTER_FAILED', 'HAProxy has no worker')
    await ask(current, true)
    for (const worker of old) {
      await ask(worker, false).catch(async (error: unknown) => {
        // An old worker ends with its last connection, which may be just now.
        const { old: left } = await this.master.workers()
        if (left.includes(worker)) throw error
      })
    }
  }

  /** While it starts anew the master does not answer. */
  #glance(): Promise<Workers | undefined> {
    return this.master.workers().catch(() => undefined)
  }

  async #answers(worker: number): Promise<boolean> {
    return (await this.master.command('flocker show', worker).catch(() => '')).startsWith('flocker')
  }
}

function add(sums: Map<string, number>, counts: ReadonlyMap<string, number>): void {
  for (const [key, count] of counts) sums.set(key, (sums.get(key) ?? 0) + count)
}

function refused(command: string, answer: string): RoutingError {
  return new RoutingError('ROUTER_FAILED', `HAProxy did not carry out "${command}": ${answer.slice(0, 300)}`, {
    next: 'Does it run with the configuration that the router writes?',
  })
}
