/** When two descriptions are of the same application. */
import { createHash } from 'node:crypto'
import { ArgumentError } from '../errors.js'
import { parseRouteKey, routeKey } from '../routing/address.js'
import { type Application, type ApplicationVolume, hostPort, type Probe, primaryVolume } from './application.js'
import { probeTimes } from './probe-times.js'

/**
 * An application with all defaults filled in and in one order, so that descriptions that mean the same have the same form. The order of
 * ports, routes, links and variables means nothing, nor that of volumes, but for which is the primary one; it comes first.
 */
export function canonicalApplication(app: Application): Application {
  const { ports = [], routes = [], links = [], environment = {} } = app
  const full: Application = {
    ...app,
    environment: Object.fromEntries(Object.entries(environment).sort(([a], [b]) => compareTexts(a, b))),
    network: app.network ?? 'bridge',
    ports: ports
      .map((port) => ({ container: port.container, host: hostPort(port) }))
      .sort((a, b) => a.host - b.host || a.container - b.container),
    volumes: canonicalVolumes(app),
    links: links
      .map(({ alias, port, routePort }) => ({ alias, port, routePort }))
      .sort((a, b) => compareTexts(a.alias, b.alias) || a.port - b.port),
    restart: app.restart ?? 'always',
    health: app.health && canonicalProbe(app.health),
    stopSignal: app.stopSignal?.replace(/^(?!SIG|\d)/, 'SIG'),
    stopSeconds: app.stopSeconds ?? 30,
    routes: routes
      .map(({ address, port }) => ({ address: addressKey(address), port }))
      .sort((a, b) => compareTexts(a.address, b.address)),
  }
  return sortedKeys(full)
}

function canonicalVolumes(app: Application): ApplicationVolume[] {
  const primary = primaryVolume(app)
  return (app.volumes ?? [])
    .map(({ volume, path, readOnly = false }) => ({ volume, path, readOnly }))
    .sort((a, b) => Number(b.volume === primary) - Number(a.volume === primary) || compareTexts(a.volume, b.volume))
}

function canonicalProbe(probe: Probe): Probe {
  return sortedKeys({ ...probe, ...probeTimes(probe) })
}

/** The same without what is undefined. */
function sortedKeys<T extends object>(value: T): T {
  const entries = Object.entries(value).filter(([, each]) => each !== undefined)
  return Object.fromEntries(entries.sort(([a], [b]) => compareTexts(a, b))) as T
}

/** An address in the one way of writing it; one that is none is left as it is. */
export function addressKey(address: string): string {
  try {
    return routeKey(parseRouteKey(address))
  } catch (error) {
    if (error instanceof ArgumentError) return address
    throw error
  }
}

/** By code units, so the same in every locale. */
export function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Whether two descriptions mean the same. */
export function sameApplication(a: Application, b: Application): boolean {
  return differences(a, b).length === 0
}

/** The names of the fields in which two descriptions differ, such as `image`, in alphabetical order. */
export function differences(a: Application, b: Application): string[] {
  const [left, right] = [fieldTexts(a), fieldTexts(b)]
  const names = new Set([...left.keys(), ...right.keys()])
  return [...names].filter((name) => left.get(name) !== right.get(name)).sort(compareTexts)
}

function fieldTexts(app: Application): Map<string, string> {
  return new Map(Object.entries(canonicalApplication(app)).map(([name, value]) => [name, JSON.stringify(value)]))
}

/** Whether two descriptions differ in where their clients come from, and in nothing else. */
export function differInRoutesAlone(a: Application, b: Application): boolean {
  const fields = differences(a, b)
  return fields.length === 1 && fields[0] === 'routes'
}

/** The same for descriptions that mean the same, and else another: 16 hexadecimal digits of a SHA-256. */
export function describeHash(app: Application): string {
  return createHash('sha256')
    .update(JSON.stringify(canonicalApplication(app)))
    .digest('hex')
    .slice(0, 16)
}
