import { inheritProperty } from '../datasets/index.js'
import { FlockerError } from '../errors.js'
import { destroyBookmarks, destroySnapshots, release } from '../lzc/index.js'
import { LocalDestination } from './local-destination.js'
import { checkVolumeName, pendingProperty } from './names.js'
import type { LocalHost } from './peer.js'
import type { Stale } from './stale.js'
import { readStatusAndTraces, type StatusOptions } from './status.js'

/** What counts as stale, and whether it is only to be told. */
export interface RemoveStaleOptions extends StatusOptions {
  /** Only say what would be removed. Default: false. */
  dryRun?: boolean
}

/** What came of something stale. */
export interface Removal extends Stale {
  removed: boolean
  /** Why not, where it was tried; `BUSY`: it is in use after all. */
  error: FlockerError | undefined
}

/**
 * Removes what replications have left in a volume's dataset on this host and none will use again, as {@link readStatus} finds it. One that
 * can't be removed does not keep the others.
 * @throws ZfsError `NOT_FOUND`; with a peer also what asking it can end with
 */
export async function removeStale(host: LocalHost, volume: string, options: RemoveStaleOptions): Promise<Removal[]> {
  checkVolumeName(volume)
  const { status, traces } = await readStatusAndTraces(host, volume, options)
  const { stale, dataset } = status
  if (options.dryRun) return stale.map((each) => ({ ...each, removed: false, error: undefined }))
  const logger = host.logger.child({ dataset })
  const discard = async (): Promise<void> => {
    if (traces.partial !== undefined) await new LocalDestination(host).discardPartial(volume, traces.partial.token)
  }
  const removals: Removal[] = []
  for (const each of stale) {
    const error = await attempt(() => remove(each, discard))
    const { kind, name, tag, peer, why } = each
    if (error === undefined) logger.info({ kind, name, tag, peer, why }, 'removed what was stale')
    else logger.warn({ kind, name, tag, peer, why, err: error }, 'what is stale could not be removed')
    removals.push({ ...each, removed: error === undefined, error })
  }
  return removals
}

async function remove({ kind, name, tag }: Stale, discard: () => Promise<void>): Promise<void> {
  if (kind === 'hold' && tag !== undefined) await release({ [name]: tag })
  if (kind === 'mark') await inheritProperty(name, pendingProperty)
  if (kind === 'snapshot') await destroySnapshots([name])
  if (kind === 'cursor') await destroyBookmarks([name])
  if (kind === 'partial') await discard()
}

async function attempt(run: () => Promise<void>): Promise<FlockerError | undefined> {
  try {
    await run()
    return undefined
  } catch (error) {
    if (error instanceof FlockerError) return error
    throw error
  }
}
