/* Which the development package leaves out. */
#ifndef _SYS_ZFS_ONEXIT_H
#define _SYS_ZFS_ONEXIT_H

#include <sys/zfs_file.h>

zfs_file_t *zfs_onexit_fd_hold(int descriptor, minor_t *minor);
int zfs_onexit_add_cb(minor_t minor, void (*function)(void *), void *data, uintptr_t *handle);

#endif
