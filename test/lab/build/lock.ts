/** One builder per profile: a lock file that names its owner, so that a dead one's is recognised. */
import { randomUUID } from 'node:crypto'
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { TimeoutError, throwIfAborted } from '../../../src/errors.js'

const POLL_MILLISECONDS = 500
const WAIT_MILLISECONDS = 40 * 60_000

/** Holds a lock until disposed of. */
export interface Lock extends AsyncDisposable {
  path: string
}

/**
 * Takes the lock, waiting while a living process has it.
 * @param onWait called once, with that process's id
 * @throws AbortError; TimeoutError after 40 minutes
 */
export async function takeLock(
  path: string,
  signal: AbortSignal | undefined,
  onWait: (pid: number) => void,
): Promise<Lock> {
  const mine = `${process.pid} ${await startTime(process.pid)}\n`
  const deadline = performance.now() + WAIT_MILLISECONDS
  let told = false
  while (!(await create(path, mine))) {
    throwIfAborted(signal, 'waiting for another build')
    const owner = await readOwner(path)
    if (owner === undefined) continue
    if (!(await isAlive(owner))) {
      await removeStale(path, owner)
      continue
    }
    if (!told) onWait(Number.parseInt(owner, 10))
    told = true
    if (performance.now() > deadline) throw new TimeoutError(`another build (process ${owner.trim()}) holds ${path}`)
    await sleep(POLL_MILLISECONDS)
  }
  return { path, [Symbol.asyncDispose]: () => rm(path, { force: true }) }
}

/** A link is made whole or not at all: nobody ever reads a lock without its owner. */
async function create(path: string, content: string): Promise<boolean> {
  const draft = `${path}.${randomUUID()}`
  await writeFile(draft, content)
  try {
    await link(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await rm(draft)
  }
}

/** Moves the dead owner's lock away; should a living one have been caught instead, it is put back. */
async function removeStale(path: string, owner: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`
  try {
    await rename(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  if ((await readFile(aside, 'utf8')) !== owner) await link(aside, path)
  await rm(aside)
}

async function readOwner(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(ifMissing)
}

/** A process id may be used again, but not with the same start time. */
async function isAlive(owner: string): Promise<boolean> {
  const [pid = '', started = ''] = owner.trim().split(' ')
  return /^\d+$/.test(pid) && (await startTime(Number(pid))) === started
}

/** Clock ticks since boot at which the process began (proc_pid_stat(5), field 22); undefined when there is none. */
async function startTime(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(ifMissing)
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
}

function ifMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ESRCH') return undefined
  throw error
}
