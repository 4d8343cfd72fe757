/* The ioctls of /dev/zfs that libzfs_core has no function for. */
#include "../ioctl_numbers.h"
#include "engine.h"

static int GetList(uint64_t address, uint64_t size, nvlist_t **list) {
  if (size == 0) return EINVAL;
  char *copy = malloc(size);
  if (copy == NULL) return ENOMEM;
  memcpy(copy, (const void *)(uintptr_t)address, size);
  int error = nvlist_unpack(copy, size, list, 0);
  free(copy);
  return error;
}

/** ENOMEM where the caller's buffer is too small; its size is told then too. */
static int PutList(zfs_cmd_t *command, nvlist_t *list) {
  size_t size = 0;
  int error = nvlist_size(list, &size, NV_ENCODE_NATIVE);
  if (error != 0) return error;
  if (size > command->zc_nvlist_dst_size) {
    error = ENOMEM;
  } else {
    char *target = (char *)(uintptr_t)command->zc_nvlist_dst;
    error = nvlist_pack(list, &target, &size, NV_ENCODE_NATIVE, 0);
  }
  command->zc_nvlist_dst_size = size;
  command->zc_nvlist_dst_filled = 1;
  return error;
}

// A pool's file may be larger than its disk has room for.
static void CapAvailable(nvlist_t *properties, uint64_t room) {
  nvlist_t *entry;
  uint64_t available;
  const char *name = zfs_prop_to_name(ZFS_PROP_AVAILABLE);
  if (nvlist_lookup_nvlist(properties, name, &entry) != 0) return;
  if (nvlist_lookup_uint64(entry, ZPROP_VALUE, &available) != 0 || available <= room) return;
  fnvlist_add_uint64(entry, ZPROP_VALUE, room);
}

/** `room` is what PoolRoom said. */
static int PutStats(zfs_cmd_t *command, objset_t *os, uint64_t room) {
  nvlist_t *list;
  dmu_objset_fast_stat(os, &command->zc_objset_stats);
  if (command->zc_nvlist_dst == 0) return 0;
  int error = dsl_prop_get_all(os, &list);
  if (error != 0) return error;
  dmu_objset_stats(os, list);
  CapAvailable(list, room);
  // What a receive has not finished may have no size yet.
  if (!command->zc_objset_stats.dds_inconsistent && dmu_objset_type(os) == DMU_OST_ZVOL) {
    error = VolumeProperties(os, list);
    if (error == EIO) error = 0;
  }
  if (error == 0) error = PutList(command, list);
  nvlist_free(list);
  return error;
}

static int ObjsetStats(zfs_cmd_t *command) {
  objset_t *os;
  uint64_t room = PoolRoom(command->zc_name);
  int error = dmu_objset_hold(command->zc_name, FTAG, &os);
  if (error != 0) return error;
  error = PutStats(command, os, room);
  dmu_objset_rele(os, FTAG);
  return error;
}

static int NextChild(zfs_cmd_t *command) {
  objset_t *os;
  int error = dmu_objset_hold(command->zc_name, FTAG, &os);
  if (error != 0) return error;
  size_t length = strlen(command->zc_name);
  if (command->zc_name[length - 1] != '/') command->zc_name[length++] = '/';
  do {
    error = dmu_dir_list_next(os, sizeof(command->zc_name) - length, command->zc_name + length, NULL,
                              &command->zc_cookie);
  } while (error == 0 && strpbrk(command->zc_name, "$%") != NULL);
  dmu_objset_rele(os, FTAG);
  return error;
}

static int DatasetListNext(zfs_cmd_t *command) {
  size_t parent = strlen(command->zc_name);
  for (;;) {
    int error = NextChild(command);
    if (error == ENOENT) return ESRCH;
    if (error != 0) return error;
    error = ObjsetStats(command);
    // Destroyed since it was found: the next one.
    if (error != ENOENT) return error;
    command->zc_name[parent] = '\0';
  }
}

static int SnapshotRange(const zfs_cmd_t *command, uint64_t *least, uint64_t *greatest) {
  nvlist_t *range;
  *least = 0;
  *greatest = UINT64_MAX;
  if (command->zc_nvlist_src_size == 0) return 0;
  int error = GetList(command->zc_nvlist_src, command->zc_nvlist_src_size, &range);
  if (error != 0) return error;
  (void)nvlist_lookup_uint64(range, SNAP_ITER_MIN_TXG, least);
  (void)nvlist_lookup_uint64(range, SNAP_ITER_MAX_TXG, greatest);
  nvlist_free(range);
  return 0;
}

