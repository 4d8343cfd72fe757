/* Redaction, and the space of a range of snapshots: libzfs_core's functions that look at several snapshots of one history. */
#include "engine.h"

#include <sys/dmu_redact.h>

FLOCKER_EMBEDDED_API int lzc_redact(const char *snapshot, const char *bookmark, nvlist_t *snapshots) {
  if (strchr(bookmark, '#') != NULL || strchr(snapshot, '@') == NULL) return EINVAL;
  return dmu_redact_snap(snapshot, snapshots, bookmark);
}

static int Measure(dsl_pool_t *pool, const char *first, const char *last, uint64_t *space) {
  dsl_dataset_t *newest, *oldest;
  uint64_t compressed, uncompressed;
  int error = dsl_dataset_hold(pool, last, FTAG, &newest);
  if (error != 0) return error;
  error = dsl_dataset_hold(pool, first, FTAG, &oldest);
  if (error == 0) {
    error = newest->ds_is_snapshot && oldest->ds_is_snapshot
                ? dsl_dataset_space_wouldfree(oldest, newest, space, &compressed, &uncompressed)
                : EINVAL;
    dsl_dataset_rele(oldest, FTAG);
  }
  dsl_dataset_rele(newest, FTAG);
  return error;
}

FLOCKER_EMBEDDED_API int lzc_snaprange_space(const char *first, const char *last, uint64_t *space) {
  dsl_pool_t *pool;
  int error = dsl_pool_hold(last, FTAG, &pool);
  if (error != 0) return error;
  error = Measure(pool, first, last, space);
  dsl_pool_rele(pool, FTAG);
  return error;
}
