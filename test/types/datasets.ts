/** The types of flocker-zfs/datasets, which tsc checks and nobody runs: what fits, and what must not. */
import * as datasets from '../../src/datasets/index.js'
import { equal } from './equal.js'

export async function lists(signal: AbortSignal | undefined): Promise<void> {
  for await (const dataset of datasets.listDatasets('tank', { types: ['volume'], depth: 2, signal })) {
    equal<typeof dataset, datasets.ListedDataset>(true)
    equal<typeof dataset.type, 'filesystem' | 'volume'>(true)
    equal<typeof dataset.guid, bigint>(true)
    // Not every dataset has every property.
    const { used } = dataset.properties
    equal<typeof used, datasets.PropertyValue | undefined>(true)
  }
  for await (const { creation, dataset } of datasets.listSnapshots('tank', { properties: ['used'] })) {
    equal<typeof creation, bigint>(true)
    equal<typeof dataset, string>(true)
  }
  datasets.listBookmarks('tank', { properties: ['referenced'] })
  // @ts-expect-error: bookmarks can't tell that
  datasets.listBookmarks('tank', { properties: ['used'] })
  // @ts-expect-error: those have a function of their own
  datasets.listDatasets('tank', { types: ['snapshot'] })
  // @ts-expect-error: how many levels is a number
  datasets.listSnapshots('tank', { depth: 2n })
}

export async function properties(): Promise<void> {
  const { compression } = await datasets.getProperties('tank', ['compression'])
  equal<typeof compression, datasets.PropertyValue | undefined>(true)
  // @ts-expect-error: it may be absent
  compression.value
  if (compression?.source === 'inherited from tank') equal<typeof compression.value, string | bigint>(true)
  // @ts-expect-error: no such source
  const isThere = compression?.source === 'remote'
  const received = await datasets.getReceivedProperties('tank')
  equal<typeof received, Record<string, string | bigint>>(true)
  await datasets.setProperties('tank', { quota: 5n, compression: 'lz4', 'com.example:note': 'mine' })
  // @ts-expect-error: neither a name, a text nor a number
  await datasets.setProperties('tank', { quota: null })
  await datasets.inheritProperty('tank', 'quota', { received: true })
  const token = await datasets.readResumeToken('tank/a')
  equal<typeof token, string | undefined>(true)
  return void isThere
}

export async function mounts(): Promise<void> {
  const where = await datasets.mount('tank/a', { readonly: true })
  equal<typeof where, string>(true)
  // @ts-expect-error: not an option of a mount
  await datasets.mount('tank/a', { quota: 5n })
  const mounted = await datasets.mountAll('tank', { signal: AbortSignal.timeout(1000) })
  equal<typeof mounted, string[]>(true)
  await datasets.unmount('tank/a', { force: true })
}

export async function pools(): Promise<void> {
  const pool = await datasets.getPool('tank')
  equal<typeof pool, datasets.Pool>(true)
  equal<typeof pool.scan, datasets.PoolScan | undefined>(true)
  const { large_blocks: largeBlocks } = pool.features
  equal<typeof largeBlocks, 'enabled' | 'active' | undefined>(true)
  const [vdev] = pool.vdevs
  equal<typeof vdev, datasets.Vdev | undefined>(true)
  // @ts-expect-error: a pool is not a spare
  const isSpare = pool.health === 'AVAIL'
  return void isSpare
}
