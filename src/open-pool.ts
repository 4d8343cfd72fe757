/** Where a host's volumes are: which pool, and for an embedded host in which file. */
import { ArgumentError, ZfsError } from './errors.js'
import type { HostOptions } from './host-options.js'
import { defaultEngine, openPool } from './lzc/index.js'
import { checkRoot } from './volumes/index.js'

/** The pool of an embedded host that names none. */
const embeddedPool = 'embedded'
/** The pool's file is sparse: it takes what is in it. So no stream is too large for it that fits on the disk below. */
const embeddedBytes = 1024n ** 4n

/** Where a program that FLOCKER_ZFS_ENGINE gives the embedded engine, and that says no directory, keeps its pools. */
export function defaultDirectory(): string | undefined {
  return defaultEngine() === 'embedded' ? (process.env.FLOCKER_ZFS_DIRECTORY ?? './data') : undefined
}

/** Opens a pool; false where the program has one of that name open, from wherever it is, and does not say where it should be. */
export async function openEmbedded(directory: string, pool: string, byDefault: boolean): Promise<boolean> {
  try {
    await openPool(directory, pool, { size: embeddedBytes })
    return true
  } catch (error) {
    if (byDefault && error instanceof ZfsError && error.code === 'EXISTS') return false
    throw error
  }
}

export function poolOf(root: string): string {
  return root.split('/', 1)[0] ?? root
}

export function chooseRoot({ embedded, pool, root }: HostOptions): string {
  if (pool !== undefined && root !== undefined) throw new ArgumentError('Give either pool or root')
  if (pool === undefined && root === undefined && embedded === undefined) {
    throw new ArgumentError('Give either pool or root, or embedded')
  }
  const chosen = root ?? `${pool ?? embeddedPool}/flocker`
  checkRoot(chosen)
  return chosen
}
