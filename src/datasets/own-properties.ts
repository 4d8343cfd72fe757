/** What is set on a dataset itself, and how a receive that brings properties leaves it alone. */
import { constants } from 'node:os'
import { zfsError } from '../lzc/errors.js'
import { checkDataset } from '../lzc/names.js'
import { openAddon } from '../lzc/native.js'
import { encodeNvlist, type NvPlain } from '../lzc/nvlist.js'
import { decodeProperty } from '../lzc/property-values.js'
import type { Entry } from './batch.js'
import { readEntry } from './properties.js'

const received = '$recvd'

/**
 * The properties whose values are a dataset's own, set on it or received with it, rather than inherited: those that `zfs send -p`
 * sends. As they are stored: a mountpoint without the pool's altroot, and whatever the options of a mount say.
 *
 * @throws ZfsError `NOT_FOUND`; ArgumentError
 */
export async function getOwnProperties(dataset: string): Promise<Record<string, string | bigint>> {
  const own: Record<string, string | bigint> = Object.create(null)
  for (const [name, value] of valuesFrom(await readEntry(checkDataset(dataset)), [dataset, received])) {
    own[name] = decodeProperty(name, value)
  }
  return own
}

/**
 * Prepares a dataset for the first receive that brings properties. That one takes all local values away, where nothing was
 * received before (zfs_ioctl.c, zfs_ioc_recv_impl, first_recvd_props): a volume that was a source until now would lose its
 * mountpoint and quota. So it is marked as one that receives, with its own values as the received ones until then.
 * ZFS_IOC_SET_PROP with zc_cookie.
 *
 * @throws ZfsError `NOT_FOUND`, `PERMISSION_DENIED`; ArgumentError
 */
export async function keepLocalProperties(dataset: string): Promise<void> {
  checkDataset(dataset)
  if (await hasReceived(dataset)) return
  const local = Object.fromEntries(valuesFrom(await readEntry(dataset), [dataset]))
  // What can't be a received value is not taken away either: all that counts is that it is named.
  const { errno } = await openAddon().setProperties(dataset, null, encodeNvlist(local), true)
  if (!(await hasReceived(dataset))) throw zfsError('have its properties set', errno, dataset)
}

/**
 * Takes all received values away. For the rest of a full stream, whose properties ZFS adds to those that came with its beginning (it
 * takes the dataset for a new one), where any other stream's take the place of what is there.
 *
 * @throws ZfsError `NOT_FOUND`, `PERMISSION_DENIED`; ArgumentError
 */
export async function forgetReceivedProperties(dataset: string): Promise<void> {
  // Without that it would be the local values.
  await keepLocalProperties(dataset)
  const { errno } = await openAddon().setProperties(dataset, null, encodeNvlist({}), true)
  if (errno !== 0) throw zfsError('have its properties set', errno, dataset)
}

/** ENOTSUP is the kernel's word for a dataset that nothing was received into; also for one that isn't there. */
async function hasReceived(dataset: string): Promise<boolean> {
  const { errno } = await openAddon().receivedProperties(dataset)
  if (errno === 0 || errno === constants.errno.ENOTSUP) return errno === 0
  throw zfsError('have its properties read', errno, dataset)
}

/** Statistics, a volume's size among them, have no source. */
function* valuesFrom({ properties }: Entry, sources: readonly string[]): Generator<[string, string | bigint]> {
  for (const [name, pair] of Object.entries(properties)) {
    const { value, source } = Object(pair) as Record<string, NvPlain>
    if (typeof source !== 'string' || !sources.includes(source)) continue
    if (typeof value === 'string' || typeof value === 'bigint') yield [name, value]
  }
}
