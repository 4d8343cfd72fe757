import { NotSupportedError } from '../errors.js'
import { type Addon, openAddon } from './native.js'

/** Every function that libzfs_core exports, by the first OpenZFS release that has it; the soname is the same in all of them. */
export const lzcFunctions = {
  lzc_bookmark: '2.1',
  lzc_change_key: '2.1',
  lzc_channel_program: '2.1',
  lzc_channel_program_nosync: '2.1',
  lzc_clone: '2.1',
  lzc_create: '2.1',
  lzc_ddt_prune: '2.3',
  lzc_destroy: '2.1',
  lzc_destroy_bookmarks: '2.1',
  lzc_destroy_snaps: '2.1',
  lzc_exists: '2.1',
  lzc_get_bookmark_props: '2.1',
  lzc_get_bookmarks: '2.1',
  lzc_get_bootenv: '2.1',
  lzc_get_holds: '2.1',
  lzc_get_props: '2.3',
  lzc_get_vdev_prop: '2.2',
  lzc_hold: '2.1',
  lzc_initialize: '2.1',
  lzc_ioctl_fd: '2.2',
  lzc_load_key: '2.1',
  lzc_pool_checkpoint: '2.1',
  lzc_pool_checkpoint_discard: '2.1',
  lzc_pool_prefetch: '2.3',
  lzc_promote: '2.1',
  lzc_receive: '2.1',
  lzc_receive_one: '2.1',
  lzc_receive_resumable: '2.1',
  lzc_receive_with_cmdprops: '2.1',
  lzc_receive_with_header: '2.1',
  lzc_receive_with_heal: '2.2',
  lzc_redact: '2.1',
  lzc_release: '2.1',
  lzc_rename: '2.1',
  lzc_reopen: '2.1',
  lzc_rollback: '2.1',
  lzc_rollback_to: '2.1',
  lzc_scrub: '2.2',
  lzc_send: '2.1',
  lzc_send_redacted: '2.1',
  lzc_send_resume: '2.1',
  lzc_send_resume_redacted: '2.1',
  lzc_send_space: '2.1',
  lzc_send_space_resume_redacted: '2.1',
  lzc_send_wrapper: '2.2',
  lzc_set_bootenv: '2.1',
  lzc_set_vdev_prop: '2.2',
  lzc_snapshot: '2.1',
  lzc_snaprange_space: '2.1',
  lzc_sync: '2.1',
  lzc_trim: '2.1',
  lzc_unload_key: '2.1',
  lzc_wait: '2.1',
  lzc_wait_fs: '2.1',
  lzc_wait_tag: '2.1',
} as const

/** A function of libzfs_core's, of any supported release. */
export type LzcFunction = keyof typeof lzcFunctions

/**
 * The addon, where the loaded library has that function.
 * @throws NotSupportedError; AddonError, see {@link openAddon}
 */
export function addonWith(name: LzcFunction): Addon {
  const native = openAddon()
  if (native.has(name)) return native
  const { embedded } = native.features()
  if (embedded !== undefined) {
    throw new NotSupportedError(`The embedded OpenZFS (${embedded}) has no ${name}`, {
      next: 'Use a host with the ZFS kernel module for it.',
    })
  }
  throw new NotSupportedError(`The loaded libzfs_core has no ${name}: OpenZFS ${lzcFunctions[name]} or newer has it`, {
    next: `Upgrade OpenZFS to ${lzcFunctions[name]}, its library (zfsutils-linux) and its module; see features().`,
  })
}
