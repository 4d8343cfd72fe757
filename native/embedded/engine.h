/* What the parts of the engine share. */
#ifndef FLOCKER_EMBEDDED_ENGINE_H
#define FLOCKER_EMBEDDED_ENGINE_H

#include "flocker_embedded.h"
#include "zpool.h"

/** Starts libzpool, once a process; it is never stopped, since its threads can't be. */
void EngineStart(void);

/** Nothing but the caller owns a volume between these: neither our own reads and writes nor a receive that replaces it. */
void VolumesLock(void);
void VolumesUnlock(void);

/** Whether `pool` may take `bytes` more: grows its file where it has less than that. ENOSPC: so has the file's own disk. */
int PoolReserve(const char *name, uint64_t bytes);

/** Returns when everything written to the dataset's pool before is on disk. */
int PoolSync(const char *dataset);

/** How much of a stream is read between two looks at the space it goes to. */
static const uint64_t kReserveStep = 16ULL << 20;

/**
 * How many bytes the disk below lets come into the dataset's pool; UINT64_MAX where that can't be told. Not to be called with
 * anything of the pool held: it waits for who opens and closes pools, and they for all that is held.
 */
uint64_t PoolRoom(const char *dataset);

/** Lists may be null; `errors` gets an int32 for each property that was not set. */
int PropertiesSet(const char *dataset, zprop_source_t source, nvlist_t *properties, nvlist_t *errors);

/** Takes away the received values of `list`, except of those that `kept`, which may be null, sets anew. */
int ReceivedClear(const char *dataset, nvlist_t *list, nvlist_t *kept);

/** What a new filesystem holds: a root directory, and what every ZPL looks for before that. A dmu_objset_create callback. */
void FilesystemFormat(objset_t *os, void *properties, cred_t *cred, dmu_tx_t *tx);
/** A filesystem's own properties (version, normalization, utf8only, casesensitivity). */
int FilesystemProperties(const char *dataset, nvlist_t *properties);

int VolumeCheckSize(uint64_t size, uint64_t block);
void VolumeFormat(objset_t *os, void *properties, cred_t *cred, dmu_tx_t *tx);
int VolumeResize(const char *dataset, uint64_t size);
/** Adds { volsize: { value }, volblocksize: { value } }. */
int VolumeProperties(objset_t *os, nvlist_t *properties);

/**
 * A file for dmu_recv_*: `fd`, which stays the caller's, behind a BEGIN record with so long a payload. `dataset` names the
 * pool whose disk must not fill up.
 */
zfs_file_t *StreamOpen(int fd, const char *dataset, uint32_t payload, boolean_t raw);
void StreamClose(zfs_file_t *stream);

/** The pool's name: what comes before the first of "/@#". */
void PoolNameOf(const char *dataset, char pool[ZFS_MAX_DATASET_NAME_LEN]);

/** Copies as much of `text` as `size` bytes hold with the byte that ends it. */
static inline void CopyText(char *target, const char *text, size_t size) {
  size_t length = strnlen(text, size - 1);
  memcpy(target, text, length);
  target[length] = '\0';
}

/** Gives `list` to `out`, or frees it where nobody wants it. */
void ListGive(nvlist_t *list, nvlist_t **out);

#endif
