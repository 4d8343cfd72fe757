/** A service of a Compose file. */
import { type Application, applicationSchema, type Probe } from '../application.js'
import type { PlacedApplication } from '../cluster.js'
import { readEnvironment } from './environment.js'
import { readExtension } from './extension.js'
import type { Fields } from './fields.js'
import { readHealthcheck } from './health.js'
import type { Variables } from './interpolate.js'
import { readLimits } from './limits.js'
import { type Mount, readMounts } from './mounts.js'
import { readPorts } from './ports.js'
import { parseDuration } from './quantities.js'
import { serviceHints, serviceKeys } from './unsupported.js'
import { readCommand } from './words.js'

export interface ServiceContext {
  variables: Variables
  /** A mount's volume by its name here; `undefined`, and a problem, if the file has no such volume. */
  volumeOf: (mount: Mount) => string | undefined
  note: (text: string) => void
}

/** Which key of a service an application's field is read from, where that is another. */
const keys: Readonly<Record<string, string>> = {
  workingDirectory: 'working_dir',
  network: 'network_mode',
  memory: 'mem_limit',
  health: 'healthcheck',
  stopSignal: 'stop_signal',
  stopSeconds: 'stop_grace_period',
  links: 'x-flocker',
  routes: 'x-flocker',
  beforeStop: 'x-flocker',
}

/** @returns `undefined` where something is wrong, which is among the problems */
export function readService(name: string, service: Fields, context: ServiceContext): PlacedApplication | undefined {
  const { problems } = service
  const portList = service.list('ports')
  const ports = portList && readPorts(portList, problems)
  const extensionFields = service.fields('x-flocker')
  const { host, ready, ...extension } = extensionFields ? readExtension(extensionFields, ports ?? []) : {}
  const application = {
    name,
    ...readContainer(service, context),
    ports,
    ...extension,
    health: readProbe(service, ready),
  }
  service.rest(serviceHints, serviceKeys)
  if (!service.has('image')) problems.add(service.map, 'needs an image')
  if (!extensionFields?.has('host')) {
    problems.add(service.map, 'needs the host that is to run it: x-flocker: { host: HOST }')
  }
  const parsed = applicationSchema.safeParse(withoutUndefined(application))
  for (const { path, message } of parsed.error?.issues ?? []) {
    const [field, ...below] = path.map(String)
    // Then it is a problem already.
    if (field === 'image' && application.image === undefined) continue
    const key = keys[field ?? ''] ?? field ?? ''
    const where = service.has(key) ? below : path.map(String)
    service.problem(key, where.length === 0 ? message : `${where.join('.')}: ${message}`)
  }
  return parsed.success && host !== undefined ? { application: parsed.data, host } : undefined
}

function withoutUndefined(application: object): object {
  return Object.fromEntries(Object.entries(application).filter(([, value]) => value !== undefined))
}

/** What Compose itself has words for. */
function readContainer(service: Fields, { variables, volumeOf, note }: ServiceContext): Partial<Application> {
  const { problems } = service
  const environment = service.take('environment')
  const mountList = service.list('volumes')
  const mounts = mountList && readMounts(mountList, problems)
  const volumes = mounts?.flatMap((mount) => {
    const { place: _place, ...rest } = mount
    const volume = volumeOf(mount)
    return volume === undefined ? [] : [{ ...rest, volume }]
  })
  return {
    image: service.text('image') as string,
    entrypoint: readCommand(service, 'entrypoint'),
    command: readCommand(service, 'command'),
    environment: environment && readEnvironment(environment, variables, problems),
    user: service.text('user'),
    workingDirectory: service.text('working_dir'),
    network: readNetwork(service),
    volumes,
    ...readLimits(service, note),
    stopSignal: service.text('stop_signal'),
    stopSeconds: service.parsed('stop_grace_period', wholeSeconds, 'a duration in whole seconds, such as 1m30s'),
  }
}

function wholeSeconds(text: string): number | undefined {
  const seconds = (parseDuration(text) ?? Number.NaN) / 1000
  return Number.isInteger(seconds) ? seconds : undefined
}

function readNetwork(service: Fields): string | undefined {
  const network = service.text('network_mode')
  if (network === undefined || ['host', 'bridge', 'none'].includes(network)) return network
  service.problem('network_mode', `not supported: ${JSON.stringify(network)}; host, bridge and none are`)
  return undefined
}

function readProbe(service: Fields, ready: Probe | undefined): Probe | undefined {
  const check = service.fields('healthcheck')
  const health = check && readHealthcheck(check)
  if (health !== undefined && ready !== undefined) {
    service.problem('healthcheck', 'is there besides "ready" of x-flocker; one of them says when it is ready')
  }
  return health ?? ready
}
