/** What libzfs_core has no function for: lists, properties and mounts, through /dev/zfs and mount(2), without the zfs command. */
export {
  type ListedBookmark,
  type ListedDataset,
  type ListedSnapshot,
  type ListOptions,
  listBookmarks,
  listDatasets,
  listSnapshots,
} from './list.js'
export { mount, unmount } from './mount.js'
export { discardPartialReceive, readResumeToken } from './partial-receive.js'
export { getProperties, inheritProperty, setProperties } from './properties.js'
export type { DatasetType, PropertySource, PropertyValue } from './property-reading.js'
