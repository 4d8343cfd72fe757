/**
 * HAProxy's configuration for a table of routes (HAProxy 2.6, Configuration Manual). Pure.
 *
 * A route is a backend whose servers have no address of their own: the Lua script says for each connection where it goes (`set-dst`) and which
 * server line counts it (`use-server`). So a switch changes one entry of the script's table, in old workers as well.
 */
import { createHash } from 'node:crypto'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { ArgumentError } from '../../errors.js'
import { type FullRouteAddress, routeKey } from '../address.js'
import { MOST_HOLD_MILLISECONDS, type RouterSettings } from '../settings.js'
import { LUA_FILE } from './lua.js'
import type { Table, TableRoute } from './table.js'

export const CONFIG_FILE = 'routes.cfg'
/** In the directory, of a HAProxy of our own. */
export const STATS_SOCKET = 'stats.sock'
/** In the directory of a HAProxy of our own: see {@link bellAddress}. */
export const BELL_SOCKET = 'bell.sock'

/** unix(7) allows 107; HAProxy binds to the path with its process number and `.tmp` behind it. */
const MOST_PATH_BYTES = 95

export interface ConfigOptions extends RouterSettings {
  readonly directory: string
  /** HAProxy is ours alone, and has no other configuration. */
  readonly own: boolean
}

/** The backend of a route: also what its connections are found by. */
export function backendName(key: string): string {
  return `flocker:${key.replace(/[[\]]/g, '')}`
}

export function formatConfig(table: Table, options: ConfigOptions): string {
  const fronts = new Map<string, FullRouteAddress[]>()
  for (const { address } of table.values()) {
    const front = frontName(address)
    fronts.set(front, [...(fronts.get(front) ?? []), address])
  }
  const sections = [
    globalSection(options),
    defaultsSection(options),
    ...[...fronts].map(([name, addresses]) => frontend(name, addresses, options)),
    ...[...table].map(([key, route]) => backend(key, route)),
    UNKNOWN_HOST,
    bellSection(options),
  ]
  const comment = '# Written by flocker-zfs, which reads it never and replaces it at every change.'
  return `${[[comment], ...sections].map((lines) => lines.join('\n  ')).join('\n\n')}\n`
}

function globalSection({ directory, own }: ConfigOptions): string[] {
  const file = (name: string) => quote(join(directory, name))
  return [
    'global',
    ...(own ? [`stats socket ${file(STATS_SOCKET)} mode 600 level admin expose-fd listeners`] : []),
    `lua-load ${file(LUA_FILE)}`,
  ]
}

function defaultsSection({ connectMilliseconds }: ConfigOptions): string[] {
  return [
    'defaults flocker',
    'option clitcpka',
    'option srvtcpka',
    'option dontlognull',
    // HAProxy tries again at once a second where a target refuses; the second time limit is for one that is silent.
    `retries ${Math.max(1, Math.ceil(connectMilliseconds / 1000) - 1)}`,
    `timeout connect ${Math.max(1000, Math.ceil(connectMilliseconds / 2))}ms`,
    // A database's connection may be silent for long: TCP's keepalive finds out whether anybody is there. 24 days are the most there is.
    'timeout client 24d',
    'timeout server 24d',
    'timeout tunnel 24d',
    'timeout http-keep-alive 60s',
  ]
}

function frontName(address: FullRouteAddress): string {
  return `${backendName(address.kind === 'tcp' ? routeKey(address) : `${address.kind}:${address.port}`)}:front`
}

function frontend(name: string, addresses: readonly FullRouteAddress[], options: ConfigOptions): string[] {
  const [first] = addresses as [FullRouteAddress]
  const host = (first.kind === 'tcp' && first.address) || options.address
  const bind =
    isIP(host) === 6 ? `bind [${host}]:${first.port}${host === '::' ? ' v4v6' : ''}` : `bind ${host}:${first.port}`
  const lines = [`frontend ${name} from flocker`, `mode ${first.kind === 'http' ? 'http' : 'tcp'}`, bind]
  if (first.kind === 'tcp') return [...lines, `default_backend ${backendName(routeKey(first))}`]
  return [...lines, ...choice(first.kind, options), ...addresses.map(useBackend)]
}

/** What decides about a connection before its name is known. */
function choice(kind: 'tls' | 'http', { openingMilliseconds }: ConfigOptions): string[] {
  const milliseconds = Math.ceil(openingMilliseconds)
  if (kind === 'tls') {
    return [
      `tcp-request inspect-delay ${milliseconds}ms`,
      'tcp-request content accept if { req.ssl_hello_type 1 }',
      'tcp-request content reject',
    ]
  }
  return [`timeout http-request ${milliseconds}ms`, 'default_backend flocker:unknown']
}

function useBackend(address: FullRouteAddress): string {
  const name = backendName(routeKey(address))
  if (address.kind === 'tls') return `use_backend ${name} if { req.ssl_sni -i ${address.serverName} }`
  const host = address.kind === 'http' ? address.host : ''
  return `use_backend ${name} if { req.hdr(host),field(1,:),regsub(\\.$,) -i ${host} }`
}

function backend(key: string, { address, slots }: TableRoute): string[] {
  const http = address.kind === 'http'
  const rule = http ? 'http-request' : 'tcp-request content'
  return [
    `backend ${backendName(key)} from flocker`,
    ...(http
      ? ['mode http', 'http-reuse never']
      : ['mode tcp', `tcp-request inspect-delay ${2 * MOST_HOLD_MILLISECONDS}ms`]),
    `${rule} lua.flocker_pass ${key}`,
    http
      ? 'http-request return status 503 hdr retry-after 1 if { var(txn.flocker_refused) -m bool }'
      : 'tcp-request content reject if { var(txn.flocker_refused) -m bool }',
    `${rule} set-dst var(txn.flocker_ip)`,
    `${rule} set-dst-port var(txn.flocker_port)`,
    'use-server %[var(txn.flocker_server)] if TRUE',
    ...slots.map((_, i) => `server s${i + 1} 0.0.0.0:0`),
  ]
}

/** For where no route is meant. */
const UNKNOWN_HOST = [
  'backend flocker:unknown from flocker',
  'mode http',
  'http-request return status 421 content-type text/plain string "421 Misdirected Request"',
]

/**
 * Where connections that wait ask the script how it ended. One that is not ours may have left its file system (`chroot`) and its rights when they
 * do: for it the address is an abstract one (unix(7)).
 */
export function bellAddress({ directory, own }: ConfigOptions): string {
  if (own) return `unix@${join(directory, BELL_SOCKET)}`
  return `abns@flocker-zfs-${createHash('sha256').update(directory).digest('hex').slice(0, 16)}`
}

function bellSection(options: ConfigOptions): string[] {
  return [
    'frontend flocker:bell from flocker',
    'mode tcp',
    `bind ${quote(bellAddress(options))}${options.own ? ' mode 600' : ''}`,
    'tcp-request content use-service lua.flocker_bell',
  ]
}

function quote(path: string): string {
  if (Buffer.byteLength(path) > MOST_PATH_BYTES) {
    throw new ArgumentError(`${JSON.stringify(path)} is too long for a socket`, {
      next: 'Choose a directory with a shorter path.',
    })
  }
  if (!/['\p{Cc}]/u.test(path)) return `'${path}'`
  throw new ArgumentError(`HAProxy can't read ${JSON.stringify(path)}`, {
    next: 'Choose a directory without quotes and control characters in its name.',
  })
}
