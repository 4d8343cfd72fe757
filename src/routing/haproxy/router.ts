import { lookup } from 'node:dns/promises'
import { createServer, isIP } from 'node:net'
import { resolve } from 'node:path'
import { RoutingError } from '../../errors.js'
import {
  checkConflict,
  checkTarget,
  type FullRouteAddress,
  isSameTarget,
  normaliseAddress,
  routeKey,
} from '../address.js'
import { listenError, unknownRoute } from '../faults.js'
import type {
  DisconnectOptions,
  RouteAddress,
  RouteHoldOptions,
  RouteInfo,
  Router,
  RouterOptions,
  RouteTarget,
  RoutingOptions,
} from '../router.js'
import { Serial } from '../serial.js'
import { checkHold, routerSettings } from '../settings.js'
import { backendName, type ConfigOptions } from './config.js'
import { readFiles, writeFiles } from './files.js'
import { MasterSocket } from './master.js'
import { OwnProcess } from './process.js'
import { addSlots, findSlot, freeSlots, pointTo } from './slots.js'
import { type Slot, slotNumber, type Table, type TableRoute } from './table.js'
import { WorkerPool } from './workers.js'

/** What the HAProxy driver is opened with. */
export interface HaproxyOptions extends RouterOptions {
  /** A directory that is this router's alone, with its configuration, the routes, sockets and HAProxy's log. Made where it is missing. */
  readonly directory: string
  /** HAProxy, 2.6 or newer, with Lua. Default `haproxy`, found by PATH. Not for `masterSocket`. */
  readonly program?: string
  /**
   * The master socket (`-S`) of a HAProxy that runs already, such as the system's service. It must have been started in master-worker mode with
   * `-f DIRECTORY` besides its own configuration; the directory may be empty then.
   */
  readonly masterSocket?: string
}

/**
 * HAProxy as a router, driven through its runtime API. To create or remove a route HAProxy reloads, which neither refuses nor ends connections;
 * to switch, hold and release it takes a command. What is on disk is always the present state: a HAProxy or a router that starts anew goes on
 * with the same routes.
 *
 * A HAProxy that it has started is started again when it dies, and outlives this process if that dies; the next router takes it over. `close`
 * stops it, and ends its connections. One given by `masterSocket` goes on with the routes that it has.
 *
 * `http` routes are chosen for each request; `open` counts the requests under way. A target that is a name is looked up when it is set.
 * @throws RoutingError `ROUTER_FAILED`: HAProxy does not start, or does not answer
 * @throws ArgumentError an option is out of range
 */
export async function openHaproxyRouter(options: HaproxyOptions): Promise<Router> {
  const own = options.masterSocket === undefined
  const config = { ...routerSettings(options), directory: resolve(options.directory), own }
  const table = await readFiles(config.directory)
  await writeFiles(table, config)
  const process = own ? await OwnProcess.open(options.program ?? 'haproxy', config.directory) : undefined
  const router = new HaproxyRouter(config, table, process, new MasterSocket(options.masterSocket ?? ''))
  // What runs already has read the configuration of an earlier router.
  if (process === undefined || process.isAdopted) await router.reload()
  return router
}

class HaproxyRouter implements Router {
  readonly #config: ConfigOptions
  readonly #process: OwnProcess | undefined
  readonly #workers: WorkerPool
  readonly #serial = new Serial()
  #table: Table
  #closed: Promise<void> | undefined

  constructor(config: ConfigOptions, table: Table, process: OwnProcess | undefined, given: MasterSocket) {
    this.#config = config
    this.#table = table
    this.#process = process
    this.#workers = new WorkerPool(process?.master ?? given)
  }

