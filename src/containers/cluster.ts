/** What is to run where: the applications of a cluster, their hosts, and what their volumes are to be. */
import { z } from 'zod'
import { ArgumentError } from '../errors.js'
import { parseSize } from '../lzc/property-values.js'
import { checkVolumeName } from '../replication/names.js'
import { checkConflict, parseRouteKey } from '../routing/address.js'
import { type Application, type ApplicationPort, applicationSchema, hostPort } from './application.js'
import { addressKey } from './canonical.js'

/** An application, and the host that is to run it. */
export interface PlacedApplication {
  application: Application
  /** The host's identity: the name in its certificate. */
  host: string
}

/** What a volume is to be. Volumes without a description of their own are made with the defaults. */
export interface VolumeDescription {
  name: string
  /** It is there already: it is never made. */
  external?: boolean | undefined
  /** The most that it may hold, its snapshots aside: bytes, or such as `20G`. Default: it is left as it is. */
  quota?: bigint | number | string | undefined
  /** Native or user properties that it is made with, such as `{ recordsize: '16K' }`. Not looked at once it is there. */
  properties?: Readonly<Record<string, string>> | undefined
  /** Anything of yours that it is made with. Not looked at once it is there. */
  metadata?: Readonly<Record<string, string>> | undefined
}

/** The applications of a cluster. */
export interface ClusterDescription {
  applications: readonly PlacedApplication[]
  volumes?: readonly VolumeDescription[] | undefined
  /** What its reader has to say about it, for people. */
  notes?: readonly string[] | undefined
}

/** A host's identity, as a certificate may have it. */
export const hostIdentity = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}$/, 'the identity of a host')

const texts = z.record(z.string().min(1).max(256), z.string().max(8192))

/** The name of a volume, below the root of each host. */
export const volumeName = z
  .string()
  .max(200)
  .refine(namesVolume, 'no name of a volume: letters, digits and _ . : - in parts separated by "/"')

const volumeSchema = z.strictObject({
  name: volumeName,
  external: z.boolean().optional(),
  quota: z
    .union([z.bigint(), z.number(), z.string()])
    .refine((quota) => quotaBytes(quota) !== undefined, 'a size above 0: bytes, or such as 512M or 20 GiB')
    .optional(),
  properties: texts.optional(),
  metadata: texts.optional(),
})

const clusterSchema = z.strictObject({
  applications: z.array(z.strictObject({ application: applicationSchema, host: hostIdentity })).max(10_000),
  volumes: z.array(volumeSchema).max(10_000).optional(),
  notes: z.array(z.string()).optional(),
})

function namesVolume(name: string): boolean {
  try {
    checkVolumeName(name)
    return true
  } catch (error) {
    if (error instanceof ArgumentError) return false
    throw error
  }
}

/** A quota in bytes; `undefined` if it is none. */
export function quotaBytes(quota: bigint | number | string): bigint | undefined {
  const bytes =
    typeof quota === 'string' ? parseSize(quota) : Number.isSafeInteger(Number(quota)) ? BigInt(quota) : undefined
  return bytes !== undefined && bytes > 0n ? bytes : undefined
}

/** What is wrong with a cluster, and with which of its parts. */
export interface ClusterProblem {
  /** An application's or a volume's name. */
  application?: string
  volume?: string
  /** The field that it is about. */
  field: 'name' | 'ports' | 'routes' | 'volumes' | 'external'
  message: string
}

/**
 * Reads the description of a cluster.
 * @throws ArgumentError `INVALID_ARGUMENT`, which names each thing that is wrong
 */
export function parseCluster(value: unknown): ClusterDescription {
  const parsed = clusterSchema.safeParse(value)
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path, message }) => `${path.map(String).join('.') || 'it'}: ${message}`)
    throw new ArgumentError(`The cluster is not one that can be deployed: ${issues.slice(0, 20).join('; ')}`, {
      cause: parsed.error,
    })
  }
  const problems = clusterProblems(parsed.data)
  if (problems.length === 0) return parsed.data
  const lines = problems.map(({ application, volume, field, message }) =>
    application === undefined ? `volume ${volume}: ${message}` : `${application}.${field}: ${message}`,
  )
  throw new ArgumentError(`The cluster is not one that can be deployed: ${lines.slice(0, 20).join('; ')}`)
}

/** What its applications have to do with each other. */
export function clusterProblems({ applications, volumes = [] }: ClusterDescription): ClusterProblem[] {
  const problems: ClusterProblem[] = []
  const names = new Map<string, string>()
  const ports = new Map<string, string>()
  const addresses = new Map<string, string>()
  const users = new Map<string, PlacedApplication>()
  for (const placed of applications) {
    const { application, host } = placed
    const { name } = application
    const problem = (field: ClusterProblem['field'], message: string): void => {
      problems.push({ application: name, field, message })
    }
    /** Notes who has a thing that there is one of. */
    const claim = (taken: Map<string, string>, key: string, field: ClusterProblem['field'], what: string): void => {
      const other = taken.get(key)
      if (other !== undefined) problem(field, `${what} is that of ${other} too`)
      else taken.set(key, name)
    }
    claim(names, name, 'name', 'the name')
    for (const port of boundPorts(application)) claim(ports, `${host} ${port}`, 'ports', `the port ${port} of ${host}`)
    for (const { address } of application.routes ?? []) {
      const key = addressKey(address)
      claim(addresses, key, 'routes', `the address ${key}`)
      const wrong = whatIsWrongWith(key, addresses)
      if (wrong !== undefined) problem('routes', wrong)
    }
    for (const { volume } of application.volumes ?? []) {
      if (!namesVolume(volume)) problem('volumes', `${JSON.stringify(volume)} can't name a volume`)
      const other = users.get(volume)
      if (other !== undefined && other.host !== host) {
        problem('volumes', `${volume} is used on ${other.host} by ${other.application.name}, and has one owner`)
      }
      if (other === undefined) users.set(volume, placed)
    }
  }
  return [...problems, ...volumeProblems(volumes, users)]
}

/** Why an address is none, or can't be beside the others. */
function whatIsWrongWith(address: string, others: ReadonlyMap<string, string>): string | undefined {
  try {
    const parsed = parseRouteKey(address)
    // What is none is said of that one.
    const sound = [...others.keys()].filter((other) => other !== address && isAddress(other))
    checkConflict(parsed, sound.map(parseRouteKey))
    return undefined
  } catch (error) {
    if (error instanceof ArgumentError) return error.message.split('\n', 1)[0]
    throw error
  }
}

function isAddress(text: string): boolean {
  try {
    parseRouteKey(text)
    return true
  } catch (error) {
    if (error instanceof ArgumentError) return false
    throw error
  }
}

function volumeProblems(volumes: readonly VolumeDescription[], users: ReadonlyMap<string, unknown>): ClusterProblem[] {
  const problems: ClusterProblem[] = []
  const seen = new Set<string>()
  for (const { name, external, properties, metadata } of volumes) {
    if (seen.has(name)) problems.push({ volume: name, field: 'name', message: 'is described twice' })
    seen.add(name)
    if (!users.has(name)) problems.push({ volume: name, field: 'name', message: 'no application uses it' })
    if (external === true && (properties ?? metadata) !== undefined) {
      problems.push({ volume: name, field: 'external', message: 'it is not made, so nothing can be said about how' })
    }
  }
  return problems
}

/** The ports of its host that an application takes. */
export function boundPorts({
  ports = [],
  network,
}: {
  ports?: readonly ApplicationPort[] | undefined
  network?: string | undefined
}): number[] {
  return network === 'none' ? [] : ports.map(hostPort)
}
