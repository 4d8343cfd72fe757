/*
 * Limits on the number of filesystems and snapshots, which bind only users to whom administration is delegated. libzpool leaves
 * out what tells those from root, and would bind everybody: it calls this in the place of its own.
 */
#include "engine.h"

FLOCKER_EMBEDDED_API int dsl_fs_ss_limit_check(dsl_dir_t *directory, uint64_t more, zfs_prop_t limit,
                                               dsl_dir_t *ancestor, cred_t *user, proc_t *process) {
  return 0;
}