  async reload(): Promise<void> {
    await this.#workers.reload().catch(async (error: unknown) => {
      throw await this.#explain(error)
    })
  }

  async set(address: RouteAddress, target: RouteTarget | undefined, options: RoutingOptions = {}): Promise<void> {
    const full = normaliseAddress(address)
    const checked = target && checkTarget(target)
    await this.#run(`setting ${routeKey(full)}`, options, async () => {
      const slot = checked && { target: checked, ip: await resolveName(checked.host) }
      if (this.#table.has(routeKey(full))) await this.#switch(routeKey(full), slot)
      else await this.#create(full, slot)
    })
  }

  async hold(address: RouteAddress, options: RouteHoldOptions): Promise<void> {
    const key = routeKey(address)
    const milliseconds = checkHold(options.deadlineMilliseconds)
    await this.#run(`holding ${key}`, options, () =>
      this.#change({ ...this.#get(address), heldUntil: Math.ceil(Date.now() + milliseconds) }, () =>
        this.#workers.tell(`hold ${key} ${Math.ceil(milliseconds)}`),
      ),
    )
  }

  async release(address: RouteAddress, options: RoutingOptions = {}): Promise<void> {
    const key = routeKey(address)
    await this.#run(`releasing ${key}`, options, () =>
      this.#change({ ...this.#get(address), heldUntil: undefined }, () => this.#workers.tell(`release ${key}`)),
    )
  }

  async remove(address: RouteAddress, options: RoutingOptions = {}): Promise<void> {
    const key = routeKey(address)
    await this.#run(`removing ${key}`, options, async () => {
      if (!this.#table.has(key)) return
      const next = new Map(this.#table)
      next.delete(key)
      await this.#replace(next, () => this.#workers.reload())
      // Nothing of it is in the new worker; the old ones may be about to let somebody through.
      await this.#workers.drop(key)
      await this.#workers.shutDown(backendName(key))
    })
  }

  list(options: RoutingOptions = {}): Promise<RouteInfo[]> {
    return this.#run('listing the routes', options, async () => {
      const { open, waiting } = await this.#workers.count()
      const now = Date.now()
      return [...this.#table]
        .sort(([one], [other]) => (one < other ? -1 : 1))
        .map(([key, route]) => ({
          ...describe(key, route, now),
          open: route.slots.reduce((sum, _, i) => sum + (open.get(serverName(key, i)) ?? 0), 0),
          waiting: waiting.get(key) ?? 0,
        }))
    })
  }

  async disconnect(address: RouteAddress, options: DisconnectOptions = {}): Promise<number> {
    const key = routeKey(address)
    const target = options.target && checkTarget(options.target)
    return await this.#run(`disconnecting clients of ${key}`, options, async () => {
      const route = this.#table.get(key)
      if (route === undefined) return 0
      const wanted = route.slots.flatMap((slot, i) =>
        slot !== undefined && (target ? isSameTarget(slot.target, target) : i !== route.current) ? [`s${i + 1}`] : [],
      )
      return wanted.length === 0 ? 0 : await this.#workers.shutDown(backendName(key), new Set(wanted))
    })
  }

  close(): Promise<void> {
    this.#closed ??= this.#serial.run('closing the router', undefined, async () => await this.#process?.stop())
    return this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run<T>(what: string, { signal }: RoutingOptions, work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new RoutingError('ROUTER_CLOSED', `${what}: the router was closed`)
    return await this.#serial.run(what, signal, async () => {
      await this.#process?.ready()
      return await work()
    })
  }

  #get(address: RouteAddress): TableRoute {
    const route = this.#table.get(routeKey(address))
    if (route === undefined) throw unknownRoute(address)
    return route
  }

  async #create(address: FullRouteAddress, target: Slot | undefined): Promise<void> {
    const others = [...this.#table.values()].map((route) => route.address)
    checkConflict(address, others)
    const isFront = address.kind === 'tcp' || !others.some(({ port }) => port === address.port)
    if (isFront) await this.#checkPort(address)
    const bare = addSlots({ address, slots: [], current: undefined, heldUntil: undefined })
    const route = target === undefined ? bare : pointTo(bare, 0, target)
    await this.#replace(new Map(this.#table).set(routeKey(address), route), () => this.#workers.reload())
  }

  async #switch(key: string, target: Slot | undefined): Promise<void> {
    const route = this.#table.get(key) as TableRoute
    if (target === undefined) {
      return await this.#change({ ...route, current: undefined, heldUntil: undefined }, () =>
        this.#workers.tell(`set ${key} -`),
      )
    }
    const { room, index, isNew } = await this.#findRoom(key, route, target)
    await this.#change(pointTo(room, index, target), async () => {
      if (isNew) await this.#workers.reload()
      await this.#workers.tell(`set ${key} ${slotNumber(index)} ${target.ip} ${target.target.port}`)
    })
  }

  /** A slot for the target; HAProxy must reload for it where connections to former targets are in all that there are. */
  async #findRoom(
    key: string,
    route: TableRoute,
    target: Slot,
  ): Promise<{ room: TableRoute; index: number; isNew: boolean }> {
    const index = findSlot(route, target)
    if (index !== undefined) return { room: route, index, isNew: false }
    const { open } = await this.#workers.count()
    const freed = freeSlots(route, (i) => (open.get(serverName(key, i)) ?? 0) > 0)
    const found = findSlot(freed, target)
    if (found !== undefined) return { room: freed, index: found, isNew: false }
    return { room: addSlots(freed), index: freed.slots.length, isNew: true }
  }

  async #change(route: TableRoute, apply: () => Promise<void>): Promise<void> {
    await this.#replace(new Map(this.#table).set(routeKey(route.address), route), apply)
  }

  /** Writes the next table, has HAProxy apply it, and goes back to the present one where that fails. */
  async #replace(next: Table, apply: () => Promise<void>): Promise<void> {
    try {
      await writeFiles(next, this.#config)
      await apply()
    } catch (error) {
      const explained = await this.#explain(error)
      await writeFiles(this.#table, this.#config)
      await this.#workers.reload().catch((cause: unknown) => {
        throw new AggregateError([explained, cause], 'HAProxy did not go back to its former configuration either')
      })
      throw explained
    }
    this.#table = next
  }

  async #explain(error: unknown): Promise<unknown> {
    if (!(error instanceof RoutingError) || this.#process === undefined) return error
    const log = await this.#process.logTail()
    return new RoutingError(error.code, `${error.message}\n${log}`, { cause: error })
  }

  /** Ports are taken when HAProxy reloads, which does not say why it failed: so a port is tried before. */
  async #checkPort(address: FullRouteAddress): Promise<void> {
    const host = (address.kind === 'tcp' && address.address) || this.#config.address
    const server = createServer()
    await new Promise<void>((done, fail) => {
      server.once('error', (cause: NodeJS.ErrnoException) => {
        // The system's HAProxy may have rights that this process has not.
        if (cause.code === 'EACCES' && this.#process === undefined) done()
        else fail(listenError(host, address.port, cause))
      })
      server.listen({ host, port: address.port, exclusive: true }, () => server.close(() => done()))
    })
  }
}

function describe(
  key: string,
  { address, slots, current, heldUntil }: TableRoute,
  now: number,
): Omit<RouteInfo, 'open' | 'waiting'> {
  const target = current === undefined ? undefined : slots[current]?.target
  const state = heldUntil === undefined ? (target === undefined ? 'none' : 'open') : heldUntil > now ? 'held' : 'none'
  return { key, address, target, state }
}

const serverName = (key: string, index: number): string => `${backendName(key)}/s${index + 1}`

async function resolveName(host: string): Promise<string> {
  if (isIP(host) > 0) return host
  try {
    return (await lookup(host)).address
  } catch (cause) {
    throw new RoutingError('ROUTER_FAILED', `${host} has no address`, {
      cause,
      next: 'Give an IP address, or a name that resolves here.',
    })
  }
}
