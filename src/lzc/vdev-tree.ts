import { basename } from 'node:path'
import { ArgumentError, ZfsError } from '../errors.js'
import { zfsError } from './errors.js'
import { checkPool } from './names.js'
import { openAddon } from './native.js'
import { decodeNvlist, type NvList } from './nvlist.js'

/** A device of a pool: its GUID; or its path, the path's last part, or a name such as `mirror-0`, as zpool-status(8) shows it. */
export type VdevName = bigint | string

/** A pool's device, or what groups some. */
export interface Vdev {
  guid: bigint
  /** `root`, `disk`, `file`, `mirror`, `raidz`, `draid`, `replacing`, ... */
  type: string
  /** As zpool-status(8) shows it: a leaf's path, or `mirror-0`; `root-0` for the pool itself. */
  name: string
  path?: string
  children: Vdev[]
}

/** How deep a tree is believed to be: root, special groups, mirror, replacing, leaf. */
const maxDepth = 16

/**
 * A pool's devices, as a tree whose root stands for the pool. ZFS_IOC_POOL_STATS; libzfs_core has no function for it.
 * @throws ZfsError `NOT_FOUND`; ArgumentError
 */
export async function getVdevs(pool: string): Promise<Vdev> {
  checkPool(pool)
  const { errno, list } = await openAddon().poolStatus(pool)
  if (errno !== 0 || list === undefined) throw zfsError('have its properties read', errno, pool)
  return readVdev(decodeNvlist(list).vdev_tree as NvList)
}

function readVdev(config: NvList, depth = 0): Vdev {
  const { type, guid, id, path, nparity, children } = config
  const group = type === 'raidz' ? `raidz${nparity}` : String(type)
  const nested = depth < maxDepth && Array.isArray(children) ? (children as NvList[]) : []
  return {
    guid: guid as bigint,
    type: String(type),
    name: typeof path === 'string' ? path : `${group}-${id ?? 0}`,
    ...(typeof path === 'string' ? { path } : {}),
    children: nested.map((child) => readVdev(child, depth + 1)),
  }
}

/** Every device of a tree, the root first. */
function flatten(vdev: Vdev): Vdev[] {
  return [vdev, ...vdev.children.flatMap(flatten)]
}

/** The disks and files of a tree. */
export function leaves(root: Vdev): Vdev[] {
  return flatten(root).filter(({ type }) => type === 'disk' || type === 'file')
}

/**
 * The device of that name. A GUID is taken as it is, and ZFS says whether it has it.
 * @throws ArgumentError; ZfsError `NOT_FOUND`
 */
export async function resolveVdev(pool: string, name: VdevName): Promise<Pick<Vdev, 'guid' | 'name'>> {
  checkVdevName(name)
  if (typeof name === 'bigint') return { guid: name, name: String(name) }
  return find(pool, await getVdevs(pool), name)
}

/** As {@link resolveVdev}, for many; all leaves where none are named. */
export async function resolveVdevs(
  pool: string,
  names: readonly VdevName[] | undefined,
): Promise<Pick<Vdev, 'guid' | 'name'>[]> {
  for (const name of names ?? []) checkVdevName(name)
  if (names?.every((name) => typeof name === 'bigint')) return names.map((guid) => ({ guid, name: String(guid) }))
  const root = await getVdevs(pool)
  if (names === undefined) return leaves(root)
  return names.map((name) => (typeof name === 'bigint' ? { guid: name, name: String(name) } : find(pool, root, name)))
}

function find(pool: string, root: Vdev, name: string): Vdev {
  const found = flatten(root).filter((vdev) => vdev.name === name || (vdev.path && basename(vdev.path) === name))
  const [vdev] = found
  if (found.length > 1) throw new ArgumentError(`${pool} has ${found.length} devices named ${name}; use a whole path`)
  if (vdev === undefined) {
    throw new ZfsError('NOT_FOUND', `${pool} has no device ${name}`, { dataset: pool, next: 'See zpool status.' })
  }
  return vdev
}

function checkVdevName(name: unknown): void {
  const fits =
    typeof name === 'bigint' ? name > 0n && name < 2n ** 64n : typeof name === 'string' && /^[^\0]{1,1023}$/.test(name)
  if (!fits) throw new ArgumentError(`${String(name)} is neither a device's GUID nor its path or name`)
}
