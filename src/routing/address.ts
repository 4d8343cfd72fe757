/** Addresses and targets: what is valid, their canonical text, and what can't be side by side. Pure. */
import { isIP } from 'node:net'
import { ArgumentError } from '../errors.js'
import type { RouteAddress, RouteTarget } from './router.js'

const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?'
const NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`)
const PORTS = { tls: 443, http: 80 } as const

/** An address with its port, its name in lower case, and nothing else. */
export type FullRouteAddress =
  | { readonly kind: 'tcp'; readonly port: number; readonly address?: string }
  | { readonly kind: 'tls'; readonly port: number; readonly serverName: string }
  | { readonly kind: 'http'; readonly port: number; readonly host: string }

/**
 * Fills in the default port and writes names in one way.
 * @throws ArgumentError what is wrong with it
 */
export function normaliseAddress(address: RouteAddress): FullRouteAddress {
  switch (address?.kind) {
    case 'tcp': {
      const port = checkPort(address.port)
      if (address.address === undefined) return { kind: 'tcp', port }
      return { kind: 'tcp', port, address: checkIp(address.address) }
    }
    case 'tls':
      return { kind: 'tls', port: checkPort(address.port ?? PORTS.tls), serverName: checkName(address.serverName) }
    case 'http':
      return { kind: 'http', port: checkPort(address.port ?? PORTS.http), host: checkName(address.host) }
    default:
      throw new ArgumentError(`${JSON.stringify(address)} is no address of a route`, {
        next: 'Its kind is tcp, tls or http.',
      })
  }
}

/**
 * The canonical text of an address: `tcp:5432`, `tcp:127.0.0.1:5432`, `tcp:[::1]:5432`, `tls:443:db.example`, `http:80:www.example`.
 * Two addresses are the same if their keys are.
 * @throws ArgumentError what is wrong with the address
 */
export function routeKey(address: RouteAddress): string {
  const full = normaliseAddress(address)
  if (full.kind === 'tls') return `tls:${full.port}:${full.serverName}`
  if (full.kind === 'http') return `http:${full.port}:${full.host}`
  if (full.address === undefined) return `tcp:${full.port}`
  return `tcp:${isIP(full.address) === 6 ? `[${full.address}]` : full.address}:${full.port}`
}

/**
 * Reads what {@link routeKey} writes; the port of `tls` and `http` may be left out: `tls:db.example`.
 * @throws ArgumentError it is no such text
 */
export function parseRouteKey(text: string): FullRouteAddress {
  const tcp = /^tcp:(?:(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):)?(\d{1,5})$/.exec(text)
  if (tcp !== null) {
    const address = tcp[1] ?? tcp[2]
    return normaliseAddress({ kind: 'tcp', port: Number(tcp[3]), ...(address === undefined ? {} : { address }) })
  }
  const named = /^(tls|http):(?:(\d{1,5}):)?([^:]+)$/.exec(text)
  if (named === null) {
    throw new ArgumentError(`${JSON.stringify(text)} is no address of a route`, {
      next: 'Write it as tcp:5432, tls:443:db.example or http:80:www.example.',
    })
  }
  const [, kind, digits, name = ''] = named
  const port = digits === undefined ? {} : { port: Number(digits) }
  return normaliseAddress(
    kind === 'tls' ? { kind: 'tls', serverName: name, ...port } : { kind: 'http', host: name, ...port },
  )
}

/**
 * Throws if an address can't be beside others: a port is of one kind, and one `tcp` address is not part of another.
 * @param others those there are; the same address may be among them
 * @throws ArgumentError which one is in the way
 */
export function checkConflict(address: RouteAddress, others: Iterable<RouteAddress>): void {
  const full = normaliseAddress(address)
  const key = routeKey(full)
  for (const each of others) {
    const other = normaliseAddress(each)
    if (other.port !== full.port || routeKey(other) === key) continue
    if (other.kind === full.kind && (full.kind !== 'tcp' || areApart(full, other))) continue
    throw new ArgumentError(`${key} and ${routeKey(other)} can't both be at port ${full.port}`, {
      next:
        other.kind === full.kind
          ? 'Give both an IP address of their own, or one of them another port.'
          : `A port is for one kind: this one is for ${other.kind} since ${routeKey(other)} was set. Take another port.`,
    })
  }
}

function areApart(one: FullRouteAddress, other: FullRouteAddress): boolean {
  return one.kind === 'tcp' && other.kind === 'tcp' && isSpecific(one.address) && isSpecific(other.address)
}

function isSpecific(address: string | undefined): boolean {
  return address !== undefined && address !== '0.0.0.0' && address !== '::'
}

/**
 * The target, if it can be one.
 * @throws ArgumentError what is wrong with it
 */
export function checkTarget(target: RouteTarget): RouteTarget {
  const port = checkPort(target.port)
  return { host: isIP(target.host) > 0 ? checkIp(target.host) : checkName(target.host), port }
}

/** Whether two targets are the same, as they were given. */
export function isSameTarget(one: RouteTarget | undefined, other: RouteTarget | undefined): boolean {
  return one?.host === other?.host && one?.port === other?.port
}

export function checkPort(port: number): number {
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port
  throw new ArgumentError(`${port} is no port`, { next: 'Give a whole number from 1 to 65535.' })
}

/** The IP address, in one spelling. A zone is not accepted: it has a meaning on one host alone. */
export function checkIp(address: string): string {
  const version = isIP(address)
  if (version === 4) return address
  if (version === 6 && !address.includes('%')) return new URL(`http://[${address}]`).hostname.slice(1, -1)
  throw new ArgumentError(`${JSON.stringify(address)} is no IP address`)
}

function checkName(name: string): string {
  const lower = typeof name === 'string' ? name.toLowerCase().replace(/\.$/, '') : ''
  if (lower.length <= 253 && NAME.test(lower)) return lower
  throw new ArgumentError(`${JSON.stringify(name)} is no DNS name`, {
    next: 'Wildcards are not supported; names beyond ASCII are written in their xn-- form.',
  })
}

/** A time that an option gives, in milliseconds. */
export function checkMilliseconds(what: string, value: number, most: number): number {
  if (Number.isFinite(value) && value > 0 && value <= most) return value
  throw new ArgumentError(`${what} can't be ${value}`, { next: `Give milliseconds, more than 0 and at most ${most}.` })
}
