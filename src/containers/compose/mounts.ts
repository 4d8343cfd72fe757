/** `volumes` of a service. */
import type { ApplicationVolume } from '../application.js'
import { Fields, readText } from './fields.js'
import type { Problems } from './problems.js'
import type { ListValue, ScalarValue, Value } from './tree.js'

/** A mount, by its volume's key in the file. */
export interface Mount extends ApplicationVolume {
  place: Value
}

/** Reads both forms of mounts of named volumes. */
export function readMounts(list: ListValue, problems: Problems): Mount[] {
  return list.items.map((item) => readMount(item, problems)).filter((mount) => mount !== undefined)
}

const onlyVolumes = 'not supported: what is on a host stays there; name a volume'

function readMount(item: Value, problems: Problems): Mount | undefined {
  if (item.kind === 'map') return readLong(item, new Fields(item, problems))
  if (item.kind === 'scalar') return readShort(item, problems)
  problems.add(item, 'must be a volume and where it is mounted')
  return undefined
}

function readShort(item: ScalarValue, problems: Problems): Mount | undefined {
  const text = readText(item, problems)
  if (text === undefined) return undefined
  const [volume = '', path, options, ...more] = text.split(':')
  const problem = (message: string): undefined => problems.add(item, message) as undefined
  if (/^[./~]/.test(volume)) {
    return problem(
      path === undefined ? 'not supported: a volume without a name' : `${onlyVolumes}, in place of ${volume}`,
    )
  }
  if (path === undefined || more.length > 0)
    return problem(`${JSON.stringify(text)} is not VOLUME:/PATH or VOLUME:/PATH:ro`)
  if (options !== undefined && options !== 'ro' && options !== 'rw') {
    return problem(`not supported: the option ${JSON.stringify(options)}; ro and rw are`)
  }
  return { volume, path, ...(options === 'ro' ? { readOnly: true } : {}), place: item }
}

function readLong(place: Value, fields: Fields): Mount | undefined {
  const type = fields.text('type')
  const volume = fields.text('source')
  const path = fields.text('target')
  const readOnly = fields.boolean('read_only')
  fields.rest()
  if (type !== 'volume') {
    const wrong = type === undefined ? 'needs a type' : `not supported: ${type}; the type "volume" is`
    fields.problem('type', type === 'bind' ? onlyVolumes : wrong)
  }
  if (volume === undefined) fields.problem('source', 'not supported: a volume without a name')
  if (path === undefined) fields.problem('target', 'needs a target, the path in the container')
  if (type !== 'volume' || volume === undefined || path === undefined) return undefined
  return { volume, path, ...(readOnly === true ? { readOnly } : {}), place }
}