static int PutSnapshot(zfs_cmd_t *command, dsl_dataset_t *snapshot, uint64_t room) {
  objset_t *os;
  int error = dmu_objset_from_ds(snapshot, &os);
  if (error != 0) return error;
  if (!command->zc_simple) return PutStats(command, os, room);
  dmu_objset_fast_stat(os, &command->zc_objset_stats);
  return 0;
}

static int NextSnapshot(zfs_cmd_t *command, objset_t *os, uint64_t room, char *name, size_t size) {
  uint64_t least, greatest;
  int error = SnapshotRange(command, &least, &greatest);
  while (error == 0) {
    dsl_dataset_t *snapshot;
    error = dmu_snapshot_list_next(os, size, name, &command->zc_obj, &command->zc_cookie, NULL);
    if (error != 0) return error == ENOENT ? ESRCH : error;
    error = dsl_dataset_hold_obj(dmu_objset_pool(os), command->zc_obj, FTAG, &snapshot);
    if (error != 0) return error;
    uint64_t txg = dsl_dataset_phys(snapshot)->ds_creation_txg;
    boolean_t wanted = txg >= least && txg <= (greatest == 0 ? UINT64_MAX : greatest);
    if (wanted) error = PutSnapshot(command, snapshot, room);
    dsl_dataset_rele(snapshot, FTAG);
    if (wanted) return error;
  }
  return error;
}

static int SnapshotListNext(zfs_cmd_t *command) {
  objset_t *os;
  size_t length = strlen(command->zc_name);
  uint64_t room = PoolRoom(command->zc_name);
  int error = dmu_objset_hold(command->zc_name, FTAG, &os);
  if (error != 0) return error == ENOENT ? ESRCH : error;
  if (length + 2 >= ZFS_MAX_DATASET_NAME_LEN) {
    error = ESRCH;
  } else {
    command->zc_name[length] = '@';
    error = NextSnapshot(command, os, room, command->zc_name + length + 1, sizeof(command->zc_name) - length - 1);
    if (error != 0) command->zc_name[length] = '\0';
  }
  dmu_objset_rele(os, FTAG);
  return error;
}

static int SetReceived(const char *dataset, nvlist_t *list) {
  nvlist_t *old;
  if (dsl_prop_get_received(dataset, &old) == 0) {
    (void)ReceivedClear(dataset, old, list);
    nvlist_free(old);
  }
  return dsl_prop_set_hasrecvd(dataset);
}

static int SetProp(zfs_cmd_t *command) {
  nvlist_t *list, *errors;
  boolean_t received = command->zc_cookie != 0;
  int error = GetList(command->zc_nvlist_src, command->zc_nvlist_src_size, &list);
  if (error != 0) return error;
  errors = fnvlist_alloc();
  if (received) error = SetReceived(command->zc_name, list);
  if (error == 0) {
    error = PropertiesSet(command->zc_name, received ? ZPROP_SRC_RECEIVED : ZPROP_SRC_LOCAL, list, errors);
  }
  if (command->zc_nvlist_dst != 0) (void)PutList(command, errors);
  nvlist_free(errors);
  nvlist_free(list);
  return error;
}

// 0 is the value that takes a quota or reservation away.
static int InheritSpecial(const char *dataset, zprop_source_t source, zfs_prop_t property) {
  switch (property) {
    case ZFS_PROP_QUOTA:
      return dsl_dir_set_quota(dataset, source, 0);
    case ZFS_PROP_REFQUOTA:
      return dsl_dataset_set_refquota(dataset, source, 0);
    case ZFS_PROP_RESERVATION:
      return dsl_dir_set_reservation(dataset, source, 0);
    case ZFS_PROP_REFRESERVATION:
      return dsl_dataset_set_refreservation(dataset, source, 0);
    default:
      return dsl_prop_inherit(dataset, zfs_prop_to_name(property), source);
  }
}

