/**
 * What libzfs_core has no function for: lists, properties and mounts, through /dev/zfs and mount(2), without the zfs command.
 *
 * @module datasets
 */
export {
  type ListedBookmark,
  type ListedBookmarkProperty,
  type ListedDataset,
  type ListedSnapshot,
  type ListOptions,
  listBookmarks,
  listDatasets,
  listSnapshots,
} from './list.js'
export { type MountOptions, mount, mountAll, unmount, unmountAll } from './mount.js'
export { forgetReceivedProperties, getOwnProperties, keepLocalProperties } from './own-properties.js'
export { discardPartialReceive, readReceiveBeginning, readResumeToken } from './partial-receive.js'
export { getPool, listPools, type Pool, type PoolHealth, type PoolScan, type PoolSpace, readImport } from './pools.js'
export { getProperties, getReceivedProperties, inheritProperty, setProperties } from './properties.js'
export type { DatasetType, PropertySource, PropertyValue } from './property-reading.js'
export type { Vdev, VdevRole, VdevState } from './vdev.js'
