/* libzfs_core's functions of snapshots, holds and bookmarks, which take lists of names. */

#include "engine.h"

/** All names must be of the first one's pool, with `mark` before a valid last part. */
static int CheckNames(nvlist_t *names, char mark) {
  char pool[ZFS_MAX_DATASET_NAME_LEN], other[ZFS_MAX_DATASET_NAME_LEN];
  for (nvpair_t *pair = nvlist_next_nvpair(names, NULL); pair != NULL; pair = nvlist_next_nvpair(names, pair)) {
    const char *name = nvpair_name(pair), *last = strchr(name, mark);
    if (last == NULL || zfs_component_namecheck(last + 1, NULL, NULL) != 0) return EINVAL;
    if (pair == nvlist_next_nvpair(names, NULL)) PoolNameOf(name, pool);
    PoolNameOf(name, other);
    if (strcmp(pool, other) != 0) return EXDEV;
  }
  return 0;
}

static boolean_t SameDataset(const char *one, const char *other) {
  size_t length = strcspn(one, "@");
  return strncmp(one, other, length + 1) == 0;
}

// One snapshot of each dataset: they are made in one transaction group, which a dataset has one snapshot of.
static int CheckDistinct(nvlist_t *names) {
  for (nvpair_t *one = nvlist_next_nvpair(names, NULL); one != NULL; one = nvlist_next_nvpair(names, one)) {
    for (nvpair_t *two = nvlist_next_nvpair(names, one); two != NULL; two = nvlist_next_nvpair(names, two)) {
      if (SameDataset(nvpair_name(one), nvpair_name(two))) return EXDEV;
    }
  }
  return 0;
}

static int CheckUserProperties(nvlist_t *properties) {
  text_t value;
  if (properties == NULL) return 0;
  for (nvpair_t *pair = nvlist_next_nvpair(properties, NULL); pair != NULL;
       pair = nvlist_next_nvpair(properties, pair)) {
    if (!zfs_prop_user(nvpair_name(pair)) || nvpair_value_string(pair, &value) != 0) return EINVAL;
    if (strlen(nvpair_name(pair)) >= ZAP_MAXNAMELEN) return ENAMETOOLONG;
    if (strlen(value) >= ZAP_MAXVALUELEN) return E2BIG;
  }
  return 0;
}

FLOCKER_EMBEDDED_API int lzc_snapshot(nvlist_t *names, nvlist_t *properties, nvlist_t **errors) {
  if (errors != NULL) *errors = NULL;
  if (nvlist_empty(names)) return 0;
  int error = CheckUserProperties(properties);
  if (error == 0) error = CheckNames(names, '@');
  if (error == 0) error = CheckDistinct(names);
  if (error != 0) return error;
  nvlist_t *failed = fnvlist_alloc();
  error = dsl_dataset_snapshot(names, properties, failed);
  ListGive(failed, errors);
  return error;
}

FLOCKER_EMBEDDED_API int lzc_destroy_snaps(nvlist_t *names, boolean_t defer, nvlist_t **errors) {
  if (errors != NULL) *errors = NULL;
  if (nvlist_empty(names)) return 0;
  int error = CheckNames(names, '@');
  if (error != 0) return error;
  nvlist_t *failed = fnvlist_alloc();
  VolumesLock();
  error = dsl_destroy_snapshots_nvl(names, defer, failed);
  VolumesUnlock();
  ListGive(failed, errors);
  return error;
}

static int CheckTags(nvlist_t *holds) {
  text_t tag;
  for (nvpair_t *pair = nvlist_next_nvpair(holds, NULL); pair != NULL; pair = nvlist_next_nvpair(holds, pair)) {
    if (nvpair_value_string(pair, &tag) != 0 || tag[0] == '\0') return EINVAL;
  }
  return 0;
}

FLOCKER_EMBEDDED_API int lzc_hold(nvlist_t *holds, int cleanup, nvlist_t **errors) {
  if (errors != NULL) *errors = NULL;
  if (nvlist_empty(holds)) return 0;
  int error = CheckTags(holds);
  if (error != 0) return error;
  minor_t minor = 0;
  if (cleanup != -1 && zfs_onexit_fd_hold(cleanup, &minor) == NULL) return EBADF;
  nvlist_t *failed = fnvlist_alloc();
  error = dsl_dataset_user_hold(holds, minor, failed);
  ListGive(failed, errors);
  return error;
}

FLOCKER_EMBEDDED_API int lzc_release(nvlist_t *holds, nvlist_t **errors) {
  if (errors != NULL) *errors = NULL;
  if (nvlist_empty(holds)) return 0;
  nvlist_t *failed = fnvlist_alloc();
  int error = dsl_dataset_user_release(holds, failed);
  ListGive(failed, errors);
  return error;
}

FLOCKER_EMBEDDED_API int lzc_get_holds(const char *snapshot, nvlist_t **holds) {
  nvlist_t *list = fnvlist_alloc();
  int error = dsl_dataset_get_holds(snapshot, list);
  ListGive(list, holds);
  return error;
}

FLOCKER_EMBEDDED_API int lzc_bookmark(nvlist_t *bookmarks, nvlist_t **errors) {
  if (errors != NULL) *errors = NULL;
  if (nvlist_empty(bookmarks)) return 0;
  nvlist_t *failed = fnvlist_alloc();
  int error = dsl_bookmark_create(bookmarks, failed);
  ListGive(failed, errors);
  return error;
}

FLOCKER_EMBEDDED_API int lzc_get_bookmarks(const char *dataset, nvlist_t *properties, nvlist_t **bookmarks) {
  nvlist_t *list = fnvlist_alloc(), *wanted = properties == NULL ? fnvlist_alloc() : properties;
  int error = dsl_get_bookmarks(dataset, wanted, list);
  if (wanted != properties) nvlist_free(wanted);
  ListGive(list, bookmarks);
  return error;
}

FLOCKER_EMBEDDED_API int lzc_get_bookmark_props(const char *bookmark, nvlist_t **properties) {
  char dataset[ZFS_MAX_DATASET_NAME_LEN];
  const char *mark = strchr(bookmark, '#');
  if (mark == NULL || zfs_component_namecheck(mark + 1, NULL, NULL) != 0) return EINVAL;
  if ((size_t)(mark - bookmark) >= sizeof(dataset)) return ENAMETOOLONG;
  (void)snprintf(dataset, sizeof(dataset), "%.*s", (int)(mark - bookmark), bookmark);
  nvlist_t *list = fnvlist_alloc();
  int error = dsl_get_bookmark_props(dataset, mark + 1, list);
  ListGive(list, properties);
  return error;
}

FLOCKER_EMBEDDED_API int lzc_destroy_bookmarks(nvlist_t *bookmarks, nvlist_t **errors) {
  if (errors != NULL) *errors = NULL;
  if (nvlist_empty(bookmarks)) return 0;
  int error = CheckNames(bookmarks, '#');
  if (error != 0) return error;
  nvlist_t *failed = fnvlist_alloc();
  error = dsl_bookmark_destroy(bookmarks, failed);
  ListGive(failed, errors);
  return error;
}
