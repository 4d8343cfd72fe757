/** The volumes of a Compose file. */
import { quotaBytes, type VolumeDescription } from '../cluster.js'
import { type Fields, readText } from './fields.js'
import { volumeHints } from './unsupported.js'

/** @param key its key in the file, which is its name unless it says another */
export function readVolume(key: string, fields: Fields | undefined): VolumeDescription {
  if (fields === undefined) return { name: key }
  const name = fields.text('name') ?? key
  const external = fields.boolean('external')
  const extension = fields.fields('x-flocker')
  const quota = extension?.parsed('quota', quotaBytes, 'a size such as 512M or 20G')
  const properties = extension && readMap(extension, 'properties')
  const metadata = extension && readMap(extension, 'metadata')
  extension?.rest({ size: 'a container mounts filesystems; say quota' })
  fields.rest(volumeHints)
  return {
    name,
    ...(external === true ? { external } : {}),
    ...(quota === undefined ? {} : { quota }),
    ...(properties === undefined ? {} : { properties }),
    ...(metadata === undefined ? {} : { metadata }),
  }
}

function readMap(fields: Fields, name: string): Record<string, string> | undefined {
  const map = fields.fields(name)
  if (map === undefined) return undefined
  const entries = [...map.map.entries].map(([key, value]) => [key, readText(value, fields.problems) ?? ''])
  return Object.fromEntries(entries)
}
