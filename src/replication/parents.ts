import { ZfsError } from '../errors.js'
import { create, exists } from '../lzc/index.js'

/**
 * Creates what is missing between a host's root dataset and a volume, the root included. None of them holds data of its own, so
 * none is ever mounted.
 *
 * @param dataset full name of a volume below `root`
 */
export async function ensureParents(dataset: string, root: string): Promise<void> {
  const parts = dataset.slice(root.length + 1).split('/')
  const parents = parts.map((_, i) => [root, ...parts.slice(0, i)].join('/'))
  for (const parent of parents) {
    // A pool's own root dataset exists as long as the pool does.
    if (!parent.includes('/') || (await exists(parent))) continue
    const mountpoint = parent === root ? { mountpoint: `/${root.slice(root.lastIndexOf('/') + 1)}` } : {}
    await create(parent, { properties: { canmount: 'off', ...mountpoint } }).catch((error: unknown) => {
      // Somebody else who needs it, perhaps we ourselves for another volume, has made it in the meantime.
      if (!(error instanceof ZfsError && error.code === 'EXISTS')) throw error
    })
  }
}
