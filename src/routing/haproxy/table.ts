/** The routes as HAProxy's Lua script and the next router read them: text, one line for each route and each of its slots. Pure. */
import { isIP } from 'node:net'
import { RoutingError } from '../../errors.js'
import { checkTarget, type FullRouteAddress, parseRouteKey, routeKey } from '../address.js'
import type { RouteTarget } from '../router.js'

export const TABLE_FILE = 'routes.table'

/** A target in a server line of its own, so that its connections can be told from those to others. */
export interface Slot {
  /** As it was given. */
  readonly target: RouteTarget
  /** What its host stands for. */
  readonly ip: string
}

export interface TableRoute {
  readonly address: FullRouteAddress
  /** Server `s1` is the first. */
  readonly slots: readonly (Slot | undefined)[]
  /** Index of the present target's slot. */
  readonly current: number | undefined
  /** When its hold ends, in milliseconds since 1970; it may have ended. */
  readonly heldUntil: number | undefined
}

/** By their keys. */
export type Table = ReadonlyMap<string, TableRoute>

/** Of Lua and of servers: the number in a server's name. */
export const slotNumber = (index: number | undefined): string => (index === undefined ? '-' : String(index + 1))

export function formatTable(table: Table): string {
  const lines = [...table].flatMap(([key, { slots, current, heldUntil }]) => [
    `route ${key} ${slots.length} ${slotNumber(current)} ${heldUntil ?? '-'}`,
    ...slots.flatMap((slot, i) =>
      slot === undefined ? [] : [`slot ${key} ${slotNumber(i)} ${slot.ip} ${slot.target.port} ${slot.target.host}`],
    ),
  ])
  return lines.map((line) => `${line}\n`).join('')
}

/** @throws RoutingError `ROUTER_FAILED`: it is no table */
export function parseTable(text: string): Table {
  const table = new Map<string, TableRoute & { slots: (Slot | undefined)[] }>()
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const route = /^route (\S+) (\d{1,4}) (\d{1,4}|-) (\d{1,16}|-)$/.exec(line)
    const slot = /^slot (\S+) (\d{1,4}) (\S+) (\d{1,5}) (\S+)$/.exec(line)
    const slots = slot && table.get(slot[1] ?? '')?.slots
    const index = Number(slot?.[2]) - 1
    if (route !== null) {
      const [, text = '', count, current, until] = route
      const address = parseRouteKey(text)
      const numbers = {
        current: current === '-' ? undefined : Number(current) - 1,
        heldUntil: until === '-' ? undefined : Number(until),
      }
      table.set(routeKey(address), { address, slots: Array(Number(count)).fill(undefined), ...numbers })
    } else if (slot && slots && index >= 0 && index < slots.length && isIP(slot[3] ?? '') > 0) {
      slots[index] = { target: checkTarget({ host: slot[5] ?? '', port: Number(slot[4]) }), ip: slot[3] as string }
    } else throw damaged(line)
  }
  for (const [key, { slots, current }] of table) {
    if (current !== undefined && slots[current] === undefined) throw damaged(key)
  }
  return table
}

function damaged(what: string): RoutingError {
  return new RoutingError('ROUTER_FAILED', `${TABLE_FILE} is damaged at ${JSON.stringify(what)}`, {
    next: 'Move the file away, and set the routes again.',
  })
}
