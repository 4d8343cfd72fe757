import { getProperties, mount } from '../datasets/index.js'
import { ArgumentError, ZfsError } from '../errors.js'
import { create, exists } from '../lzc/index.js'
import { checkVolumeName, ensureParents, type PushSource } from '../replication/index.js'

/** A dataset below the host's root, known to every host of the cluster by the same name. */
export class Volume implements PushSource {
  /** @internal */
  constructor(
    readonly name: string,
    readonly dataset: string,
    /** Where it is mounted when this host uses it; `undefined` for a block volume. */
    readonly path: string | undefined,
  ) {}
}

export interface CreateVolumeOptions {
  /** Native or user properties (zfsprops(7)), such as `{ recordsize: '16K' }`. */
  properties?: Record<string, string | bigint | number>
}

/**
 * Creates a filesystem volume below the root and mounts it.
 * @throws ZfsError `EXISTS` where there is such a dataset already
 */
export async function createVolume(root: string, name: string, options: CreateVolumeOptions = {}): Promise<Volume> {
  checkVolumeName(name)
  const dataset = `${root}/${name}`
  await ensureParents(dataset, root)
  await create(dataset, { properties: options.properties ?? {} })
  await mount(dataset)
  return openVolume(root, name)
}

/**
 * Finds a volume below the root.
 * @throws ZfsError `NOT_FOUND`
 */
export async function openVolume(root: string, name: string): Promise<Volume> {
  checkVolumeName(name)
  const dataset = `${root}/${name}`
  if (!(await exists(dataset))) {
    throw new ZfsError('NOT_FOUND', `There is no volume ${name}: ${dataset} does not exist`, {
      dataset,
      next: 'Create it with host.createVolume(), or receive it from another host.',
    })
  }
  const path = (await getProperties(dataset)).mountpoint?.value
  return new Volume(name, dataset, typeof path === 'string' && path.startsWith('/') ? path : undefined)
}

/**
 * Checks a root: a dataset's full name, such as `tank` or `tank/flocker`.
 * @throws ArgumentError `INVALID_ARGUMENT`
 */
export function checkRoot(root: string): void {
  if (/^[A-Za-z][A-Za-z0-9_.:-]*(\/[A-Za-z0-9][A-Za-z0-9_.:-]*)*$/.test(root)) return
  throw new ArgumentError(`${JSON.stringify(root)} is not a dataset's name`)
}
