/* libzfs_core's functions of one dataset. */
#include "engine.h"

enum { kFilesystem = DMU_OST_ZFS, kVolume = DMU_OST_ZVOL };

static int CheckName(const char *dataset) {
  if (strpbrk(dataset, "@%#") != NULL || dataset_namecheck(dataset, NULL, NULL) != 0) return EINVAL;
  return 0;
}

static int CryptoParams(uint64_t command, nvlist_t *properties, const uint8_t *key, unsigned length,
                        dsl_crypto_params_t **params) {
  nvlist_t *hidden = NULL;
  if (key != NULL) {
    hidden = fnvlist_alloc();
    fnvlist_add_uint8_array(hidden, "wkeydata", (uint8_t *)key, length);
  }
  int error = dsl_crypto_params_create_nvlist(command, properties, hidden, params);
  nvlist_free(hidden);
  return error;
}

// A new volume's geometry is taken out of `properties`: it is kept in the volume, not as a property.
static int VolumeGeometry(nvlist_t *properties, uint64_t geometry[2]) {
  const char *size = zfs_prop_to_name(ZFS_PROP_VOLSIZE), *block = zfs_prop_to_name(ZFS_PROP_VOLBLOCKSIZE);
  geometry[1] = zfs_prop_default_numeric(ZFS_PROP_VOLBLOCKSIZE);
  if (nvlist_lookup_uint64(properties, size, &geometry[0]) != 0) return EINVAL;
  int error = nvlist_lookup_uint64(properties, block, &geometry[1]);
  if (error != 0 && error != ENOENT) return EINVAL;
  nvlist_remove_all(properties, size);
  nvlist_remove_all(properties, block);
  return VolumeCheckSize(geometry[0], geometry[1]);
}

// What a filesystem is born with and keeps: taken out of `properties` too.
static int FilesystemNature(nvlist_t *properties, nvlist_t *nature) {
  const zfs_prop_t kinds[] = {ZFS_PROP_NORMALIZE, ZFS_PROP_UTF8ONLY, ZFS_PROP_CASE};
  for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    const char *name = zfs_prop_to_name(kinds[i]), *known;
    uint64_t value = zfs_prop_default_numeric(kinds[i]);
    int error = nvlist_lookup_uint64(properties, name, &value);
    if (error != 0 && error != ENOENT) return EINVAL;
    if (zfs_prop_index_to_string(kinds[i], value, &known) != 0) return ZFS_ERR_BADPROP;
    nvlist_remove_all(properties, name);
    fnvlist_add_uint64(nature, name, value);
  }
  uint64_t version = ZPL_VERSION;
  int error = nvlist_lookup_uint64(properties, zfs_prop_to_name(ZFS_PROP_VERSION), &version);
  if (error != 0 && error != ENOENT) return EINVAL;
  nvlist_remove_all(properties, zfs_prop_to_name(ZFS_PROP_VERSION));
  return version == ZPL_VERSION ? 0 : ENOTSUP;
}

static int Create(const char *name, int type, nvlist_t *properties, const uint8_t *key, unsigned length) {
  uint64_t geometry[2];
  dsl_crypto_params_t *params = NULL;
  nvlist_t *nature = fnvlist_alloc();
  int error = type == kVolume ? VolumeGeometry(properties, geometry) : FilesystemNature(properties, nature);
  if (error == 0) error = CryptoParams(DCP_CMD_NONE, properties, key, length, &params);
  if (error == 0) {
    uint64_t sense = 0;
    (void)nvlist_lookup_uint64(nature, zfs_prop_to_name(ZFS_PROP_CASE), &sense);
    error = type == kVolume
                ? dmu_objset_create(name, DMU_OST_ZVOL, 0, params, VolumeFormat, geometry)
                : dmu_objset_create(name, DMU_OST_ZFS, sense == ZFS_CASE_INSENSITIVE ? DS_FLAG_CI_DATASET : 0, params,
                                    FilesystemFormat, nature);
    dsl_crypto_params_free(params, error != 0);
  }
  nvlist_free(nature);
  return error;
}

FLOCKER_EMBEDDED_API int lzc_create(const char *name, int type, nvlist_t *wanted, uint8_t *key, unsigned length) {
  if (type != kFilesystem && type != kVolume) return EINVAL;
  int error = CheckName(name);
  if (error != 0) return error;
  nvlist_t *properties = wanted == NULL ? fnvlist_alloc() : fnvlist_dup(wanted);
  error = Create(name, type, properties, key, length);
  if (error == 0 && (error = PropertiesSet(name, ZPROP_SRC_LOCAL, properties, NULL)) != 0) {
    (void)dsl_destroy_head(name);
  }
  nvlist_free(properties);
  return error;
}

FLOCKER_EMBEDDED_API int lzc_clone(const char *name, const char *origin, nvlist_t *properties) {
  int error = CheckName(name);
  if (error == 0 && dataset_namecheck(origin, NULL, NULL) != 0) error = EINVAL;
  if (error == 0) error = dmu_objset_clone(name, origin);
  if (error != 0) return error;
  error = PropertiesSet(name, ZPROP_SRC_LOCAL, properties, NULL);
  if (error != 0) (void)dsl_destroy_head(name);
  return error;
}

