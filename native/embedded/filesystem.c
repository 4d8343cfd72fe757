/*
 * Filesystems, which can't be mounted here but sent to where they can: a new one holds the objects that every ZPL looks for
 * and an empty root directory, mode 0755, of root.
 */
#include <sys/sa.h>
#include <sys/zfs_acl.h>
#include <sys/zfs_sa.h>
#include <sys/zfs_znode.h>

#include "engine.h"

/* The kinds of access control entry that a mode alone stands for, in the abbreviated form of an ACL's version 1. */
typedef struct entry {
  uint16_t type, flags;
  uint32_t access;
} entry_t;

static const entry_t kMode755[] = {
    {0, ACE_OWNER, 0x1601bf},
    {0, ACE_GROUP | ACE_IDENTIFIER_GROUP, 0x1200a9},
    {0, ACE_EVERYONE, 0x1200a9},
};

static uint64_t AddZap(objset_t *os, const char *name, dmu_object_type_t type, dmu_tx_t *tx) {
  uint64_t object = zap_create(os, type, DMU_OT_NONE, 0, tx);
  VERIFY0(zap_add(os, MASTER_NODE_OBJ, name, 8, 1, &object, tx));
  return object;
}

static void AddRoot(objset_t *os, uint64_t attributesObject, int normalization, dmu_tx_t *tx) {
  sa_attr_type_t *ids;
  sa_handle_t *handle;
  sa_bulk_attr_t bulk[ZPL_END];
  int count = 0;
  timespec_t now;
  gethrestime(&now);
  uint64_t time[2] = {now.tv_sec, now.tv_nsec};
  uint64_t root = zap_create_norm(os, normalization, DMU_OT_DIRECTORY_CONTENTS, DMU_OT_SA, DN_OLD_MAX_BONUSLEN, tx);
  uint64_t mode = S_IFDIR | 0755, size = 2, links = 2, zero = 0, generation = dmu_tx_get_txg(tx);
  uint64_t flags = ZFS_ARCHIVE | ZFS_AV_MODIFIED | ZFS_ACL_TRIVIAL;
  uint64_t entries = sizeof(kMode755) / sizeof(kMode755[0]);
  VERIFY0(sa_setup(os, attributesObject, zfs_attr_table, ZPL_END, &ids));
  VERIFY0(sa_handle_get(os, root, NULL, SA_HDL_PRIVATE, &handle));
  SA_ADD_BULK_ATTR(bulk, count, ids[ZPL_MODE], NULL, &mode, 8);
  SA_ADD_BULK_ATTR(bulk, count, ids[ZPL_SIZE], NULL, &size, 8);
  SA_ADD_BULK_ATTR(bulk, count, ids[ZPL_GEN], NULL, &generation, 8);
  SA_ADD_BULK_ATTR(bulk, count, ids[ZPL_UID], NULL, &zero, 8);
  SA_ADD_BULK_ATTR(bulk, count, ids[ZPL_GID], NULL, &zero, 8);
  SA_ADD_BULK_ATTR(bulk, count, ids[ZPL_PARENT], NULL, &root, 8);
  SA_ADD_BULK_ATTR(bulk, count, ids[ZPL_FLAGS], NULL, &flags, 8);
  SA_ADD_BULK_ATTR(bulk, count, ids[ZPL_ATIME], NULL, time, 16);
  SA_ADD_BULK_ATTR(bulk, count, ids[ZPL_MTIME], NULL, time, 16);
  SA_ADD_BULK_ATTR(bulk, count, ids[ZPL_CTIME], NULL, time, 16);
  SA_ADD_BULK_ATTR(bulk, count, ids[ZPL_CRTIME], NULL, time, 16);
  SA_ADD_BULK_ATTR(bulk, count, ids[ZPL_LINKS], NULL, &links, 8);
  SA_ADD_BULK_ATTR(bulk, count, ids[ZPL_DACL_COUNT], NULL, &entries, 8);
  SA_ADD_BULK_ATTR(bulk, count, ids[ZPL_DACL_ACES], NULL, (void *)kMode755, sizeof(kMode755));
  VERIFY0(sa_replace_all_by_template(handle, bulk, count, tx));
  sa_handle_destroy(handle);
  VERIFY0(zap_add(os, MASTER_NODE_OBJ, ZFS_ROOT_OBJ, 8, 1, &root, tx));
}

void FilesystemFormat(objset_t *os, void *data, cred_t *cred, dmu_tx_t *tx) {
  nvlist_t *nature = data;
  uint64_t version = ZPL_VERSION, normalization = 0, sense = ZFS_CASE_SENSITIVE;
  VERIFY0(zap_create_claim(os, MASTER_NODE_OBJ, DMU_OT_MASTER_NODE, DMU_OT_NONE, 0, tx));
  VERIFY0(zap_update(os, MASTER_NODE_OBJ, ZPL_VERSION_STR, 8, 1, &version, tx));
  for (nvpair_t *pair = nvlist_next_nvpair(nature, NULL); pair != NULL; pair = nvlist_next_nvpair(nature, pair)) {
    uint64_t value = fnvpair_value_uint64(pair);
    VERIFY0(zap_update(os, MASTER_NODE_OBJ, nvpair_name(pair), 8, 1, &value, tx));
  }
  (void)nvlist_lookup_uint64(nature, zfs_prop_to_name(ZFS_PROP_NORMALIZE), &normalization);
  (void)nvlist_lookup_uint64(nature, zfs_prop_to_name(ZFS_PROP_CASE), &sense);
  if (sense != ZFS_CASE_SENSITIVE) normalization |= U8_TEXTPREP_TOUPPER;
  uint64_t attributes = AddZap(os, ZFS_SA_ATTRS, DMU_OT_SA_MASTER_NODE, tx);
  AddZap(os, ZFS_UNLINKED_SET, DMU_OT_UNLINKED_SET, tx);
  AddRoot(os, attributes, normalization, tx);
}

static int AddStored(objset_t *os, zfs_prop_t property, const char *stored, nvlist_t *properties) {
  uint64_t value = zfs_prop_default_numeric(property);
  int error = zap_lookup(os, MASTER_NODE_OBJ, stored, 8, 1, &value);
  if (error != 0 && error != ENOENT) return error;
  fnvlist_add_uint64(properties, zfs_prop_to_name(property), value);
  return 0;
}

int FilesystemProperties(const char *dataset, nvlist_t *properties) {
  objset_t *os;
  int error = dmu_objset_hold(dataset, FTAG, &os);
  if (error != 0) return error;
  if (dmu_objset_type(os) != DMU_OST_ZFS || (dsl_dataset_phys(dmu_objset_ds(os))->ds_flags & DS_FLAG_INCONSISTENT)) {
    error = ENOENT;
  } else {
    error = AddStored(os, ZFS_PROP_VERSION, ZPL_VERSION_STR, properties);
    if (error == 0) error = AddStored(os, ZFS_PROP_NORMALIZE, "normalization", properties);
    if (error == 0) error = AddStored(os, ZFS_PROP_UTF8ONLY, "utf8only", properties);
    if (error == 0) error = AddStored(os, ZFS_PROP_CASE, "casesensitivity", properties);
  }
  dmu_objset_rele(os, FTAG);
  return error;
}