static int InheritProp(zfs_cmd_t *command) {
  const char *name = command->zc_value;
  zfs_prop_t property = zfs_name_to_prop(name);
  boolean_t toReceived = command->zc_cookie != 0;
  zprop_source_t source = toReceived ? ZPROP_SRC_NONE : ZPROP_SRC_INHERITED;
  if (property == ZPROP_USERPROP) {
    return zfs_prop_user(name) ? dsl_prop_inherit(command->zc_name, name, source) : EINVAL;
  }
  if (property == ZFS_PROP_MLSLABEL) return EPERM;
  if (!toReceived && !zfs_prop_inheritable(property)) return EINVAL;
  if (property == ZFS_PROP_VOLSIZE || property == ZFS_PROP_VERSION) return EINVAL;
  return InheritSpecial(command->zc_name, source, property);
}

static int ObjsetZplProps(zfs_cmd_t *command) {
  nvlist_t *list = fnvlist_alloc();
  int error = FilesystemProperties(command->zc_name, list);
  if (error == 0) error = command->zc_nvlist_dst == 0 ? ENOENT : PutList(command, list);
  nvlist_free(list);
  return error;
}

static int ObjsetReceivedProps(zfs_cmd_t *command) {
  nvlist_t *list;
  // There are none that could be told from local ones.
  if (!dsl_prop_get_hasrecvd(command->zc_name)) return ENOTSUP;
  if (command->zc_nvlist_dst == 0) return 0;
  int error = dsl_prop_get_received(command->zc_name, &list);
  if (error != 0) return error;
  error = PutList(command, list);
  nvlist_free(list);
  return error;
}

static int PoolConfigs(zfs_cmd_t *command) {
  nvlist_t *list = NULL;
#if FLOCKER_OPENZFS >= 202
  int error = spa_all_configs(&command->zc_cookie, &list);
#else
  int error = (list = spa_all_configs(&command->zc_cookie)) == NULL ? EEXIST : 0;
#endif
  if (error == 0) error = PutList(command, list);
  nvlist_free(list);
  return error;
}

static int PoolStats(zfs_cmd_t *command) {
  nvlist_t *list = NULL;
  int error = spa_get_stats(command->zc_name, &list, command->zc_value, sizeof(command->zc_value));
  if (list != NULL) {
    int put = PutList(command, list);
    nvlist_free(list);
    // The configuration of a pool that can't be opened comes all the same, with the reason beside it.
    command->zc_cookie = error;
    return put;
  }
  return error;
}

static int PoolGetProps(zfs_cmd_t *command) {
  spa_t *spa;
  nvlist_t *list = NULL;
  int error = spa_open(command->zc_name, &spa, FTAG);
  if (error != 0) return error;
#if FLOCKER_OPENZFS >= 203
  list = fnvlist_alloc();
  error = spa_prop_get(spa, list);
#else
  error = spa_prop_get(spa, &list);
#endif
  spa_close(spa, FTAG);
  if (error == 0) error = PutList(command, list);
  nvlist_free(list);
  return error;
}

static int Answer(unsigned long request, zfs_cmd_t *command) {
  switch (request) {
    case kPoolConfigs:
      return PoolConfigs(command);
    case kPoolStats:
      return PoolStats(command);
    case kPoolGetProps:
      return PoolGetProps(command);
    case kObjsetStats:
      return ObjsetStats(command);
    case kObjsetZplProps:
      return ObjsetZplProps(command);
    case kDatasetListNext:
      return DatasetListNext(command);
    case kSnapshotListNext:
      return SnapshotListNext(command);
    case kSetProp:
      return SetProp(command);
    case kInheritProp:
      return InheritProp(command);
    case kObjsetReceivedProps:
      return ObjsetReceivedProps(command);
    default:
      return ENOTSUP;
  }
}

FLOCKER_EMBEDDED_API int flocker_embedded_ioctl(unsigned long request, void *argument) {
  zfs_cmd_t *command = argument;
  command->zc_name[sizeof(command->zc_name) - 1] = '\0';
  command->zc_value[sizeof(command->zc_value) - 1] = '\0';
  if (request != kPoolConfigs) {
    // A listing's parent may come with the slash that its children get.
    if (command->zc_name[0] == '\0' || strlen(command->zc_name) >= ZFS_MAX_DATASET_NAME_LEN) return EINVAL;
  }
  return Answer(request, command);
}
