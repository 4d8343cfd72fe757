import { getPool, getProperties, readResumeToken } from '../datasets/index.js'
import { DivergedError, FlockerError, ReplicationError, ZfsError } from '../errors.js'
import { type BeginRecord, exists, version } from '../lzc/index.js'
import { decodeResumeToken } from '../stream/index.js'
import { readInventory } from './local.js'
import { newestFirst } from './planner/inventory.js'
import { checkReceivable } from './stream-support.js'

/**
 * Finds out whether the OpenZFS and the pool here can receive such a stream.
 * @throws NotSupportedError; ZfsError
 */
export async function checkStream(dataset: string, begin: BeginRecord): Promise<void> {
  const { features } = await getPool(dataset.slice(0, dataset.indexOf('/')))
  checkReceivable(begin, { dataset, features, version: (await version()).module })
}

/**
 * Finds out before any byte flows what the kernel would say at the end of the stream.
 * @param origin the snapshot here that the stream is to be received as a clone of
 * @throws DivergedError `DIVERGED`; ZfsError `BASE_MISMATCH`, `NOT_FOUND` (the origin), `EXISTS`; ReplicationError `PARTIAL_CHANGED`
 */
export async function checkDestination(dataset: string, begin: BeginRecord, origin?: string): Promise<void> {
  const inventory = await readInventory(dataset)
  const resuming = begin.features.includes('resuming')
  const token = inventory === undefined ? undefined : await readResumeToken(dataset)
  if (resuming || token !== undefined) checkResumes(dataset, begin, token)
  if (origin !== undefined) return checkOrigin(dataset, inventory !== undefined, begin, origin)
  if (inventory === undefined) {
    if (begin.fromguid === 0n) return
    throw new ZfsError('BASE_MISMATCH', `${dataset} does not exist, so an increment can't be received`, { dataset })
  }
  if (begin.fromguid === 0n) {
    if (resuming) return
    throw new DivergedError(`${dataset} exists, and a full stream would replace it. Nothing was changed.`, { dataset })
  }
  const newest = newestFirst(inventory.snapshots)[0]
  // The beginning of a clone is not known by its origin but by its token, which was compared.
  if (newest === undefined && resuming) return
  if (newest?.guid !== begin.fromguid) {
    throw new ZfsError('BASE_MISMATCH', `${dataset} does not end in the snapshot that the stream starts from`, {
      dataset,
      next: 'Something has changed it since the push was planned. Push again.',
    })
  }
}

/** What is to be a clone must be new, and its origin the snapshot that the stream starts from. */
async function checkOrigin(dataset: string, isThere: boolean, begin: BeginRecord, origin: string): Promise<void> {
  if (isThere) throw new ZfsError('EXISTS', `${dataset} exists, and can't be received as a clone`, { dataset })
  const { guid } = await getProperties(origin, ['guid'])
  if (guid?.value === begin.fromguid) return
  throw new ZfsError('BASE_MISMATCH', `${origin} is not the snapshot that the stream starts from`, { dataset: origin })
}

/** A stream that goes on must go on with what is there, and what is there must not be in another stream's way. */
function checkResumes(dataset: string, begin: BeginRecord, token: string | undefined): void {
  const found = token === undefined ? undefined : decodeResumeToken(token)
  const same = found?.toguid === begin.toguid && (found.fromguid ?? 0n) === begin.fromguid
  if (begin.features.includes('resuming') && same) return
  const what = found === undefined ? 'nothing' : `a part of ${found.toname}`
  throw new ReplicationError('PARTIAL_CHANGED', `${dataset} has ${what} from an interrupted receive`, {
    dataset,
    next: 'Push again: it will look anew, and go on with what is there.',
  })
}

/** @throws ZfsError `NO_SPACE` where the estimate exceeds what is available */
export async function checkSpace(dataset: string, estimate: bigint): Promise<void> {
  const existing = (await exists(dataset)) ? dataset : dataset.slice(0, dataset.lastIndexOf('/'))
  const available = (await getProperties(existing)).available?.value
  if (typeof available !== 'bigint')
    throw new FlockerError('INTERNAL', `${existing} reports no space`, { dataset: existing })
  if (estimate <= available) return
  throw new ZfsError(
    'NO_SPACE',
    `${existing} has ${available} bytes available; the stream is about ${estimate} bytes`,
    {
      dataset: existing,
      next: 'Free space there, or pass checkSpace: false if the data will compress better than at its source.',
    },
  )
}
