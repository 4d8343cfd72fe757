#include "label.h"

// Each label is written at two ends of the file in two steps, so that a power cut always leaves a whole one.
static uint64_t LabelOffset(int number, uint64_t size) {
  size = P2ALIGN_TYPED(size, sizeof(vdev_label_t), uint64_t);
  uint64_t start = number * sizeof(vdev_label_t);
  return number < VDEV_LABELS / 2 ? start : size - (VDEV_LABELS - number) * sizeof(vdev_label_t);
}

static nvlist_t *ReadOne(int fd, uint64_t offset, char *buffer) {
  nvlist_t *label = NULL;
  uint64_t start = offset + offsetof(vdev_label_t, vl_vdev_phys);
  size_t size = sizeof(((vdev_phys_t *)0)->vp_nvlist);
  if (pread(fd, buffer, size, start) != (ssize_t)size) return NULL;
  if (nvlist_unpack(buffer, size, &label, 0) != 0) return NULL;
  return label;
}

static nvlist_t *ReadNewest(int fd, uint64_t size) {
  nvlist_t *newest = NULL;
  uint64_t newestTxg = 0;
  char *buffer = malloc(sizeof(vdev_phys_t));
  for (int i = 0; buffer != NULL && i < VDEV_LABELS; i++) {
    uint64_t txg = 0;
    nvlist_t *label = ReadOne(fd, LabelOffset(i, size), buffer);
    if (label == NULL) continue;
    (void)nvlist_lookup_uint64(label, ZPOOL_CONFIG_POOL_TXG, &txg);
    if (txg > newestTxg) {
      nvlist_free(newest);
      newest = label;
      newestTxg = txg;
    } else {
      nvlist_free(label);
    }
  }
  free(buffer);
  return newest;
}

static nvlist_t *Configuration(nvlist_t *label, nvlist_t *leaf, uint64_t guid, const char *path, const char *pool) {
  nvlist_t *config = fnvlist_dup(label), *root = fnvlist_alloc(), *child = fnvlist_dup(leaf);
  fnvlist_add_string(child, ZPOOL_CONFIG_PATH, path);
  fnvlist_add_string(root, ZPOOL_CONFIG_TYPE, VDEV_TYPE_ROOT);
  fnvlist_add_uint64(root, ZPOOL_CONFIG_ID, 0);
  fnvlist_add_uint64(root, ZPOOL_CONFIG_GUID, guid);
#if FLOCKER_OPENZFS >= 202
  fnvlist_add_nvlist_array(root, ZPOOL_CONFIG_CHILDREN, (const nvlist_t *const *)&child, 1);
#else
  fnvlist_add_nvlist_array(root, ZPOOL_CONFIG_CHILDREN, &child, 1);
#endif
  fnvlist_add_nvlist(config, ZPOOL_CONFIG_VDEV_TREE, root);
  fnvlist_add_string(config, ZPOOL_CONFIG_POOL_NAME, pool);
  nvlist_free(child);
  nvlist_free(root);
  return config;
}

int LabelRead(int fd, const char *path, const char *pool, nvlist_t **config) {
  struct stat status;
  if (fstat(fd, &status) != 0) return errno;
  nvlist_t *label = ReadNewest(fd, status.st_size), *leaf;
  if (label == NULL) return ENODATA;
  text_t name;
  uint64_t guid;
  int error = 0;
  if (nvlist_lookup_string(label, ZPOOL_CONFIG_POOL_NAME, &name) != 0 ||
      nvlist_lookup_uint64(label, ZPOOL_CONFIG_POOL_GUID, &guid) != 0 ||
      nvlist_lookup_nvlist(label, ZPOOL_CONFIG_VDEV_TREE, &leaf) != 0) {
    error = ENODATA;
  } else if (strcmp(name, pool) != 0) {
    error = EINVAL;
  } else {
    *config = Configuration(label, leaf, guid, path, pool);
  }
  nvlist_free(label);
  return error;
}
