import { ZfsError } from '../errors.js'
import { destroy } from '../lzc/index.js'
import { readEntry } from './properties.js'

const tokenProperty = 'receive_resume_token'
const wanted = new Set([tokenProperty])

/**
 * The resume token of what an interrupted receive has left of a dataset (zfs-receive(8), -s); `undefined` where there is none.
 * @throws ZfsError `NOT_FOUND`
 */
export async function readResumeToken(dataset: string): Promise<string | undefined> {
  const pair = (await readEntry(dataset, wanted)).properties[tokenProperty]
  const value = typeof pair === 'object' && pair !== null && 'value' in pair ? pair.value : undefined
  return typeof value === 'string' && value !== '' ? value : undefined
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
