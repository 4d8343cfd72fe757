import { ZfsError } from '../errors.js'
import { destroy } from '../lzc/index.js'
import type { NvList } from '../lzc/nvlist.js'
import { getProperties, readEntry } from './properties.js'

const tokenProperty = 'receive_resume_token'

/**
 * The resume token of what an interrupted receive has left of a dataset (zfs-receive(8), -s); `undefined` where there is none.
 * @throws ZfsError `NOT_FOUND`
 */
export async function readResumeToken(dataset: string): Promise<string | undefined> {
  const value = (await getProperties(dataset, [tokenProperty]))[tokenProperty]?.value
  return typeof value === 'string' && value !== '' ? value : undefined
}

/**
 * When the receive began that has left a part of a dataset, or is under way: in Unix seconds. What is received goes into the hidden
 * `DATASET/%recv`, or into the dataset itself where that is made by it (dmu_recv.c, recv_clone_name).
 * @throws ZfsError `NOT_FOUND`
 */
export async function readReceiveBeginning(dataset: string): Promise<bigint | undefined> {
  const creation = async (name: string): Promise<bigint | undefined> => {
    const { value } = ((await readEntry(name, ['creation'])).properties.creation ?? {}) as NvList
    return typeof value === 'bigint' ? value : undefined
  }
  try {
    return await creation(`${dataset}/%recv`)
  } catch (error) {
    if (!(error instanceof ZfsError) || error.code !== 'NOT_FOUND') throw error
    return creation(dataset)
  }
}

/**
 * Destroys what an interrupted receive has left, as `zfs receive -A` does: the hidden `DATASET/%recv`, or, where the dataset was
 * to be made by that receive, the dataset itself. What has been received whole is never touched.
 *
 * @throws ZfsError `NOT_FOUND`: there is nothing of that kind; `BUSY`: the receive is under way
 */
export async function discardPartialReceive(dataset: string): Promise<void> {
  if ((await readResumeToken(dataset)) === undefined) {
    throw new ZfsError('NOT_FOUND', `${dataset} has nothing that an interrupted receive has left`, { dataset })
  }
  try {
    await destroy(`${dataset}/%recv`)
  } catch (error) {
    if (!(error instanceof ZfsError) || error.code !== 'NOT_FOUND') throw error
    // One that was received whole has a snapshot, and isn't destroyed with it.
    await destroy(dataset)
  }
}
