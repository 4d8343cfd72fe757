/*
 * OpenZFS in user space (libzpool), for pools in ordinary files. Besides what is declared here the library exports
 * libzfs_core's lzc_* functions, with its prototypes and errnos, and libnvpair's through its handle. Every function that
 * returns an int returns 0 or an errno, OpenZFS's own (from 1024) among them.
 *
 * Load it with RTLD_DEEPBIND: a Node.js executable exports OpenSSL functions that have names of libzpool's own.
 */
#ifndef FLOCKER_EMBEDDED_H
#define FLOCKER_EMBEDDED_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FLOCKER_EMBEDDED_API __attribute__((visibility("default")))

/** The release of libzpool that this was built for, such as "2.3.2". */
FLOCKER_EMBEDDED_API extern const char flocker_embedded_version[];

/**
 * Opens the pool that a file holds, or makes it. `place` is that file, or the directory of a file "POOL.zpool" (made where
 * it is missing, for its owner alone). `size` is a new pool's file size in bytes, sparse and at least 128 MiB; 0 is a
 * default. A pool that this process has open is opened once more. EBUSY: another process has it; EEXIST: another file's pool
 * of this name is open here; EINVAL: the file holds another pool; ENODATA: it holds none.
 */
FLOCKER_EMBEDDED_API int flocker_embedded_pool_open(const char *place, const char *pool, uint64_t size);

/** Writes everything and exports the pool, once it was closed as often as opened. EBUSY: something is still using it. */
FLOCKER_EMBEDDED_API int flocker_embedded_pool_close(const char *pool);

/** Makes a pool's file, and the pool, `size` bytes large. Pools also grow by themselves. Never shrinks. */
FLOCKER_EMBEDDED_API int flocker_embedded_pool_grow(const char *pool, uint64_t size);

/** Answers one of /dev/zfs's ioctls, by its number and with its zfs_cmd_t. ENOTSUP for those it doesn't know. */
FLOCKER_EMBEDDED_API int flocker_embedded_ioctl(unsigned long request, void *command);

/** A volume's size and block size in bytes; also a volume's snapshot's. */
FLOCKER_EMBEDDED_API int flocker_embedded_volume_stat(const char *dataset, uint64_t *size, uint64_t *block);
/** Reads from a volume or a volume's snapshot. EINVAL outside of it. */
FLOCKER_EMBEDDED_API int flocker_embedded_volume_read(const char *dataset, uint64_t offset, void *buffer, size_t length);
/** Writes to a volume. On disk at the latest after some seconds, or flush. EROFS: a snapshot, or readonly. */
FLOCKER_EMBEDDED_API int flocker_embedded_volume_write(const char *dataset, uint64_t offset, const void *buffer,
                                                       size_t length);
/** Frees a range of a volume, which then reads as zeros. */
FLOCKER_EMBEDDED_API int flocker_embedded_volume_discard(const char *dataset, uint64_t offset, uint64_t length);
/** Returns when everything written to the volume's pool before is on disk. */
FLOCKER_EMBEDDED_API int flocker_embedded_volume_flush(const char *dataset);

/** A descriptor for lzc_hold's cleanup_fd, or -1 and errno. */
FLOCKER_EMBEDDED_API int flocker_embedded_cleanup_open(void);
/** Releases the holds that were made with it and closes it. The holds of a process that died go when its pool is opened. */
FLOCKER_EMBEDDED_API int flocker_embedded_cleanup_close(int cleanup);

#ifdef __cplusplus
}
#endif

#endif
