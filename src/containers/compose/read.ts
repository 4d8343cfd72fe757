/** Reads a Compose file as the description of a cluster. */
import {
  type ClusterDescription,
  clusterProblems,
  type PlacedApplication,
  parseCluster,
  type VolumeDescription,
} from '../cluster.js'
import { type Fields, readFields } from './fields.js'
import type { Variables } from './interpolate.js'
import { Problems } from './problems.js'
import { readService } from './service.js'
import { topHints } from './unsupported.js'
import { readVolume } from './volumes.js'

/** What a Compose file is read with. */
export interface ComposeOptions {
  /** The variables that the file may use, such as `process.env`. */
  environment: Variables
  /** What errors call it. Default: `compose.yaml`. */
  file?: string
}

/**
 * Reads a file of the Compose specification, with `x-flocker` for what that has no words for. docs/deploy.md says what is supported.
 *
 * @param text the file's content, at most 256 KiB
 * @returns applications by the names of their services, in the order of the file; volumes, with quotas in bytes; and as `notes` what was
 *   read as something that is not quite the same
 * @throws ArgumentError `INVALID_ARGUMENT`, whose message has a line for each thing that is wrong or not supported:
 *   `FILE:LINE: PATH: MESSAGE`
 * @see https://github.com/compose-spec/compose-spec
 */
export function readCompose(text: string, { environment, file = 'compose.yaml' }: ComposeOptions): ClusterDescription {
  const problems = new Problems(file)
  // Not before it is wanted: the parser of YAML would be a tenth of what the package takes to load.
  const { readTree } = require('./tree.js') as typeof import('./tree.js')
  const tree = readTree(text, environment, problems)
  if (tree === undefined) problems.throwAny()
  const top = tree && readFields(tree, problems)
  if (top === undefined) problems.add({ line: 1, path: '' }, 'has no services')
  const cluster = top && readTop(top, environment)
  problems.throwAny()
  return parseCluster(cluster)
}

function readTop(top: Fields, variables: Variables): ClusterDescription {
  const { problems } = top
  const notes: string[] = []
  // Compose puts the name before that of each container and volume; here they have the names in the file.
  top.text('name')
  top.text('version')
  const volumes = readVolumes(top)
  const used = new Set<string>()
  const applications: PlacedApplication[] = []
  const services = top.fields('services')
  if (services === undefined || services.map.entries.size === 0) problems.add(top.map, 'has no services')
  for (const [name, value] of services?.map.entries ?? []) {
    const fields = readFields(value, problems)
    const placed =
      fields &&
      readService(name, fields, {
        variables,
        note: (text) => notes.push(text),
        volumeOf: ({ volume, place }) => {
          const found = volumes.get(volume)
          if (found === undefined) problems.add(place, `${JSON.stringify(volume)} is not among the volumes of the file`)
          used.add(volume)
          return found?.name
        },
      })
    if (placed !== undefined) applications.push(placed)
  }
  top.rest(topHints)
  const mounted = new Set(
    applications.flatMap(({ application }) => application.volumes ?? []).map((each) => each.volume),
  )
  const named = [...volumes.values()].filter(({ name }) => mounted.has(name))
  for (const key of volumes.keys()) {
    if (!used.has(key)) top.fields('volumes')?.problem(key, 'no service uses it')
  }
  const cluster = { applications, volumes: named, notes }
  tellProblems(cluster, top, volumes)
  return cluster
}

function readVolumes(top: Fields): Map<string, VolumeDescription> {
  const volumes = new Map<string, VolumeDescription>()
  for (const [key, value] of top.fields('volumes')?.map.entries ?? []) {
    const empty = value.kind === 'scalar' && value.value === null
    volumes.set(key, readVolume(key, empty ? undefined : readFields(value, top.problems)))
  }
  return volumes
}

/** What its parts have to do with each other, each at its place in the file. */
function tellProblems(cluster: ClusterDescription, top: Fields, volumes: ReadonlyMap<string, VolumeDescription>): void {
  for (const { application, volume, field, message } of clusterProblems(cluster)) {
    const key = [...volumes].find(([, { name }]) => name === volume)?.[0] ?? ''
    const [map, name] = application === undefined ? [top.fields('volumes'), key] : [top.fields('services'), application]
    const value = map?.map.entries.get(name)
    const fields = value?.kind === 'map' ? readFields(value, top.problems) : undefined
    if (fields === undefined) map?.problem(name, message)
    else fields.problem(field === 'routes' ? 'x-flocker' : field, message)
  }
}
