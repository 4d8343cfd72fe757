/** The options of routers with their defaults, and the bounds that are the same for both. */
import { ArgumentError } from '../errors.js'
import { checkIp, checkMilliseconds } from './address.js'
import type { RouterOptions } from './router.js'

export type RouterSettings = Required<RouterOptions>

/** The longest hold. HAProxy's inspect-delay, which must be longer, is written in its configuration. */
export const MOST_HOLD_MILLISECONDS = 3_600_000
/** Bytes of a ClientHello, or of the head of an HTTP request. */
export const OPENING_BYTES = 16 * 1024

/** @throws ArgumentError an option that is out of range */
export function routerSettings(options: RouterOptions): RouterSettings {
  const {
    address = '0.0.0.0',
    connectMilliseconds = 5000,
    waitingClients = 4096,
    openingMilliseconds = 10_000,
  } = options
  if (!Number.isInteger(waitingClients) || waitingClients < 1 || waitingClients > 1_000_000) {
    throw new ArgumentError(`${waitingClients} clients can't wait`, { next: 'Give a whole number from 1 to 1000000.' })
  }
  return {
    address: checkIp(address),
    connectMilliseconds: checkMilliseconds('connectMilliseconds', connectMilliseconds, 60_000),
    waitingClients,
    openingMilliseconds: checkMilliseconds('openingMilliseconds', openingMilliseconds, 60_000),
  }
}

/** @throws ArgumentError it is no time to hold for */
export function checkHold(deadlineMilliseconds: number): number {
  return checkMilliseconds('deadlineMilliseconds', deadlineMilliseconds, MOST_HOLD_MILLISECONDS)
}
