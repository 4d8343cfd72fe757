import { zfsError } from '../lzc/errors.js'
import { isEmbedded, openAddon } from '../lzc/native.js'
import { decodeNvlist, type NvList, type NvPlain } from '../lzc/nvlist.js'

/** A pool's properties as the kernel has them: name to `{ value, source }`. ZFS_IOC_POOL_GET_PROPS. */
export async function readPoolProperties(pool: string): Promise<NvList> {
  const { errno, list } = await openAddon().poolProperties(pool)
  if (errno !== 0) throw zfsError('have its properties read', errno, pool)
  return list === undefined ? {} : decodeNvlist(list)
}

/** The directory that the pool's mountpoints are below (`zpool import -R`). The embedded engine mounts nothing. */
export async function readAltroot(pool: string): Promise<string | undefined> {
  if (isEmbedded()) return undefined
  const altroot = poolPropertyValue(await readPoolProperties(pool), 'altroot')
  return typeof altroot === 'string' && altroot !== '/' ? altroot : undefined
}

export function poolPropertyValue(properties: NvList, name: string): NvPlain | undefined {
  const property = properties[name]
  return typeof property === 'object' && 'value' in property ? (property as NvList).value : undefined
}