FLOCKER_EMBEDDED_API int lzc_promote(const char *name, char *conflict, int length) {
  char snapshot[ZFS_MAX_DATASET_NAME_LEN] = "";
  if (CheckName(name) != 0) return EINVAL;
  int error = dsl_dataset_promote(name, snapshot);
  if (error == EEXIST && conflict != NULL && length > 0) CopyText(conflict, snapshot, length);
  return error;
}

FLOCKER_EMBEDDED_API boolean_t lzc_exists(const char *name) {
  objset_t *os;
  if (dmu_objset_hold(name, FTAG, &os) != 0) return B_FALSE;
  dmu_objset_rele(os, FTAG);
  return B_TRUE;
}

static int DestroyHead(const char *name) {
  char partial[ZFS_MAX_DATASET_NAME_LEN + 8];
  int error = dsl_destroy_head(name);
  if (error != EEXIST) return error;
  // An interrupted receive's hidden child is no reason to keep the dataset.
  (void)snprintf(partial, sizeof(partial), "%s/%s", name, recv_clone_name);
  error = dsl_destroy_head(partial);
  if (error == ENOENT) return EEXIST;
  return error != 0 ? error : dsl_destroy_head(name);
}

FLOCKER_EMBEDDED_API int lzc_destroy(const char *name) {
  if (!lzc_exists(name)) return ENOENT;
  VolumesLock();
  int error = strchr(name, '@') != NULL ? dsl_destroy_snapshot(name, B_FALSE) : DestroyHead(name);
  VolumesUnlock();
  return error;
}

static int RenameSnapshot(const char *from, const char *to) {
  char dataset[ZFS_MAX_DATASET_NAME_LEN];
  size_t length = strchr(from, '@') - from;
  if (strncmp(from, to, length + 1) != 0) return EXDEV;
  memcpy(dataset, from, length);
  dataset[length] = '\0';
  return dsl_dataset_rename_snapshot(dataset, from + length + 1, to + length + 1, B_FALSE);
}

FLOCKER_EMBEDDED_API int lzc_rename(const char *from, const char *to) {
  if (dataset_namecheck(from, NULL, NULL) != 0 || dataset_namecheck(to, NULL, NULL) != 0) return EINVAL;
  if (strchr(from, '%') != NULL || strchr(to, '%') != NULL) return EINVAL;
  if (!lzc_exists(from)) return ENOENT;
  if (strchr(from, '@') != NULL) return RenameSnapshot(from, to);
  if (strchr(to, '@') != NULL) return EINVAL;
  VolumesLock();
  int error = dsl_dir_rename(from, to);
  VolumesUnlock();
  return error;
}

static int Rollback(const char *name, const char *target, nvlist_t *result) {
  if (CheckName(name) != 0) return EINVAL;
  VolumesLock();
  int error = dsl_dataset_rollback(name, target, NULL, result);
  VolumesUnlock();
  return error;
}

FLOCKER_EMBEDDED_API int lzc_rollback_to(const char *name, const char *snapshot) {
  const char *at = strchr(snapshot, '@');
  if (at == NULL || zfs_component_namecheck(at + 1, NULL, NULL) != 0) return EINVAL;
  nvlist_t *result = fnvlist_alloc();
  int error = Rollback(name, snapshot, result);
  nvlist_free(result);
  return error;
}

FLOCKER_EMBEDDED_API int lzc_rollback(const char *name, char *snapshot, int length) {
  text_t target;
  nvlist_t *result = fnvlist_alloc();
  int error = Rollback(name, NULL, result);
  if (error == 0 && snapshot != NULL && nvlist_lookup_string(result, "target", &target) == 0) {
    CopyText(snapshot, target, length);
  }
  nvlist_free(result);
  return error;
}

FLOCKER_EMBEDDED_API int lzc_load_key(const char *name, boolean_t check, uint8_t *key, unsigned length) {
  dsl_crypto_params_t *params = NULL;
  if (key == NULL || CheckName(name) != 0) return EINVAL;
  int error = CryptoParams(DCP_CMD_NONE, NULL, key, length, &params);
  if (error != 0) return error;
  error = spa_keystore_load_wkey(name, params, check);
  dsl_crypto_params_free(params, error != 0 || check);
  return error;
}

FLOCKER_EMBEDDED_API int lzc_unload_key(const char *name) {
  return CheckName(name) != 0 ? EINVAL : spa_keystore_unload_wkey(name);
}

FLOCKER_EMBEDDED_API int lzc_change_key(const char *name, uint64_t command, nvlist_t *properties, uint8_t *key,
                                        unsigned length) {
  dsl_crypto_params_t *params = NULL;
  if (CheckName(name) != 0) return EINVAL;
  int error = CryptoParams(command, properties, key, length, &params);
  if (error != 0) return error;
  error = spa_keystore_change_key(name, params);
  dsl_crypto_params_free(params, error != 0);
  return error;
}
