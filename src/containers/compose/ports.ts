/** `ports` of a service. */
import type { ApplicationPort } from '../application.js'
import { Fields, readText } from './fields.js'
import type { Problems } from './problems.js'
import type { ListValue, ScalarValue, Value } from './tree.js'

/** Also what a range may have. */
const mostPorts = 1000

/** Reads both forms. Without a port of the host, it is the container's own, where Compose takes any. */
export function readPorts(list: ListValue, problems: Problems): ApplicationPort[] {
  const ports = list.items.flatMap((item) => readPort(item, problems))
  if (ports.length > mostPorts) problems.add(list, `at most ${mostPorts} ports`)
  return ports
}

function readPort(item: Value, problems: Problems): ApplicationPort[] {
  if (item.kind === 'list') {
    problems.add(item, 'must be a port')
    return []
  }
  return item.kind === 'map' ? readLong(new Fields(item, problems)) : readShort(item, problems)
}

/** `CONTAINER`, `HOST:CONTAINER`, ranges of the same length, and `/tcp`. */
function readShort(item: ScalarValue, problems: Problems): ApplicationPort[] {
  const text = readText(item, problems)
  if (text === undefined) return []
  const [ends = '', protocol = 'tcp', ...more] = text.split('/')
  const parts = ends.split(':')
  const container = readRange(parts.at(-1) ?? '')
  const host = readRange(parts.at(-2) ?? parts.at(-1) ?? '')
  const address = parts.slice(0, -2).join(':')
  const problem = (message: string): ApplicationPort[] => {
    problems.add(item, message)
    return []
  }
  if (more.length > 0 || container === undefined || host === undefined) {
    return problem(
      `${JSON.stringify(text)} is no port: "5432", or "HOST:CONTAINER" such as "15432:5432", from 1 to 65535`,
    )
  }
  if (address !== '') return problem(`not supported: the address ${address}; a port is that of the whole host`)
  if (protocol !== 'tcp') return problem(`not supported: ${protocol}; ports are TCP`)
  if (container.length !== host.length) {
    return problem(`not supported: ${host.length} ports of the host for ${container.length} of the container`)
  }
  return container.map((each, index) => ({ container: each, host: host[index] ?? each }))
}

/** A port, or `FIRST-LAST`. */
function readRange(text: string): number[] | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text)
  if (match === null) return undefined
  const first = Number(match[1])
  const last = match[2] === undefined ? first : Number(match[2])
  if (first < 1 || last > 65_535 || last < first) return undefined
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}

function readLong(fields: Fields): ApplicationPort[] {
  const one = (text: string): number | undefined => {
    const range = readRange(text)
    return range?.length === 1 ? range[0] : undefined
  }
  const container = fields.parsed('target', one, 'one port')
  const host = fields.parsed('published', one, 'one port')
  const protocol = fields.text('protocol') ?? 'tcp'
  if (protocol !== 'tcp') fields.problem('protocol', `not supported: ${protocol}; ports are TCP`)
  fields.rest({ host_ip: 'a port is that of the whole host' })
  if (container === undefined) {
    if (!fields.has('target')) fields.problem('target', 'needs a target, the port of the container')
    return []
  }
  return [{ container, host: host ?? container }]
}
