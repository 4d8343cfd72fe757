/** `x-flocker` of a service: where it runs, and how it is reached. */
import type { ApplicationLink, ApplicationPort, ApplicationRoute, Probe } from '../application.js'
import { hostIdentity } from '../cluster.js'
import { Fields, readText } from './fields.js'
import { readReady } from './health.js'
import type { Value } from './tree.js'
import { readCommand } from './words.js'

export interface Extension {
  host?: string
  routes?: ApplicationRoute[]
  links?: ApplicationLink[]
  beforeStop?: string[]
  ready?: Probe
}

/** @param ports of the service, one of which a route leads to */
export function readExtension(fields: Fields, ports: readonly ApplicationPort[]): Extension {
  const host = fields.parsed(
    'host',
    (text) => (hostIdentity.safeParse(text).success ? text : undefined),
    'the identity of a host',
  )
  const routes = fields.list('routes')?.items.map((item) => readRoute(item, fields, ports))
  const links = fields.list('links')?.items.map((item) => readLink(item, fields))
  const beforeStop = readCommand(fields, 'beforeStop')
  const ready = fields.fields('ready')
  const probe = ready && readReady(ready)
  fields.rest()
  return {
    ...(host === undefined ? {} : { host }),
    ...(routes === undefined ? {} : { routes: routes.filter((route) => route !== undefined) }),
    ...(links === undefined ? {} : { links: links.filter((link) => link !== undefined) }),
    ...(beforeStop === undefined ? {} : { beforeStop }),
    ...(probe === undefined ? {} : { ready: probe }),
  }
}

/** An address alone leads to the port of that number, or to the only one. */
function readRoute(item: Value, { problems }: Fields, ports: readonly ApplicationPort[]): ApplicationRoute | undefined {
  if (item.kind === 'map') {
    const fields = new Fields(item, problems)
    const address = fields.text('address')
    const port = fields.number('port')
    fields.rest()
    if (address === undefined) problems.add(item, 'needs an address, such as tcp:5432')
    else if (port !== undefined || !fields.has('port')) return withPort(item, address, port)
    return undefined
  }
  const address = readText(item, problems)
  return address === undefined ? undefined : withPort(item, address, undefined)

  function withPort(place: Value, to: string, port: number | undefined): ApplicationRoute | undefined {
    const number = /^tcp:(\d+)$/.exec(to)?.[1]
    const found = port ?? ports.find(({ container }) => String(container) === number)?.container
    if (found !== undefined) return { address: to, port: found }
    if (ports.length === 1 && ports[0] !== undefined) return { address: to, port: ports[0].container }
    problems.add(place, `must say which of the container's ports it leads to: { address: '${to}', port: PORT }`)
    return undefined
  }
}

/** `{ alias, port, routePort }`; the port of the route is the same, if it isn't said. */
function readLink(item: Value, { problems }: Fields): ApplicationLink | undefined {
  if (item.kind !== 'map') {
    problems.add(item, 'must be { alias: NAME, port: PORT, routePort: PORT }')
    return undefined
  }
  const fields = new Fields(item, problems)
  const [alias, port, routePort] = [fields.text('alias'), fields.number('port'), fields.number('routePort')]
  fields.rest()
  if (alias !== undefined && port !== undefined) return { alias, port, routePort: routePort ?? port }
  if (!fields.has('alias') || !fields.has('port')) problems.add(item, 'needs an alias and a port')
  return undefined
}
